"""Join Parquet files into one without decoding them: the bytes that one writer would have made.

A Parquet file is its row groups, and a footer in Thrift's compact protocol with the place of each.
Row groups are copied as they are; only the places in the footer change.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

MAGIC = b"PAR1"
TAIL = 8  # bytes after the footer: its length and MAGIC
STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)
ROWS, GROUPS = 3, 4  # fields of the footer
ORDINAL = (7,)  # of a row group; the other fields are places in the file
SHIFTED = {(5,), (1, 2), (1, 3, 9), (1, 3, 10), (1, 3, 11)}  # paths of fields below a row group


class Scanner:
    """Walks through bytes in Thrift's compact protocol."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def number(self) -> int:
        """Read an unsigned number."""
        value, shift = 0, 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield the number and the type of each field; the caller moves past its value."""
        field = 0
        while True:
            head = self.data[self.at]
            self.at += 1
            if head == STOP:
                return
            field = field + (head >> 4) if head >> 4 else unzigzag(self.number())
            yield field, head & 0x0F

    def items(self) -> tuple[int, int]:
        """Read the head of a list; return its length and the type of its items."""
        head = self.data[self.at]
        self.at += 1
        return (head >> 4 if head >> 4 < 15 else self.number()), head & 0x0F

    def skip(self, kind: int) -> None:
        """Move past a value."""
        if kind in (I16, I32, I64):
            self.number()
        elif kind in (BYTE, DOUBLE):
            self.at += 1 if kind == BYTE else 8
        elif kind == BINARY:
            size = self.number()
            self.at += size
        elif kind in (LIST, SET):
            count, inner = self.items()
            for _ in range(count):
                self.skip_item(inner)
        elif kind == STRUCT:
            for _, inner in self.fields():
                self.skip(inner)
        elif kind not in (TRUE, FALSE):
            raise ValueError(f"type {kind} at {self.at}")

    def skip_item(self, kind: int) -> None:
        """Move past an item of a list, where a truth value takes a byte."""
        if kind in (TRUE, FALSE):
            self.at += 1
        else:
            self.skip(kind)


def unzigzag(number: int) -> int:
    """Return the signed number of an unsigned one."""
    return (number >> 1) ^ -(number & 1)


def encoded(number: int) -> bytes:
    """Return an unsigned number in seven bits a byte."""
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def zigzag(number: int) -> bytes:
    """Return the value of a field; none is negative here."""
    return encoded(number << 1)


def join_parts(empty: Path, parts: Sequence[Path], whole: Path) -> None:
    """Write the row groups of `parts`, in order, to `whole`.

    `empty` was written with the same schema and settings, but has no rows.
    """
    footer = _footer(empty)
    groups: list[bytes] = []
    rows = 0
    with whole.open("wb") as file:
        file.write(MAGIC)
        for part in parts:
            told = _footer(part)
            shift = file.tell() - len(MAGIC)
            _copy(part, len(told), file)
            scanner = Scanner(told)
            for field, kind in scanner.fields():
                if field == ROWS:
                    rows += unzigzag(scanner.number())
                elif field == GROUPS:
                    count, _ = scanner.items()
                    groups += (_moved(scanner, shift, len(groups) + n) for n in range(count))
                else:
                    scanner.skip(kind)
        told = _whole(footer, rows, groups)
        file.write(told + len(told).to_bytes(4, "little") + MAGIC)


def _footer(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-TAIL, 2)
        size = int.from_bytes(file.read(4), "little")
        file.seek(-TAIL - size, 2)
        return file.read(size)


def _copy(part: Path, footer: int, file: IO[bytes]) -> None:
    """Append the row groups of a part."""
    left = part.stat().st_size - TAIL - footer - len(MAGIC)
    with part.open("rb") as read:
        read.seek(len(MAGIC))
        while left:
            block = read.read(min(left, 1 << 20))
            file.write(block)
            left -= len(block)


def _moved(scanner: Scanner, shift: int, ordinal: int) -> bytes:
    """Return the row group at the scanner, moved by `shift` bytes."""
    found: list[bytes] = []
    copied = scanner.at  # everything before is in `found`

    def put(value: bytes, start: int) -> None:
        nonlocal copied
        found.extend((scanner.data[copied:start], value))
        copied = scanner.at

    def walk(path: tuple[int, ...], kind: int) -> None:
        start = scanner.at
        if path == ORDINAL:
            scanner.skip(kind)
            put(zigzag(ordinal), start)
        elif path in SHIFTED:
            place = unzigzag(scanner.number())
            put(zigzag(place + shift if place else 0), start)
        elif path in ((), (1, 3)):
            for field, inner in scanner.fields():
                walk((*path, field), inner)
        elif path == (1,):
            for _ in range(scanner.items()[0]):
                for field, inner in scanner.fields():
                    walk((1, field), inner)
        else:
            scanner.skip(kind)

    walk((), STRUCT)
    return b"".join((*found, scanner.data[copied : scanner.at]))


def _whole(footer: bytes, rows: int, groups: Sequence[bytes]) -> bytes:
    """Return the footer of a file without rows, with these row groups."""
    scanner = Scanner(footer)
    found: list[bytes] = []
    copied = 0
    for field, kind in scanner.fields():
        start = scanner.at
        scanner.skip(kind)
        if field == ROWS:
            found += (footer[copied:start], zigzag(rows))
        elif field == GROUPS:
            size = len(groups)
            head = bytes([size << 4 | STRUCT]) if size < 15 else bytes([0xF0 | STRUCT])
            many = b"" if size < 15 else encoded(size)
            found += (footer[copied:start], head, many, *groups)
        else:
            continue
        copied = scanner.at
    return b"".join((*found, footer[copied:]))
