"""Guards for a run directory that somebody else made: links, sizes and nesting.

A run directory may come from another person, so its files can be anything. A link in it would make
costaudit read, truncate or delete a file elsewhere. A file of a few kilobytes may hold a table of
billions of equal rows, which would need all memory.
"""

import os
import stat
from collections.abc import Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import msgspec

from costaudit.errors import RunDirError
from costaudit.thrift import Reader

JSON_BYTES = 256 << 20  # a manifest of a million files has less
ROW_BYTES = 8  # of memory that one value of a column takes, about
PAGE_BYTES = 1 << 16  # counted for each page besides, as each takes time
FOOTER_BYTES = 16 << 20
FREE_BYTES = 1 << 30  # tables up to this size in memory are always read
MOST_RATIO = 1_000  # memory of larger tables, relative to the file; real tables stay below 50


def check_entries(folder: Path) -> None:
    """Raise RunDirError if a run directory holds anything but files and folders.

    The directory itself may be a link. Links inside are not followed.
    """
    for where, folders, files in os.walk(folder):
        for name in sorted([*folders, *files]):
            path = Path(where) / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise RunDirError(
                    f"{path} is a link, and a run directory has none.",
                    hint="Delete the link, or read the log again into a new folder.",
                )
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise RunDirError(
                    f"{path} is neither a file nor a folder.",
                    hint="Delete it, or read the log again into a new folder.",
                )


def decoded(path: Path, most: int = JSON_BYTES) -> Any:
    """Read a file of JSON as plain values.

    Raises RunDirError if it is larger than `most` bytes or isn't JSON, FileNotFoundError if there
    is none.
    """
    data = bytes_of(path, most)
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RunDirError(f"{path} can't be read: {error}.", hint="Ingest the log again.") from None


def bytes_of(path: Path, most: int = JSON_BYTES) -> bytes:
    """Read a file; raise RunDirError if it is larger than `most` bytes."""
    size = path.stat().st_size
    if size > most:
        raise RunDirError(
            f"{path} has {size / 1e6:,.0f} MB, and costaudit writes no such file above "
            f"{most / 1e6:,.0f} MB.",
            hint="Ingest the log again.",
        )
    return path.read_bytes()


def check_rows(path: Path) -> None:
    """Raise RunDirError if a Parquet file unpacks to far more than a file of its size holds.

    Its footer may be false, so the header of each page counts too.
    """
    size = path.stat().st_size
    most = max(FREE_BYTES, MOST_RATIO * size)
    try:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            rows, memory = _unpacked(data, most)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise RunDirError(
            f"{path} is no Parquet table that can be read.", hint="Ingest the log again."
        ) from None
    if memory > most:
        raise RunDirError(
            f"{path} declares {rows:,} rows in a file of {size:,} bytes: reading them would take "
            f"{memory / 1e9:,.0f} GB of memory.",
            hint="Ingest the log again.",
        )


def _unpacked(data: mmap, most: int) -> tuple[int, int]:
    """Return the rows of a Parquet file, and about how many bytes of memory they take.

    The sum of the pages ends at `most`. Raises an exception for what is no such file.
    """
    end = len(data) - 8
    length = int.from_bytes(data[end : end + 4], "little")
    if data[end + 4 :] != b"PAR1" or length > min(end, FOOTER_BYTES):
        raise ValueError
    footer = Reader(data, end - length, end).struct()
    rows = int(footer[3])
    chunks = [column[3] for group in footer[4] for column in group[1]]
    sizes = [chunk[7] for chunk in chunks]
    if sum(sizes) > len(data) or min(sizes, default=0) < 0:
        raise ValueError  # pages that are read more than once
    values = max(rows * len(footer[2]), sum(chunk[5] for chunk in chunks))
    unpacked = 0
    for chunk in chunks:
        start = min(chunk[9], chunk.get(11) or chunk[9])  # of its values, of its dictionary
        for page in _pages(data, start, start + chunk[7]):
            unpacked += PAGE_BYTES + page[2] + ROW_BYTES * _values(page)
            if unpacked > most:
                return rows, unpacked
    return rows, max(unpacked, values * ROW_BYTES)


def _pages(data: mmap, start: int, end: int) -> Iterator[dict[int, Any]]:
    """Yield the headers of the pages in a part of a Parquet file."""
    while start < end:
        reader = Reader(data, start, end)
        page = reader.struct()
        if min(page[2], page[3], _values(page)) < 0:
            raise ValueError
        yield page
        start = reader.at + page[3]


def _values(page: dict[int, Any]) -> int:
    """Return the number of values in a page: of a dictionary or of data, version 1 or 2."""
    return sum(int(page[kind].get(1, 0)) for kind in (5, 7, 8) if kind in page)
