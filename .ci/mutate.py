"""Change the code that makes figures in small ways, and fail where no test notices.

mutmut makes the changes, of the files in [tool.mutmut] of pyproject.toml. For each part, one pytest
session then runs each change against the tests that reach the changed function, until one fails.
Each change that survives must be in `.ci/survivors.toml`, with the reason why it is accepted. Run
it with the names of functions, such as `costaudit.costing.spend.*`, or without one for all PARTS.

Of a month, the value is a part and the range is not: its statistics are held by how often drawn
logs are covered (`test_the_range_of_a_half_covers_the_other_half`), which one change of a sign need
not break. Sentences are left out too; the report's tests hold their words.
"""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

MUTANTS = Path("mutants")  # the changed copy that mutmut makes
CLEAN = "none"  # the code as it is
LONGEST = 20  # times longer than on the code as it is, and seconds: what takes longer is stuck
PYTEST = (
    "--rootdir=.", "-q", "--tb=no", "-o", "addopts=", "-m", "not slow and not live",
    "--hypothesis-profile=mutation", "-p", "no:cacheprovider", "-p", "no:xdist",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Functions whose changes are run, and the quick tests that must notice."""

    functions: tuple[str, ...]  # as mutmut names them: module.x_function, module.xǁClassǁmethod
    tests: tuple[str, ...]


COSTING, TESTS = "costaudit.costing.", "tests/costing/"
LEDGER = (
    f"{TESTS}test_ledger.py",
    f"{TESTS}test_ledger_month.py",
    f"--deselect={TESTS}test_ledger.py::test_the_laws_of_the_ledger",  # by hand in the same file
)
MONTH = f"{COSTING}months.month."
PARTS = {
    "recommendation": Part(
        ("costaudit.answers.recommend.*",), ("tests/answers/test_recommend.py",)
    ),
    "levers": Part(
        ("costaudit.levers.output.*", "costaudit.levers.waste.*"),
        ("tests/levers/test_output.py", "tests/levers/test_waste.py"),
    ),
    "normalisation": Part(
        ("costaudit.ingest.assembly.normalise.*",),
        ("tests/ingest/test_normalise.py", "tests/ingest/test_normalise_rules.py"),
    ),
    "spend": Part(
        (f"{COSTING}spend.*",),
        (f"{TESTS}test_spend.py", f"{TESTS}test_spend_rows.py"),
    ),
    "month": Part(  # its value; see the docstring for its range
        tuple(
            f"{MONTH}{name}__mutmut*"
            for name in (
                "xǁMonthǁusd", "xǁMonthǁmoney", "xǁMonthǁranged", "xǁMonthǁdaily",
                "xǁMonthǁpaced", "xǁMonthǁby_group", "xǁMonthǁlog_daily", "xǁMonthǁ_by_day",
                "xǁMonthǁtrend", "x_month_of", "x_with_trend", "x__facts",
            )
        ),
        (f"{TESTS}test_month_value.py",),
    ),
    "traffic": Part(
        (f"{COSTING}traffic.*",),
        (
            f"{TESTS}test_traffic.py", f"{TESTS}test_anchor.py", f"{TESTS}test_cuts.py", LEDGER[0],
            LEDGER[-1],
        ),
    ),
    "ledger": Part((f"{COSTING}ledger.*",), LEDGER),
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    function: str  # module and function, such as costaudit.costing.spend.spend
    change: str  # the lines that differ, as `old ⇒ new`


def main(patterns: list[str]) -> int:
    """Run the changes whose names match, and return 1 if one survives that is not accepted."""
    began = time.monotonic()
    by_file = generate()
    counts: Counter[str] = Counter()
    alive: list[Mutant] = []
    tried: set[str] = set()
    for name, part in PARTS.items():
        chosen = {
            mutant: path
            for mutant, path in by_file.items()
            if any(fnmatch(mutant, pattern) for pattern in part.functions)
            and (not patterns or any(matches(mutant, pattern) for pattern in patterns))
        }
        if not chosen:
            continue
        survivors = outcome(name, list(chosen))
        counts += Counter(survived=len(survivors), killed=len(chosen) - len(survivors))
        tried |= {function_of(mutant) for mutant in chosen}
        alive += [Mutant(function_of(one), change_of(one, chosen[one])) for one in survivors]
        sys.stdout.write(f"{name}: {len(chosen):,} changes, {len(survivors):,} survive\n")
        sys.stdout.flush()
    return report(alive, tried, counts, time.monotonic() - began)


def report(alive: list[Mutant], tried: set[str], counts: Counter[str], seconds: float) -> int:
    """Write what survives against the list of accepted ones, and return the exit code."""
    listed = tomllib.loads(Path(".ci/survivors.toml").read_text("utf-8"))["accepted"]
    accepted = {Mutant(one["function"], one["change"]) for one in listed}
    gone = [one for one in accepted if one not in alive and one.function in tried]
    new = [one for one in alive if one not in accepted]
    for one in sorted(gone, key=lambda one: (one.function, one.change)):
        sys.stdout.write(f"dies now, so take it off the list: {one.function}: {one.change}\n")
    for one in new:
        sys.stdout.write(f"SURVIVES: {one.function}\n    {one.change}\n")
    counted = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    sys.stdout.write(f"{counted}; {len(new)} of the survivors are new; {seconds / 60:.0f} min\n")
    return 1 if new or gone or not counts else 0


def generate() -> dict[str, Path]:
    """Write the changed copy of the code, and return the file of each change."""
    from mutmut import __main__ as mutmut
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.mutation.trampoline import set_mutant_under_test
    from mutmut.utils.file_utils import walk_mutatable_files

    set_mutant_under_test("mutant_generation")
    MUTANTS.mkdir(exist_ok=True)
    with redirect_stdout(StringIO()):  # the names of all files
        mutmut.copy_src_dir()
        mutmut.copy_also_copy_files()
        mutmut.setup_source_paths()
        mutmut.store_lines_covered_by_tests()
        mutmut.create_mutants(1)
    found = {}
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        found |= dict.fromkeys(data.exit_code_by_key, path)
    return found


def outcome(part: str, names: list[str]) -> list[str]:
    """Return which changes survive the tests of a part, run in a process of their own."""
    asked = json.dumps([part, names])
    told = MUTANTS / "survivors.json"
    told.unlink(missing_ok=True)
    # the tests' own output goes to the terminal, so what survives comes back in a file
    done = subprocess.run(
        [sys.executable, Path(__file__).resolve(), "--session"],
        cwd=MUTANTS, input=asked.encode(), env=os.environ | {"PYTHONPATH": "."},
    )  # fmt: skip
    if not told.exists():
        sys.exit(f"The tests of {part} do not run, or fail on the code as it is: {done.returncode}")
    survivors: list[str] = json.loads(told.read_text())
    return survivors


def session() -> int:
    """Run the changes that standard input names, inside the changed copy."""
    import pytest

    part, names = json.load(sys.stdin)
    return int(pytest.main([*PYTEST, *PARTS[part].tests], plugins=[Session(names)]))


class Stuck(BaseException):
    """A test takes far longer than on the code as it is."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stuck


class Session:
    """A pytest plugin that runs the collected tests once for each change."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def pytest_runtestloop(self, session: Any) -> bool:
        """Run all changes, and write those that no test notices."""
        from mutmut.mutation.trampoline import set_mutant_under_test
        from mutmut.state import state

        signal.signal(signal.SIGALRM, _stop)
        reached: dict[str, list[Any]] = {}
        seconds: dict[Any, float] = {}
        for test in session.items:
            set_mutant_under_test("stats")
            state()._stats.clear()
            self._check(test)
            for function in state()._stats:
                reached.setdefault(function, []).append(test)
            set_mutant_under_test(CLEAN)
            began = time.monotonic()
            self._check(test)
            seconds[test] = time.monotonic() - began
        survivors = []
        kills: Counter[Any] = Counter()
        runs: Counter[Any] = Counter()

        def promise(test: Any) -> float:
            """Return how many changes a test notices in a second, as far as it is known."""
            return (kills[test] + 0.1) / (runs[test] + 1) / seconds[test]

        for name in self._names:
            tests = reached.get(name.rpartition("__mutmut_")[0], [])
            set_mutant_under_test(name)
            for test in sorted(tests, key=promise, reverse=True):
                runs[test] += 1
                if not passes(test, LONGEST * (1 + seconds[test])):
                    kills[test] += 1
                    break
            else:
                survivors.append(name)
        set_mutant_under_test(CLEAN)
        for test in session.items:  # nothing that a change left behind decides
            self._check(test)
        Path("survivors.json").write_text(json.dumps(survivors))
        return True

    def _check(self, test: Any) -> None:
        if not passes(test, 600):
            sys.exit(f"{test.nodeid} fails on the code as it is")


def passes(test: Any, most_s: float) -> bool:
    """Return whether a test passes within some seconds."""
    from _pytest.runner import runtestprotocol

    signal.setitimer(signal.ITIMER_REAL, most_s)
    try:
        reports = runtestprotocol(test, log=False, nextitem=None)
    except Stuck:
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return not any(one.failed for one in reports)


def matches(mutant: str, pattern: str) -> bool:
    """Return whether mutmut's name or a function's own matches a pattern."""
    return fnmatch(mutant, pattern) or fnmatch(function_of(mutant), pattern)


def function_of(name: str) -> str:
    """Return `module.function` or `module.Class.method` of a mutant's name."""
    whole = name.rpartition("__mutmut_")[0]
    module, _, mangled = whole.rpartition(".")
    return f"{module}.{mangled.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"


def change_of(name: str, path: Path) -> str:
    """Return the lines that a mutant takes out and puts in, on one line."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    lines = get_diff_for_mutant(name, path=path).splitlines()

    def signed(sign: str) -> Iterator[str]:
        return (
            line[1:].strip() for line in lines if line.startswith(sign) and line[:3] != sign * 3
        )

    return f"{' '.join(signed('-'))} ⇒ {' '.join(signed('+'))}"


if __name__ == "__main__":
    sys.exit(session() if sys.argv[1:] == ["--session"] else main(sys.argv[1:]))
