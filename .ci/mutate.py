"""Change the code that makes figures in small ways, and fail where no test notices.

mutmut makes the changes and runs the tests of [tool.mutmut] in pyproject.toml. Each change that
survives must be in `.ci/survivors.toml`, with the reason why it is accepted. Run it with the names
of functions, such as `costaudit.costing.spend.*`, or without one for all of PARTS.
"""

import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

LEDGER = "costaudit.costing.ledger."
PARTS = (
    "costaudit.answers.recommend.*",
    f"{LEDGER}x_build_ledger*",
    f"{LEDGER}xǁ_Bookǁ_alone*",
    f"{LEDGER}xǁ_Bookǁ_after*",
    f"{LEDGER}xǁ_Bookǁ_of_wrong_hits*",
    f"{LEDGER}xǁ_Bookǁ_forfeited*",
    f"{LEDGER}xǁ_Bookǁcontains*",
    f"{LEDGER}xǁ_Sceneǁwithout_cooling*",
    "costaudit.costing.traffic.x_anchored*",
    "costaudit.simulate.prefix.advice.mend_runs.xǁMendRunsǁ_billed*",
    "costaudit.simulate.prefix.advice.mend_runs.xǁMendRunsǁ_usd*",
)  # as mutmut names them: x_function, xǁClassǁmethod
SURVIVED = frozenset({"survived", "no tests", "suspicious"})


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    function: str  # module and function, such as costaudit.costing.spend.spend
    change: str  # the lines that differ, as `old ⇒ new`


def main(names: list[str]) -> int:
    """Run the mutants of `names`, and return 1 if one survives that is not accepted."""
    wanted = names or list(PARTS)
    run = [sys.executable, "-c", "from mutmut.__main__ import cli; cli()", "run", *wanted]
    done = subprocess.run(run)
    if done.returncode:
        return done.returncode
    survivors, counts = outcome(wanted)
    listed = tomllib.loads(Path(".ci/survivors.toml").read_text("utf-8"))["accepted"]
    accepted = {Mutant(one["function"], one["change"]) for one in listed}
    new = [one for one in survivors if one not in accepted]
    chosen = tuple(name.replace("x_", "").replace("xǁ", "").replace("ǁ", ".") for name in wanted)
    gone = [
        one
        for one in accepted
        if one not in survivors and any(fnmatch(one.function, name) for name in chosen)
    ]
    for one in sorted(gone, key=lambda one: (one.function, one.change)):
        sys.stdout.write(f"dies now, so take it off the list: {one.function}: {one.change}\n")
    for one in new:
        sys.stdout.write(f"SURVIVES: {one.function}\n    {one.change}\n")
    counted = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    sys.stdout.write(f"{counted}; {len(new)} of the survivors are new\n")
    return 1 if new else 0


def outcome(names: list[str]) -> tuple[list[Mutant], Counter[str]]:
    """Return what survived of the mutants with these names, and count the fates of all."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code
    from mutmut.utils.file_utils import walk_mutatable_files

    survivors: list[Mutant] = []
    counts: Counter[str] = Counter()
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            if any(fnmatch(name, pattern) for pattern in names):
                fate = status_by_exit_code[code]
                counts[fate] += 1
                if fate in SURVIVED:
                    survivors.append(Mutant(function_of(name), change_of(name, path)))
    return survivors, counts


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
    sys.exit(main(sys.argv[1:]))
