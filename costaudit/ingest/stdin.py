"""Standard input, which can be looked at before it is read, and never stands on the disk."""

import sys
from typing import IO


class StandardInput:
    """Give standard input from its start again until the last reading, which keeps nothing."""

    def __init__(self, source: IO[bytes]) -> None:
        self.source = source
        self._kept = bytearray()
        self._at = 0
        self._is_last = False

    def rewind(self, *, is_last: bool) -> None:
        """Go back to the start; after the last time there is no way back."""
        self._at, self._is_last = 0, is_last

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        if self._at < len(self._kept):
            end = len(self._kept) if size < 0 else self._at + size
            chunk = bytes(self._kept[self._at : end])
            self._at += len(chunk)
            return chunk
        if self._is_last:
            self._kept.clear()
            self._at = 0
        chunk = self.source.read(size)
        if not self._is_last:
            self._kept += chunk
            self._at += len(chunk)
        return chunk

    def seekable(self) -> bool:
        """Tell that it can't be moved about in."""
        return False


_open: list[StandardInput] = []  # the one that was opened last


def standard_input(*, is_last: bool) -> StandardInput:
    """Open standard input at its start; `is_last` for the reading that nothing comes after."""
    if not _open or _open[0].source is not sys.stdin.buffer:
        _open[:] = [StandardInput(sys.stdin.buffer)]
    _open[0].rewind(is_last=is_last)
    return _open[0]
