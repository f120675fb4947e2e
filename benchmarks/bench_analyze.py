"""Measure the audit of the 12,000-request sample: from scratch, repeated, and its peak memory.

It prints a Markdown table. Each run is the installed command in its own process; the first one
starts with an empty run directory. The results are checked before any time counts: the audit obeys
the ledger's law, and the second run returns the same audit without embedding anything.

    python benchmarks/bench_analyze.py [--again 5]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

LOG = Path(__file__).parent.parent / "sample_logs" / "support_chatbot.jsonl.zst"
COMMAND = Path(sys.executable).with_name("costaudit")
GIB = 1 << 30


@dataclass(frozen=True)
class Run:
    """One run of the command."""

    out: bytes
    err: str
    wall_s: float
    cpu_s: float  # user and system time of all its processes
    peak_bytes: int  # peak memory of its largest process


def timed(*arguments: str) -> Run:
    """Run the command and wait for it; fail if it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen([COMMAND, *arguments], stdout=out, stderr=err)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        out.seek(0)
        err.seek(0)
        said = err.read().decode()
        assert status == 0, said
        return Run(
            out.read(), said, wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
        )  # ru_maxrss is in KiB on Linux


def check(first: Run, second: Run) -> None:
    """Fail unless both runs return the same lawful audit, and the second one embedded nothing."""
    assert first.out == second.out
    ledger = json.loads(first.out)["ledger"]
    saved = sum((Decimal(step["saved"]["usd"]) for step in ledger["steps"]), Decimal(0))
    assert Decimal(ledger["before"]["usd"]) - saved == Decimal(ledger["after"]["usd"]) > 0
    assert json.loads(first.out)["quality"]["kept"] == 12_000
    embedded = [line.split()[1] for line in second.err.splitlines() if line.startswith("embed")]
    assert embedded and set(embedded) == {"0"}, second.err


def row(name: str, runs: list[Run], target_s: float) -> str:
    """Return the medians over some runs as a row of the table."""
    wall = statistics.median(run.wall_s for run in runs)
    cpu = statistics.median(run.cpu_s for run in runs)
    peak = max(run.peak_bytes for run in runs) / GIB
    return f"| {name} | {len(runs)} | {wall:.2f} | {target_s:g} | {cpu:.2f} | {peak:.2f} |"


def main() -> None:
    """Time the runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--again", type=int, default=3, help="repetitions of what is cached")
    again = parser.parse_args().again
    with tempfile.TemporaryDirectory() as folder:
        command = ("analyze", str(LOG), "--out", str(Path(folder) / "run"), "--format", "json")
        first = timed(*command)
        check(first, timed(*command))
        cached = [timed(*command) for _ in range(again)]
        helps = [timed("--help") for _ in range(3 * again)]
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} processors, load {load:.1f} at the end; the peak is of one process.\n")
    print("| run | times | wall s | target s | CPU s | peak GiB |")
    print("|---|--:|--:|--:|--:|--:|")
    print(row("analyze, nothing cached", [first], 60))
    print(row("analyze again", cached, 5))
    print(row("--help", helps, 0.15))
    print("\nWhere the first run's time went, as it said itself:\n")
    print("\n".join(f"    {line}" for line in first.err.splitlines()))


if __name__ == "__main__":
    main()
