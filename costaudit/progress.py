"""How long work says how far it is, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """Hear of stages: `start` opens one, `advance` moves it on, `finish` closes it."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Open a stage; `total` is in `unit`, None where it can't be known."""

    def advance(self, amount: int) -> None:
        """Move the open stage on by `amount` units."""

    def finish(self, note: str = "") -> None:
        """Close the open stage, with a short remark for the reader."""


class SilentProgress:
    """Listen to nothing: the default for library use and tests."""

    def start(self, stage: str, total: int | None, unit: str) -> None:
        """Ignore it."""

    def advance(self, amount: int) -> None:
        """Ignore it."""

    def finish(self, note: str = "") -> None:
        """Ignore it."""
