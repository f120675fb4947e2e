"""Say before a large log is loaded if the memory may not be enough: a killed process can't."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from costaudit.contracts.run_dir import RunDir
from costaudit.progress import Progress

_FIXED_BYTES = 300e6  # of the libraries, of which most is needed by a log of any size


@dataclass(frozen=True)
class Need:
    """The memory of an analysis per call: measured on short calls, see docs/scale.md.

    Vectors of texts are not included: `say_comparison` says what they need, where all are compared.
    """

    bytes_per_call: int


SAMPLED_SWEEP = Need(900)
PREFIX = Need(700)
LEVERS = Need(800)
ANALYZE = Need(1_000)


@dataclass(frozen=True)
class Comparison:
    """An exact sweep: vectors of different questions and answers, and decisions about calls."""

    questions: int
    calls: int
    policies: int
    dimensions: int

    @property
    def size(self) -> int:
        """The bytes of the vectors, an answer's for each question's, and of the decisions."""
        return 2 * 4 * self.dimensions * self.questions + 8 * self.policies * self.calls


def say_need(need: Need, run: RunDir, progress: Progress) -> None:
    """Report what memory a run needs, if that is more than there is."""
    try:
        calls = int(pl.scan_parquet(run.requests_path).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError):  # whoever reads the table says it
        return
    _say(f"{calls:,} requests need", _FIXED_BYTES + calls * need.bytes_per_call, progress)


def say_comparison(needed: Comparison, progress: Progress) -> None:
    """Report what memory all vectors need, if that is more than there is once a log is loaded."""
    what = f"{needed.questions:,} questions, compared with their answers, need"
    _say(what, needed.size, progress)


def _say(what: str, needed: float, progress: Progress) -> None:
    free = free_bytes()
    if free is None or needed <= free:
        return
    progress.start("memory", None, "requests")
    progress.finish(
        f"{what} about {needed / 1e9:,.1f} GB, and {free / 1e9:,.1f} GB are free: "
        "if the process is killed, take a part with --since, --until or --where"
    )


def free_bytes() -> float | None:
    """Return the memory that a new process can get on Linux; None if that can't be found."""
    found = []
    with suppress(OSError, ValueError):
        told = re.search(r"MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text())
        found += [float(told[1]) * 1024] if told else []
    with suppress(OSError, ValueError):  # a container's limit; "max" is no number
        group = Path("/sys/fs/cgroup")
        most = float((group / "memory.max").read_text())
        found.append(most - float((group / "memory.current").read_text()))
    return min(found, default=None)
