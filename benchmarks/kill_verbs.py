"""Kill each verb that writes at random moments, and check that nothing is lost or half written.

Run `python benchmarks/kill_verbs.py [--times 100] [--verbs ingest,spend,...] [--lines 200]`;
`--lines` is the number of lines of the sample. Each verb first runs twice undisturbed: it must
later reproduce the files that both runs wrote equally. Then it is started and killed (SIGKILL) at a
random moment before its usual end. After each kill, all existing tables and JSON files must be
complete, and none of its processes may survive. After every tenth kill the verb runs to its end,
and must print the same and leave exactly the files of the undisturbed run; no temporary file may be
left. Verbs that take a log are also killed without `--out`, where they work in temporary folders.

The libraries are imported once, and each run is a fork of this process, so that kills meet the work
of a verb and not its imports. Embedder and judge are the small classes of `kill_plugins.py`.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import zstandard

SAMPLE = Path(__file__).parents[1] / "sample_logs" / "support_chatbot.jsonl.zst"
PLUGINS = Path(__file__).with_name("kill_plugins.py")
EVERY = 10  # the verb runs to its end after every so many kills
ALIVE_S = 20.0  # most seconds that processes of a killed verb may survive
VECTORS = ("--embedder", f"{PLUGINS}:Letters")
JUDGE = ("--judge", f"{PLUGINS}:SameWords")
CANDIDATE = "recorded:answers.jsonl?model=gpt-4.1-nano"
READERS = ("doctor", "spend", "forecast", "prefix", "sessions", "levers")
VERBS: dict[str, tuple[str, ...]] = {  # in a folder with log.jsonl, answers.jsonl and `run`
    "ingest": ("log.jsonl", "--out", "run"),
    "spend": ("log.jsonl", "--out", "run"),
    "forecast": ("log.jsonl", "--out", "run"),
    "prefix": ("log.jsonl", "--out", "run"),
    "sessions": ("log.jsonl", "--out", "run"),
    "levers": ("log.jsonl", "--out", "run"),
    "sweep": ("log.jsonl", "--out", "run", *VECTORS),
    "clusters": ("log.jsonl", "--out", "run", *VECTORS),
    "analyze": ("log.jsonl", "--out", "run", *VECTORS),
    "demo": ("--out", "run"),
    **{f"{verb} LOG": ("log.jsonl",) for verb in READERS},
    "compare": ("before", "before"),
    "claims": ("before",),
    "judge": ("run", "--sample", "40", "--threshold", "0.8", *VECTORS, *JUDGE),
    "route": ("run", "--sample", "30", "--candidate", CANDIDATE, *JUDGE),
    "replay": ("run", "--cache", "memory://", "--threshold", "0.9", *VECTORS),
    "warm": ("run", "--file", "run/warm.jsonl", *VECTORS),
    "monitor": ("run", "--out", "run/monitoring"),
    "gate": ("run", "--max-unpriced-share", "50%", "--junit", "run/junit.xml"),
    "report": ("run", "--format", "html", "--out", "run/second.html"),
    "erase": ("run", "--where", "tenant=pixelhob"),
}
NEEDS_RUN = {  # verb → the verb that writes its input
    "judge": "ingest", "route": "ingest", "replay": "ingest", "warm": "ingest",
    "compare": "analyze", "claims": "analyze",
    "monitor": "analyze", "gate": "analyze", "report": "analyze", "erase": "analyze",
}  # fmt: skip
PRELOADED = (
    "costaudit.cli.main", "costaudit.pipeline.analyze", "costaudit.pipeline.replaying.replay",
    "costaudit.pipeline.routing.route", "costaudit.pipeline.erase", "costaudit.report.reporters",
    "costaudit.report.tables.semantic", "costaudit.embed.minilm", "scipy.stats", "faiss",
)  # fmt: skip


def forked(task: Callable[[], int]) -> int:
    """Start a task in a fork of this process, with its own process session; return its id."""
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        os.setsid()
        code = task()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def waited(process: int) -> int:
    """Wait for a fork, and return its exit code; below 0 for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def has_ended(process: int) -> bool:
    """Return whether a fork has ended; it can still be waited for."""
    return os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def ran(folder: Path, verb: str) -> int:
    """Run a verb in a folder, with its output in `stdout` and `stderr`; return its exit code."""
    from costaudit.cli.main import main

    os.chdir(folder)
    tempfile.tempdir = str(folder / "tmp")
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    return main([verb.split()[0], *VERBS[verb]])


@dataclass
class Verb:
    """One verb in its own folder."""

    name: str
    folder: Path

    @property
    def run(self) -> Path:
        """The directory that it writes to."""
        return self.folder / "run"

    def prepare(self) -> None:
        """Reset its run directory to the state before the verb."""
        shutil.rmtree(self.run, ignore_errors=True)
        first = NEEDS_RUN.get(self.name)
        if first is None:
            return
        kept = self.folder / "before"
        if not kept.exists():
            Verb(first, self.folder).finish()
            self.run.rename(kept)
        shutil.copytree(kept, self.run)

    def start(self) -> int:
        """Start it in its own process session, and return the process's id."""
        return forked(lambda: ran(self.folder, self.name))

    def finish(self) -> float:
        """Run it to its end, and return the seconds."""
        started = time.monotonic()
        code = waited(self.start())
        assert code == 0, (self.name, code, (self.folder / "stderr").read_text()[-2_000:])
        return time.monotonic() - started


def written(folder: Path) -> dict[str, bytes]:
    """Return what a verb printed and the contents of all files that it left, without staging."""
    files = [path for name in ("run", "tmp") for path in sorted((folder / name).rglob("*"))]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in [folder / "stdout", *files]
        if path.is_file() and "staging" not in path.relative_to(folder).parts
    }


def other_names(now: dict[str, bytes], before: dict[str, bytes]) -> set[str]:
    """Return the names of new files, except parts of vectors, whose size depends on the speed."""
    return {name for name in now.keys() - before.keys() if not name.startswith("run/vectors/")}


def check_whole(run: Path) -> int:
    """Read every file that a killed verb left, to check that it is complete; return 0."""
    import polars as pl

    for path in run.rglob("*"):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix == ".parquet":
            pl.read_parquet(path)
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".html":
            assert path.read_bytes().rstrip().endswith(b"</html>"), path
    return 0


def check_none_alive(session: int) -> None:
    """Wait until all processes of a session have ended; raise AssertionError if one doesn't."""
    deadline = time.monotonic() + ALIVE_S
    while (left := processes_of(session)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, f"processes {left} of a killed verb live on"


def processes_of(session: int) -> list[int]:
    """Return the ids of the living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(told[3]) == session and told[0] != "Z":
            found.append(int(path.parent.name))
    return found


def killed(verb: Verb, times: int, seed: int = 0) -> tuple[int, int]:
    """Kill a verb `times` times; return how often it was still running, and was compared."""
    verb.prepare()
    seconds = verb.finish()
    first = written(verb.folder)
    verb.prepare()
    seconds = min(seconds, verb.finish())
    second = written(verb.folder)
    stable = {name: content for name, content in first.items() if second.get(name) == content}
    assert stable and not other_names(first, second), other_names(first, second)
    assert not list((verb.folder / "tmp").iterdir())
    chance, hits, compared = random.Random(f"{seed} {verb.name}"), 0, 0
    verb.prepare()
    rest = seconds  # that are left to do: later runs go on where killed ones ended
    for number in range(1, times + 1):
        process, started = verb.start(), time.monotonic()
        until = started + chance.uniform(0, rest)
        while time.monotonic() < until and not has_ended(process):
            time.sleep(0.01)
        os.kill(process, signal.SIGKILL)  # it has not been waited for, so the id is still its own
        code = waited(process)
        hits += code == -signal.SIGKILL
        rest = min(rest, time.monotonic() - started) if code == 0 else rest
        check_none_alive(process)
        assert waited(forked(lambda: check_whole(verb.run))) == 0, (verb.name, number)
        if verb.name == "erase" and (code == 0 or (verb.folder / "stdout").read_bytes()):
            verb.prepare()  # it has said that it is done, and finds nothing the second time
        if number % EVERY == 0 or number == times:
            verb.finish()
            now = written(verb.folder)
            wrong = [name for name, content in stable.items() if now.get(name) != content]
            beside = other_names(now, first)
            assert not wrong and not beside, (verb.name, number, wrong, beside)
            left = [*(verb.folder / "tmp").iterdir(), *verb.run.rglob("*.part")]
            assert not left, (verb.name, number, left)
            compared += 1
            verb.prepare()
            rest = seconds
    return hits, compared


def part_of(sample: Path, lines: int) -> bytes:
    """Return lines of a compressed log, equally far apart: some from each of its days."""
    with zstandard.open(sample, "rb") as file:
        content: bytes = file.read()
    every = content.splitlines(keepends=True)
    return b"".join(every[:: max(1, len(every) // lines)][:lines])


def write_inputs(folder: Path, lines: int) -> None:
    """Write the log, and answers of another model to each of its calls."""
    log = part_of(SAMPLE, lines)
    (folder / "log.jsonl").write_bytes(log)
    replies = [json.loads(line)["response"] for line in log.splitlines()]
    ids = [reply["id"] for reply in replies if reply and "id" in reply]
    answers = [
        {"request_id": one, "answer": "Yes.", "input_tokens": 900 + place, "output_tokens": 2}
        for place, one in enumerate(ids)
    ]
    text = "".join(json.dumps(one) + "\n" for one in answers)
    (folder / "answers.jsonl").write_text(text)
    (folder / "tmp").mkdir()


def main() -> int:
    """Kill every verb, and print a line for each; return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--verbs", default=",".join(VERBS))
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--dir", type=Path, default=None, help="where to work; default temporary")
    told = parser.parse_args()
    for name in PRELOADED:
        __import__(name)
    failed = 0
    for name in told.verbs.split(","):
        with tempfile.TemporaryDirectory(prefix="costaudit-kill-", dir=told.dir) as folder:
            write_inputs(Path(folder), told.lines)
            started = time.monotonic()
            try:
                hits, compared = killed(Verb(name, Path(folder)), told.times)
            except AssertionError as error:
                print(f"{name:13} FAILED: {error}", flush=True)
                failed = 1
                continue
            print(
                f"{name:13} {told.times} kills, {hits} while it ran; {compared} times run to its "
                f"end: the same files  ({time.monotonic() - started:.0f} s)",
                flush=True,
            )
    return failed


if __name__ == "__main__":
    sys.exit(main())
