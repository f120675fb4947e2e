"""Measure the rate and the memory of each stage by size of the log and by engine.

Run `python -m benchmarks.bench_scale [--requests 100000,1000000] [--engines local,pool,ray]`. The
log is that of `bench_million`: short requests with answers, most questions asked once or a few
times. Before a row is printed its result is checked: `ingest` has written the same bytes with each
engine, and `spend` has the log's tokens. Memory is that of all processes of a command together
(proportional set sizes, three times a second), so pages that processes share count once. Sizes must
grow, because the last column compares a row with the row of the size before.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bench_analyze import COMMAND
from benchmarks.bench_million import write_log

TABLES = ("requests.parquet", "blocks.parquet", "skips.parquet")
STAGES: dict[str, tuple[str, ...]] = {
    "spend": ("{run}", "--format", "json"),
    "prefix": ("{run}",),
    "levers": ("{run}",),
    "sweep --sample 1000": ("{run}", "--sample", "1000"),
}
TICKS = 100  # of /proc's clock in a second
SAMPLE_S = 0.3


@dataclass
class Watched:
    """What a command and all its processes took."""

    out: bytes = b""
    wall_s: float = 0.0
    peak_bytes: int = 0
    ticks: dict[int, int] = field(default_factory=dict)  # process → its CPU time, last seen
    waited_s: float = 0.0  # CPU time of the processes that were waited for; not Ray's workers

    @property
    def cpu_s(self) -> float:
        """CPU time of all processes."""
        return max(sum(self.ticks.values()) / TICKS, self.waited_s)


def tree(root: int) -> Iterator[tuple[int, list[str]]]:
    """Yield each process below `root`, and itself, with the fields of its /proc/PID/stat."""
    fields: dict[int, list[str]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            text = path.read_text()
            fields[int(path.parent.name)] = text[text.rindex(")") + 2 :].split()
    below = {root}
    while more := {one for one, told in fields.items() if int(told[1]) in below} - below:
        below |= more
    yield from ((one, fields[one]) for one in below if one in fields)


def look(root: int, watched: Watched) -> None:
    """Take note of the memory and the CPU time of a process and those below it."""
    total = 0
    for process, told in tree(root):
        watched.ticks[process] = int(told[11]) + int(told[12])
        with suppress(OSError):
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
            total += next(int(row.split()[1]) for row in text.splitlines() if row[:4] == "Pss:")
    watched.peak_bytes = max(watched.peak_bytes, total << 10)


def watch(*arguments: str) -> Watched:
    """Run the command, and watch it and its processes until it ends; fail if it fails."""
    watched = Watched()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen([COMMAND, *arguments], stdout=out, stderr=err)
        while True:
            look(process.pid, watched)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(SAMPLE_S)
        watched.wall_s = time.perf_counter() - started
        watched.waited_s = used.ru_utime + used.ru_stime
        out.seek(0)
        err.seek(0)
        assert status == 0, err.read().decode()
        watched.out = out.read()
    return watched


def digest(run: Path) -> str:
    """Return a digest of a run's tables."""
    found = hashlib.sha256()
    for name in TABLES:
        found.update((run / name).read_bytes())
    return found.hexdigest()


def stages(folder: Path, requests: int, engines: list[str]) -> Iterator[tuple[str, Watched]]:
    """Yield each stage and what it took, after its result was checked."""
    log, run = folder / "log.jsonl", folder / "run"
    truth = write_log(log, requests)
    print(f"\n{truth}, {log.stat().st_size / 1e6:,.0f} MB", file=sys.stderr)
    digests = set()
    for engine in engines:
        shutil.rmtree(run, ignore_errors=True)
        took = watch("ingest", str(log), "--out", str(run), "--engine", engine)
        digests.add(digest(run))
        assert len(digests) == 1, f"{engine} wrote other tables"
        yield f"ingest --engine {engine}", took
    for verb, options in STAGES.items():
        took = watch(verb.split()[0], *(one.format(run=run) for one in options))
        if verb == "spend":
            told = took.out.decode()
            assert all(str(truth[name]) in told for name in ("requests", "input", "output"))
        yield verb, took


def main() -> None:
    """Write a log of each size, run each stage, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", default="100000,1000000")
    parser.add_argument("--engines", default="local,pool,ray")
    told = parser.parse_args()
    before: dict[str, tuple[int, float]] = {}
    print("| requests | stage | wall s | CPU s | requests per CPU s | peak MB | CPU s, growth |")
    print("|--:|---|--:|--:|--:|--:|--:|")
    for requests in map(int, told.requests.split(",")):
        with tempfile.TemporaryDirectory(prefix="costaudit-scale-") as folder:
            for stage, took in stages(Path(folder), requests, told.engines.split(",")):
                growth = ""
                if stage in before:
                    size, cpu = before[stage]
                    growth = f"{took.cpu_s / cpu:.1f} for {requests / size:g} times the log"
                before[stage] = requests, took.cpu_s
                print(
                    f"| {requests:,} | `{stage}` | {took.wall_s:.0f} | {took.cpu_s:.0f} "
                    f"| {requests / took.cpu_s:,.0f} | {took.peak_bytes / 1e6:,.0f} | {growth} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
