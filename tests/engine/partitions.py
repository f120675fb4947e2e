"""Functions of partitions, which other processes import, and a count of what was read."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from costaudit.errors import InputError
from costaudit.progress import SilentProgress


@dataclass(frozen=True)
class Fatal:
    """A partition that kills the process that maps it."""

    number: int
    told: Path | None = None  # a file that says that it killed one, and need not again
    spared: int = 0  # a process that it doesn't kill


def dies(task: Fatal) -> int:
    """Return the partition's number; kill this process first, as the partition says."""
    if os.getpid() != task.spared and not (task.told and task.told.exists()):
        if task.told:
            task.told.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task.number


def slow(task: tuple[int, str]) -> int:
    """Note down in a folder which node maps this partition, take a while, and return its number.

    Two partitions take eight seconds, one for each of two nodes.
    """
    number, folder = task
    (Path(folder) / f"{number}-{os.environ['NODE']}").touch()
    time.sleep(8.0 if number in (8, 9) else 0.2)
    return number


def refused(number: int) -> int:
    """Return the number, or raise InputError for 2."""
    if number == 2:
        raise InputError(f"partition {number} is bad", hint="Mend it.")
    return number


class Bytes(SilentProgress):
    """Counts the bytes that `ingest` says it has read."""

    def __init__(self) -> None:
        self.read = 0
        self._counts = False

    def start(self, stage: str, total: int | None, unit: str) -> None:
        self._counts = unit == "bytes"

    def advance(self, amount: int) -> None:
        self.read += amount if self._counts else 0
