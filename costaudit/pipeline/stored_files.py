"""The objects as which the files of a run are stored, and the manifest that names them.

A table is cut into the objects of a Hive layout, which are joined to the same bytes again.
REQUESTS is in `requests/month=2026-11/DIGEST.parquet`, by the UTC month of `ts`, and BLOCKS in
`blocks/DIGEST.parquet`. Each object is some of the table's row groups, and a Parquet file.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xxhash import xxh3_128

from costaudit.ingest.assembly.parquet_parts import cut_parts, join_parts

VERSION = 2
READABLE = (1, VERSION)  # in version 1, each file was one object
TIMES = {"requests.parquet": "ts", "blocks.parquet": None}  # table → column with its months
UNTIMED = "__HIVE_DEFAULT_PARTITION__"  # Hive's name for null
MOST = 64 << 20  # bytes of an object; more if a row group has more
CHUNK = 1 << 20


@dataclass(frozen=True)
class StoredFile:
    """One file of a run, and the objects that have its content."""

    size: int  # bytes
    digest: str  # xxh3_128 of the content
    mtime_ns: int
    object: str = ""  # its name below the URL
    parts: tuple[str, ...] = ()  # instead, of a table: names of objects with its row groups

    @property
    def objects(self) -> tuple[str, ...]:
        """The names of its objects, in order."""
        return self.parts or (self.object,)


@dataclass(frozen=True)
class Stored:
    """The manifest of a stored run; what it doesn't name is not part of the run."""

    version: int
    generation: int  # number of commits
    writer: str
    files: dict[str, StoredFile]  # by path within the run directory

    @property
    def objects(self) -> set[str]:
        """The names of all objects of the run."""
        return {name for one in self.files.values() for name in one.objects}


def digest_of(path: Path) -> str:
    """Return the xxh3_128 of a file's content."""
    digest = xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def cut_table(table: Path, scratch: Path, most: int = MOST) -> list[tuple[str, Path]]:
    """Cut a table of a run into files in `scratch`; return the names of their objects, in order.

    Return none if a row group has calls of several months, as in tables of earlier versions, or if
    the files would not be the same bytes again.
    """
    try:
        cuts = list(_cuts(table, most))
        parts = [scratch / f"{table.stem}-{number:06d}" for number in range(len(cuts))]
        cut_parts(table, [end for end, _ in cuts], parts)
    except (ValueError, KeyError):  # it is no such table
        return []
    whole = scratch / f"{table.stem}-whole"
    join_parts(parts[0], parts, whole)
    is_same = digest_of(whole) == digest_of(table)
    whole.unlink()
    if not is_same:
        return []
    return [
        (f"{folder}/{digest_of(part)}.parquet", part)
        for (_, folder), part in zip(cuts, parts, strict=True)
    ]


def _cuts(table: Path, most: int) -> Iterator[tuple[int, str]]:
    """Yield where each file ends, as a number of row groups, and the folder of its object.

    A table without rows is one file. Raises ValueError for a row group with several months.
    """
    import pyarrow.parquet as pq

    told, by = pq.read_metadata(table), TIMES[table.name]
    names = [told.schema.column(number).path for number in range(told.num_columns)]
    place = None if by is None else names.index(by)
    last = table.stem if by is None else f"{table.stem}/month={UNTIMED}"
    size = 0
    for number in range(told.num_row_groups):
        group = told.row_group(number)
        own = sum(group.column(at).total_compressed_size for at in range(group.num_columns))
        folder = last
        if place is not None:
            month = _month(group.column(place).statistics, group.num_rows)
            folder = f"{table.stem}/month={month}"
        if number and (folder != last or size + own > most):
            yield number, last
            size = 0
        last, size = folder, size + own
    yield told.num_row_groups, last


def _month(statistics: Any, rows: int) -> str:
    """Return the month of a row group; raises ValueError if that can't be told."""
    if statistics is None:
        raise ValueError("a row group without statistics")
    if statistics.null_count == rows:
        return UNTIMED
    first, last = (f"{moment:%Y-%m}" for moment in (statistics.min, statistics.max))
    if statistics.null_count or first != last:
        raise ValueError("a row group of several months")
    return first


def files_of(folder: Path) -> list[Path]:
    """Return the files of a run; not its marker, nor what a killed process left half written."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name != ".costaudit"
        and not (path.name.startswith(".") and path.name.endswith(".part"))
    )


def described(
    folder: Path, before: Stored, scratch: Path
) -> tuple[dict[str, StoredFile], dict[str, Path]]:
    """Return the files of a run, and the objects to store with the files of their content."""
    files: dict[str, StoredFile] = {}
    content: dict[str, Path] = {}
    for path in files_of(folder):
        name, status, digest = path.relative_to(folder).as_posix(), path.stat(), digest_of(path)
        one = StoredFile(status.st_size, digest, status.st_mtime_ns)
        known = before.files.get(name) if before.version == VERSION else None
        if known is not None and known.digest == digest:
            files[name] = replace(known, mtime_ns=one.mtime_ns)
            continue
        cut = cut_table(path, scratch) if name in TIMES else []
        content |= cut or {f"data/{digest}-{path.name}": path}
        parts = tuple(part for part, _ in cut)
        files[name] = replace(one, parts=parts, object="" if cut else f"data/{digest}-{path.name}")
    return files, content
