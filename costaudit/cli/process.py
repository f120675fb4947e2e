"""Handle the process's streams, their width, signals and the memory limit."""

import os
import resource
import shutil
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO, cast

import typer

from costaudit.errors import UsageError

LEAST_ADDRESS_SPACE = 2_000_000_000  # bytes; with less, the libraries end the process
ENDED_BY = (signal.SIGTERM, signal.SIGHUP)


def open_streams() -> None:
    """Open the null device for standard streams that are closed.

    Otherwise, the next opened file would take their number, and output would go into it.
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
    if not isinstance(sys.stderr, Messages):
        sys.stderr = cast(TextIO, Messages(sys.stderr))


class Messages:
    """A stream for messages, which drops what can't be written: that must not end the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text if the stream takes it."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered if the stream takes it."""
        try:
            self._stream.flush()
        except OSError:  # what stays in the buffer would fail again when the process ends
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        """Return everything else of the stream."""
        return getattr(self._stream, name)


def columns_of(stream: TextIO) -> int | None:
    """Return the columns of a stream's terminal, or $COLUMNS; None for a file without them."""
    if not stream.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        return None
    return shutil.get_terminal_size().columns


def wrapped(text: str, width: int | None, indent: str = "") -> str:
    """Break each line of a text between words; later lines start with `indent`.

    Words stay whole, so that a path can be copied. None means no limit.
    """
    if width is None:
        return text
    lines = (
        textwrap.wrap(
            line, max(width, 20), subsequent_indent=indent, break_long_words=False,
            break_on_hyphens=False, drop_whitespace=True,
        )
        for line in text.split("\n")
    )  # fmt: skip
    return "\n".join("\n".join(part) for part in lines)


def say(text: str, indent: str = "", *, err: bool = False) -> None:
    """Print a text on stdout or stderr, in the width of its terminal."""
    stream = sys.stderr if err else sys.stdout
    typer.echo(wrapped(text, columns_of(stream), indent), err=err)


def check_memory_limit() -> None:
    """Raise UsageError if the shell's limit of address space is too low."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise UsageError(
            f"The shell allows only {limit / 1e9:.1f} GB of address space (ulimit -v).",
            hint=f"Allow at least {LEAST_ADDRESS_SPACE / 1e9:.0f} GB; most of it stays unused.",
        )


@contextmanager
def signals_interrupt() -> Iterator[list[int]]:
    """Let SIGTERM and SIGHUP interrupt like Ctrl-C, so that worker processes end too.

    Yield a list that gets the number of a received signal. A signal that the parent ignores, as
    with nohup, stays ignored.
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
