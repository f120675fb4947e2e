"""Join and cut Parquet files without decoding them: the bytes that one writer would have made.

A Parquet file is its row groups, and a footer in Thrift's compact protocol with the place of each.
Row groups are copied as they are; only the places in the footer change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

from costaudit.thrift import STRUCT, Reader

MAGIC = b"PAR1"
TAIL = 8  # bytes after the footer: its length and MAGIC
ROWS, GROUPS = 3, 4  # fields of the footer
GROUP_ROWS, START, SIZE = 3, 5, 6  # of a row group
ORDINAL = (7,)  # of a row group; the other fields are places in the file
SHIFTED = {(5,), (1, 2), (1, 3, 9), (1, 3, 10), (1, 3, 11)}  # paths of fields below a row group


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

    `empty` was written with the same schema and settings; its own rows are not taken.
    """
    footer = _footer(empty)
    groups: list[bytes] = []
    rows = 0
    with whole.open("wb") as file:
        file.write(MAGIC)
        for part in parts:
            told = _footer(part)
            shift = file.tell() - len(MAGIC)
            _copy(part, len(MAGIC), part.stat().st_size - TAIL - len(told), file)
            reader = Reader(told)
            for field, kind in reader.fields():
                if field == ROWS:
                    rows += reader.signed()
                elif field == GROUPS:
                    count, _ = reader.items()
                    groups += (_moved(reader, shift, len(groups) + n) for n in range(count))
                else:
                    reader.value(kind)
        _end(file, _whole(footer, rows, groups))


def cut_parts(whole: Path, ends: Sequence[int], parts: Sequence[Path]) -> None:
    """Write the row groups of `whole` to `parts`, which `join_parts` makes whole again.

    The first part has the row groups before the first of `ends`, and so on. Raises ValueError for a
    file that has anything between its row groups, or beside them.
    """
    footer = _footer(whole)
    groups = _groups(footer)
    starts = [*(one.start for one in groups), whole.stat().st_size - TAIL - len(footer)]
    if starts != [len(MAGIC), *(one.end for one in groups)]:
        raise ValueError("the row groups are not one after another")
    for (first, end), part in zip(pairwise([0, *ends]), parts, strict=True):
        shift = len(MAGIC) - starts[first]
        moved = [
            _moved(Reader(footer, one.told_at), shift, number)
            for number, one in enumerate(groups[first:end])
        ]
        with part.open("wb") as file:
            file.write(MAGIC)
            _copy(whole, starts[first], starts[end], file)
            _end(file, _whole(footer, sum(one.rows for one in groups[first:end]), moved))


@dataclass(frozen=True)
class _Group:
    """A row group, whose bytes are from `start` to `end`; `told_at` is its place in the footer."""

    told_at: int
    rows: int
    start: int
    end: int


def _groups(footer: bytes) -> list[_Group]:
    reader, found = Reader(footer), list[_Group]()
    for field, kind in reader.fields():
        if field != GROUPS:
            reader.value(kind)
            continue
        for _ in range(reader.items()[0]):
            at, told = reader.at, reader.struct()
            start = told.get(START, 0)
            found.append(_Group(at, told[GROUP_ROWS], start, start + told.get(SIZE, 0)))
    return found


def _footer(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-TAIL, 2)
        size = int.from_bytes(file.read(4), "little")
        file.seek(-TAIL - size, 2)
        return file.read(size)


def _copy(part: Path, start: int, end: int, file: IO[bytes]) -> None:
    """Append the bytes of a part from `start` to `end`."""
    with part.open("rb") as read:
        read.seek(start)
        while start < end:
            block = read.read(min(end - start, 1 << 20))
            file.write(block)
            start += len(block)


def _end(file: IO[bytes], footer: bytes) -> None:
    file.write(footer + len(footer).to_bytes(4, "little") + MAGIC)


def _moved(reader: Reader, shift: int, ordinal: int) -> bytes:
    """Return the row group at the reader, moved by `shift` bytes."""
    found: list[bytes] = []
    copied = reader.at  # everything before is in `found`

    def put(value: bytes, start: int) -> None:
        nonlocal copied
        found.extend((reader.data[copied:start], value))
        copied = reader.at

    def walk(path: tuple[int, ...], kind: int) -> None:
        start = reader.at
        if path == ORDINAL:
            reader.value(kind)
            put(zigzag(ordinal), start)
        elif path in SHIFTED:
            place = reader.signed()
            put(zigzag(place + shift if place else 0), start)
        elif path in ((), (1, 3)):
            for field, inner in reader.fields():
                walk((*path, field), inner)
        elif path == (1,):
            for _ in range(reader.items()[0]):
                for field, inner in reader.fields():
                    walk((1, field), inner)
        else:
            reader.value(kind)

    walk((), STRUCT)
    return b"".join((*found, reader.data[copied : reader.at]))


def _whole(footer: bytes, rows: int, groups: Sequence[bytes]) -> bytes:
    """Return the footer of a file without rows, with these row groups."""
    reader = Reader(footer)
    found: list[bytes] = []
    copied = 0
    for field, kind in reader.fields():
        start = reader.at
        reader.value(kind)
        if field == ROWS:
            found += (footer[copied:start], zigzag(rows))
        elif field == GROUPS:
            size = len(groups)
            head = bytes([size << 4 | STRUCT]) if size < 15 else bytes([0xF0 | STRUCT])
            many = b"" if size < 15 else encoded(size)
            found += (footer[copied:start], head, many, *groups)
        else:
            continue
        copied = reader.at
    return b"".join((*found, footer[copied:]))
