"""Join Parquet files into one without decoding them: the bytes that one writer would have made.

A Parquet file is its row groups, and a footer in Thrift's compact protocol with the place of each.
Row groups are copied as they are; only the places in the footer change.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import IO

from costaudit.thrift import STRUCT, Reader

MAGIC = b"PAR1"
TAIL = 8  # bytes after the footer: its length and MAGIC
ROWS, GROUPS = 3, 4  # fields of the footer
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
            reader = Reader(told)
            for field, kind in reader.fields():
                if field == ROWS:
                    rows += reader.signed()
                elif field == GROUPS:
                    count, _ = reader.items()
                    groups += (_moved(reader, shift, len(groups) + n) for n in range(count))
                else:
                    reader.value(kind)
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
