"""The interface through which long tasks report progress."""

from typing import Protocol


class Progress(Protocol):
    """Receives progress: `start` opens a stage, `advance` moves it, `finish` closes it."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Open a stage; `total` is a number of `unit`, or None if unknown."""

    def advance(self, amount: int) -> None:
        """Advance the open stage by `amount` units."""

    def finish(self, note: str = "") -> None:
        """Close the open stage, with a short note."""


class SilentProgress:
    """Ignores progress: the default for the library and tests."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Do nothing."""

    def advance(self, amount: int) -> None:
        """Do nothing."""

    def finish(self, note: str = "") -> None:
        """Do nothing."""
