"""Show progress bars on stderr: stage, rate and time left."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from costaudit.progress import Progress, SilentProgress


class RichProgress:
    """Draws a bar per stage on a terminal; elsewhere, prints a line per finished stage.

    Counted stages of the same name without notes share one line.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[done]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._bars.start()
        self._task = self._bars.add_task("", visible=False, done="")
        self._stage, self._unit, self._done, self._began = "", "", 0, 0.0
        self._spent: float | None = None  # seconds of stages whose line is not printed yet

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Open a bar."""
        before = self._spent or 0.0
        if self._spent is None or (stage, unit) != (self._stage, self._unit):
            self._print_pieces()
            self._done, before = 0, 0.0
        self._stage, self._unit, self._began = stage, unit, time.monotonic() - before
        self._bars.reset(self._task, description=stage, total=total, visible=True, done="")

    def advance(self, amount: int) -> None:
        """Advance the bar."""
        self._done += amount
        spent = max(time.monotonic() - self._began, 1e-9)
        text = f"{_count(self._done)} {self._unit}, {_count(self._done / spent)}/s"
        self._bars.update(self._task, advance=amount, done=text)

    def finish(self, note: str = "") -> None:
        """Close the bar and print a line about what the stage did."""
        spent = time.monotonic() - self._began
        self._bars.update(self._task, visible=False)
        self._spent = None if note else spent
        if note:
            self._print(note, spent)

    def close(self) -> None:
        """Release the terminal."""
        self._print_pieces()
        self._bars.stop()

    def _print_pieces(self) -> None:
        if self._spent is not None:
            self._print(f"{_count(self._done)} {self._unit}", self._spent)
        self._spent = None

    def _print(self, text: str, spent: float) -> None:
        self._console.print(
            f"{self._stage:<10} {text}  ({spent:.1f} s)", markup=False, highlight=False
        )


@contextmanager
def progress_on_stderr(quiet: bool) -> Iterator[Progress]:
    """Yield progress bars on stderr, or a silent progress with `quiet`."""
    if quiet:
        yield SilentProgress()
        return
    bars = RichProgress()
    try:
        yield bars
    finally:
        bars.close()
        sys.stderr.flush()


def _count(number: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.1f}{unit}"
    return f"{number:.0f}"
