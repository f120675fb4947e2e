"""A progress that kills processes while a log is assembled."""

import multiprocessing
import os
import signal

from costaudit.progress import SilentProgress


class Killing(SilentProgress):
    """Kills the other processes of a pool, or this one, when a part of a table is written."""

    def __init__(self, *, this: bool) -> None:
        self.killed = 0
        self._this = this
        self._is_assembling = False

    def start(self, stage: str, total: int | None, unit: str) -> None:
        self._is_assembling = stage == "assemble"

    def advance(self, amount: int) -> None:
        if not self._is_assembling or self.killed:
            return
        self.killed += 1
        if self._this:
            os.kill(os.getpid(), signal.SIGKILL)
        for process in multiprocessing.active_children():
            self.killed += 1
            os.kill(process.pid or 0, signal.SIGKILL)
