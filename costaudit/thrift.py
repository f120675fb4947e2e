"""Read Thrift's compact protocol, in which a Parquet file describes itself.

The bytes may be a stranger's, so nothing that they say costs more than reading them once: a number
has at most ten bytes, a list no more items than bytes follow, and values are nested only so deep.
"""

from collections.abc import Iterator
from mmap import mmap
from typing import Any

STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)
DEEPEST = 32  # structs and lists within each other; a footer of Parquet has about 10
LARGEST = 10  # bytes of a number of 64 bits
_FIXED = {BYTE: 1, DOUBLE: 8}  # bytes


class Reader:
    """Reads values from `at` up to `end`, at most all bytes; `at` moves on.

    All methods raise ValueError where the bytes are no such value or end too early.
    """

    def __init__(self, data: bytes | mmap, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self._end = len(data) if end is None else end
        self._depth = 0
        if not 0 <= at <= self._end <= len(data):
            raise ValueError(f"{at} to {self._end} of {len(data)} bytes")

    def number(self) -> int:
        """Read an unsigned number."""
        data, at, value = self.data, self.at, 0
        if at < self._end and (byte := data[at]) < 0x80:  # most numbers
            self.at = at + 1
            return byte
        for shift in range(0, 7 * min(LARGEST, self._end - at), 7):
            byte = data[at]
            at += 1
            if byte < 0x80:
                self.at = at
                return value | byte << shift
            value |= (byte & 0x7F) << shift
        raise ValueError(f"a number at {self.at} without an end")

    def signed(self) -> int:
        """Read a signed number."""
        value = self.number()
        return value >> 1 ^ -(value & 1)

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield the number and the type of each field of a struct; the caller reads its value."""
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self.signed()
            yield field, head & 0x0F

    def items(self) -> tuple[int, int]:
        """Read the head of a list; return its length and the type of its items."""
        head = self._byte()
        size = head >> 4 if head >> 4 < 15 else self.number()
        if size > self._end - self.at:  # each takes a byte or more
            raise ValueError(f"a list of {size} items at {self.at}")
        return size, head & 0x0F

    def struct(self) -> dict[int, Any]:
        """Read a struct; return its values by the numbers of their fields."""
        self._deeper()
        found: dict[int, Any] = {}
        field = 0
        while head := self._byte():  # as `fields` does, which takes a third longer
            kind = head & 0x0F
            field = field + (head >> 4) if head >> 4 else self.signed()
            found[field] = self.signed() if I16 <= kind <= I64 else self.value(kind)
        self._depth -= 1
        return found

    def value(self, kind: int) -> Any:
        """Read the value of a field; return None for bytes, texts and fractions.

        A struct is a dict from the numbers of its fields to their values, a set is a list.
        """
        if I16 <= kind <= I64:
            return self.signed()
        if kind == BINARY:
            return self._skip(self.number())
        if kind == STRUCT:
            return self.struct()
        if kind in (LIST, SET):
            return self._list()
        if kind in (TRUE, FALSE):  # the type is the value
            return kind == TRUE
        if kind in _FIXED:
            return self._skip(_FIXED[kind])
        raise ValueError(f"type {kind} at {self.at}")

    def _list(self) -> list[Any]:
        self._deeper()
        size, kind = self.items()
        if kind in (TRUE, FALSE):  # in a list, a truth value takes a byte
            found = [self._byte() == TRUE for _ in range(size)]
        else:
            found = [self.value(kind) for _ in range(size)]
        self._depth -= 1
        return found

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} values in each other at {self.at}")

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > self._end:
            raise ValueError(f"{size} bytes before {self.at}")

    def _byte(self) -> int:
        at = self.at
        if at >= self._end:
            raise ValueError(f"no byte at {at}")
        self.at = at + 1
        return self.data[at]
