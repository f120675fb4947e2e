"""A progress that kills processes while a log is read or assembled."""

import multiprocessing
import os
import signal

from costaudit.progress import SilentProgress


class Killing(SilentProgress):
    """Kills the other processes of a pool, or this one, when a stage has done a part.

    The stages are ingest, in which logs are read, and assemble, in which tables are written.
    """

    def __init__(self, *, this: bool, stage: str = "assemble") -> None:
        self.killed = 0
        self._this = this
        self._stage = stage
        self._is_there = False

    def start(self, stage: str, total: int | None, unit: str) -> None:
        self._is_there = stage == self._stage

    def advance(self, amount: int) -> None:
        if not self._is_there or self.killed:
            return
        self.killed += 1
        if self._this:
            os.kill(os.getpid(), signal.SIGKILL)
        for process in multiprocessing.active_children():
            self.killed += 1
            os.kill(process.pid or 0, signal.SIGKILL)
