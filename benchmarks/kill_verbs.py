"""Kill each verb that writes at random moments, and check that nothing is lost or half written.

Run `python benchmarks/kill_verbs.py [--times 100] [--verbs ingest,spend,...] [--lines 1500]`;
`--lines` is the number of lines of the sample. Each verb first runs twice undisturbed: it must
later reproduce the files that both runs wrote equally. Then it is started and killed (SIGKILL) at a
random moment before its usual end. After each kill, all existing tables must be complete, and none
of its processes may survive. After every tenth kill the verb runs to its end, and must leave
exactly the files of the undisturbed run.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import zstandard

SAMPLE = Path(__file__).parents[1] / "sample_logs" / "support_chatbot.jsonl.zst"
EVERY = 10  # the verb runs to its end after every so many kills
ALIVE_S = 20.0  # most seconds that processes of a killed verb may survive
VERBS: dict[str, Callable[[Path, Path], list[str]]] = {  # log, run → arguments
    "ingest": lambda log, run: ["ingest", str(log), "--out", str(run)],
    "spend": lambda log, run: ["spend", str(log), "--out", str(run)],
    "prefix": lambda log, run: ["prefix", str(log), "--out", str(run)],
    "analyze": lambda log, run: [
        *("analyze", str(log), "--out", str(run), "--embedder", "words"),
    ],
    "report": lambda _, run: [
        *("report", str(run), "--format", "html", "--out", str(run / "second.html")),
    ],
    "erase": lambda _, run: ["erase", str(run), "--where", "tenant=pixelhob"],
}
NEEDS_RUN = {"report": "analyze", "erase": "ingest"}  # verb → the verb that writes its input


@dataclass
class Verb:
    """One verb in its own folder."""

    name: str
    log: Path
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
            told = VERBS[first](self.log, kept)
            subprocess.run(command(told), check=True, capture_output=True)
        shutil.copytree(kept, self.run)

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it in its own process session."""
        told = VERBS[self.name](self.log, self.run)
        return subprocess.Popen(
            command(told), start_new_session=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self) -> float:
        """Run it to its end, and return the seconds."""
        started = time.monotonic()
        process = self.start()
        _, said = process.communicate()
        assert process.returncode == 0, (self.name, process.returncode, said.decode()[-2_000:])
        return time.monotonic() - started


def command(told: list[str]) -> list[str]:
    """Return a command line."""
    return [sys.executable, "-m", "costaudit", *told]


def written(run: Path) -> dict[str, bytes]:
    """Return the contents of all files of a run except its staging files."""
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and "staging" not in path.relative_to(run).parts
    }


def check_whole(run: Path) -> None:
    """Read every table that a killed verb left, to check that it is complete."""
    for path in run.rglob("*.parquet"):
        if not path.name.startswith("."):
            pl.read_parquet(path)


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
    first = written(verb.run)
    verb.prepare()
    seconds = min(seconds, verb.finish())
    second = written(verb.run)
    stable = {name: content for name, content in first.items() if second.get(name) == content}
    assert any(name.endswith((".parquet", ".html")) for name in stable), sorted(first)
    chance, hits, compared = random.Random(f"{seed} {verb.name}"), 0, 0
    verb.prepare()
    for number in range(1, times + 1):
        process = verb.start()
        time.sleep(chance.uniform(0, 1.1 * seconds))
        if process.poll() is None:
            hits += 1
            os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        check_none_alive(process.pid)
        check_whole(verb.run)
        if number % EVERY == 0 or number == times:
            if verb.name == "erase" and process.returncode == 0:
                verb.prepare()
            verb.finish()
            now = written(verb.run)
            wrong = [name for name, content in stable.items() if now.get(name) != content]
            beside = now.keys() - first.keys()
            assert not wrong and not beside, (verb.name, number, wrong, beside)
            compared += 1
            verb.prepare()
    return hits, compared


def head_of(sample: Path, lines: int) -> bytes:
    """Return the first lines of a compressed log."""
    with zstandard.open(sample, "rb") as file:
        content: bytes = file.read()
    return b"".join(content.splitlines(keepends=True)[:lines])


def main() -> None:
    """Kill every verb, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--verbs", default=",".join(VERBS))
    parser.add_argument("--lines", type=int, default=1_500)
    parser.add_argument("--dir", type=Path, default=None, help="where to work; default temporary")
    told = parser.parse_args()
    for name in told.verbs.split(","):
        with tempfile.TemporaryDirectory(prefix="costaudit-kill-", dir=told.dir) as folder:
            log = Path(folder) / "log.jsonl"
            log.write_bytes(head_of(SAMPLE, told.lines))
            hits, compared = killed(Verb(name, log, Path(folder)), told.times)
            print(
                f"{name:10} {told.times} kills, {hits} while it ran; {compared} times run to its "
                "end: the same files",
                flush=True,
            )


if __name__ == "__main__":
    main()
