"""What the shell hands to the process: its streams, its signals, and its limit of memory."""

import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from costaudit.errors import UsageError

LEAST_ADDRESS_SPACE = 2_000_000_000  # bytes; with less the libraries end the process at once
ENDED_BY = (signal.SIGTERM, signal.SIGHUP)


def open_streams() -> None:
    """Put the null device in the place of standard streams that were closed.

    Otherwise the next file that is opened would take their place, and be written into.
    """
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def check_memory_limit() -> None:
    """Raise UsageError where the shell's limit of address space is too low to work in."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise UsageError(
            f"Only {limit / 1e9:.1f} GB of address space are allowed (ulimit -v).",
            hint=f"Allow at least {LEAST_ADDRESS_SPACE / 1e9:.0f} GB: most of it is never used.",
        )


@contextmanager
def signals_interrupt() -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP interrupt as Ctrl-C does, so that worker processes end too.

    Yields a list that holds the signal's number once it has come. A signal that the parent ignores,
    as with nohup, stays ignored.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def interrupt(number: int, _: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in ENDED_BY
        if signal.getsignal(number) == signal.SIG_DFL
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
