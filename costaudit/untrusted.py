"""Guards for a run directory that somebody else made: links, sizes and nesting.

A run directory may come from another person, so its files can be anything. A link in it would make
costaudit read, truncate or delete a file elsewhere. A file of a few kilobytes may hold a table of
billions of equal rows, which would need all memory.
"""

import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from costaudit.errors import RunDirError

JSON_BYTES = 256 << 20  # a manifest of a million files has less
ROW_BYTES = 8  # of memory that one value of a column takes, about
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
    """Raise RunDirError if a Parquet file declares far more rows than a file of its size holds.

    Only its footer is read. Raises PolarsError if that can't be done.
    """
    table = pl.scan_parquet(path)
    columns = len(table.collect_schema())
    rows = int(table.select(pl.len()).collect().item())
    memory = rows * max(columns, 1) * ROW_BYTES
    if memory > max(FREE_BYTES, MOST_RATIO * path.stat().st_size):
        raise RunDirError(
            f"{path} declares {rows:,} rows in a file of {path.stat().st_size:,} bytes: reading "
            f"them would take {memory / 1e9:,.0f} GB of memory.",
            hint="Ingest the log again.",
        )
