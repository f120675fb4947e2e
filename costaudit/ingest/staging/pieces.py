"""Read back the staged pieces of all files, and check whether the run's tables are up to date."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
from xxhash import xxh3_128_hexdigest

from costaudit.contracts.manifest import IngestCounts, InputFile, TablesMade
from costaudit.contracts.run_dir import RunDir
from costaudit.errors import RunDirError
from costaudit.ingest.content.redaction import Redaction, Redactor
from costaudit.ingest.options import IngestSummary
from costaudit.ingest.staging.piece_tables import SMALL, joined, lists_of, write_tables
from costaudit.ingest.staging.plan import STAGING, FileStaging, FileState, stagings
from costaudit.ingest.staging.read_task import Span

LIGHT = (  # columns that decide which rows are the same call
    "offset", "index", "ts_us",
    "source", "native_id", "same_as", "join_key", "half", "provider", "model", "tenant", "user",
    "conversation", "convention", "input", "output", "cache_read", "cache_write_5m",
    "cache_write_1h", "cache_write_other", "other_ttl", "unstated_writes", "reasoning", "total",
    "usage_source", "logged_cost", "cost_unit", "status", "attempt", "served_by", "updated_us",
    "prompt_tokens", "prompt_hash", "answer_tokens", "marker_ttl", "kind", "answer_hash",
    "latency_ms", "session", "forked_from", "span", "within", "billed_units",
)  # fmt: skip
Ints = npt.NDArray[Any]  # of whole numbers
WORK = ".assembly"  # folder of what is only needed while a run is assembled
JOINED_BYTES = 32 << 20  # maximum number of bytes of small pieces that are joined into one


@dataclass(frozen=True)
class Piece:
    """The four tables of a committed stretch of one file, or of several joined small pieces."""

    file: str | None  # name of the file; None if the tables have a column `source_file`
    stem: Path  # path of the tables without their suffix

    def table(self, name: str) -> Path:
        """Return the path of one of its tables: rows, segments, blocks or skips."""
        return self.stem.with_suffix(f".{name}")

    def small_bytes(self) -> int:
        """Return the size in bytes of a small piece without tables; 0 if it has tables."""
        path = self.stem.with_suffix(SMALL)
        return path.stat().st_size if path.is_file() else 0

    def rows(self, columns: Sequence[str], chosen: Ints | None = None) -> pl.DataFrame:
        """Return these columns of its rows or of some of them, and `source_file`."""
        names = [*columns] if self.file is not None else [*columns, "source_file"]
        path = self.table("rows")
        if chosen is None:
            return self.with_file(pl.read_parquet(path, columns=names))
        return self.with_file(_some(path, chosen, names))

    def blocks(self, chosen: Ints) -> pl.DataFrame:
        """Return some of its blocks, in order."""
        return _some(self.table("blocks"), chosen)

    def with_file(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return rows or skips with `source_file` added if they lack it."""
        return frame if self.file is None else frame.with_columns(source_file=pl.lit(self.file))


@dataclass(frozen=True)
class FilePieces:
    """The state, committed stretches and pieces of one file."""

    state: FileState
    spans: tuple[Span, ...]
    pieces: tuple[Piece, ...]


class Pieces:
    """All staged pieces of a run, ordered by file name and offset."""

    def __init__(self, run: Path) -> None:
        self.files = [_file(state, staging) for state, staging in stagings(run)]
        self.work = run / STAGING / WORK

    @property
    def is_empty(self) -> bool:
        """Return whether there are no pieces."""
        return not any(file.pieces for file in self.files)

    @cached_property
    def all(self) -> list[Piece]:
        """Return all pieces with tables; small ones are joined into tables that `close` removes."""
        self.close()
        found: list[Piece] = []
        waiting: list[Piece] = []
        held = 0
        for piece in (piece for file in self.files for piece in file.pieces):
            size = piece.small_bytes()
            if waiting and (not size or held + size > JOINED_BYTES):
                found.append(self._join(waiting, len(found)))
                waiting, held = [], 0
            (waiting if size else found).append(piece)
            held += size
        return [*found, self._join(waiting, len(found))] if waiting else found

    def _join(self, smalls: Iterable[Piece], number: int) -> Piece:
        content, *files = joined((str(piece.file), piece.stem) for piece in smalls)
        whole = Piece(None, self.work / f"piece-{number:06d}")
        write_tables(whole.stem, content, Redactor(Redaction()), (files[0], files[1]))
        return whole

    def close(self) -> None:
        """Remove what was only needed to assemble the run, or left by a killed process."""
        shutil.rmtree(self.work, ignore_errors=True)

    def links(self) -> pl.DataFrame:
        """Return `span` and `within` of skipped records that are in a trace."""
        links = pl.concat(
            pl.read_parquet(piece.table("skips"), columns=["span", "within"]) for piece in self.all
        )
        return links.drop_nulls()

    def skips(self) -> pl.DataFrame:
        """Return all skips, with `source_file`."""
        return pl.concat(
            piece.with_file(pl.read_parquet(piece.table("skips"))) for piece in self.all
        )


class TakenRows:
    """Some rows of some pieces, in memory, with the segments that they have."""

    def __init__(self, pieces: Mapping[int, Piece], chosen: pl.DataFrame) -> None:
        """Read the rows `chosen` by `piece` and `row`."""
        self._held: dict[int, tuple[Ints, pl.DataFrame, pl.DataFrame]] = {}
        chosen = chosen.unique().sort("piece", "row")
        for (number,), group in chosen.group_by("piece", maintain_order=True):
            piece = pieces[cast(int, number)]
            places = group["row"].to_numpy()
            rows = piece.with_file(_some(piece.table("rows"), places))
            sizes = rows["segments"].list.len().cast(pl.Int64).to_numpy()
            flat = rows["segments"].explode(empty_as_null=False).to_numpy()
            used, moved = np.unique(flat, return_inverse=True)
            segments = _some(piece.table("segments"), used.astype(np.int64))
            lists = lists_of(pl.Series("segments", moved, pl.UInt32), sizes)
            rows = rows.with_columns(lists)
            self._held[cast(int, number)] = places, rows, segments

    def of(self, number: int, rows: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return rows of a piece, with `source_file`, and the table that `segments` refers to."""
        places, held, segments = self._held[number]
        return held[np.searchsorted(places, rows.to_numpy())], segments


def _some(path: Path, rows: Ints, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read some rows of a table, in order."""
    first, last = (int(rows[0]), int(rows[-1])) if len(rows) else (0, -1)
    table = pl.scan_parquet(path)
    chosen = table if columns is None else table.select(columns)
    return chosen.slice(first, last + 1 - first).collect()[rows - first]


def _file(state: FileState, staging: FileStaging) -> FilePieces:
    spans = tuple(staging.spans())
    names = [name for span in spans for name in span.pieces]
    pieces = tuple(Piece(state.name, staging.folder / name) for name in names)
    return FilePieces(state, spans, pieces)


def staged_key(pieces: Pieces, no_logs: Sequence[str], dedupe: bool) -> str:
    """Return a digest of everything that determines the tables.

    These are the pieces, the names of files that are not logs, `dedupe` and costaudit's version.
    """
    files = [(file.state, file.spans) for file in pieces.files]
    told = msgspec.json.encode((version("costaudit"), files, sorted(no_logs), dedupe))
    return xxh3_128_hexdigest(told)


def table_stamps(run: RunDir) -> dict[str, tuple[int, int]]:
    """Return the size and modification time (ns) of each table; empty if one is missing."""
    tables = (run.requests_path, run.blocks_path, run.skips_path)
    if not all(table.is_file() for table in tables):
        return {}
    return {table.name: _stamp(table) for table in tables}


def _stamp(table: Path) -> tuple[int, int]:
    status = table.stat()
    return status.st_size, status.st_mtime_ns


def earlier_summary(run: RunDir, key: str) -> IngestSummary | None:
    """Return the summary of the ingest that wrote the tables; None if they must be written again.

    That is so if `key` differs, or if the tables have changed since.
    """
    try:
        made = run.manifest().ingest.made
    except RunDirError:
        return None
    return stored_summary(run) if made == TablesMade(key, table_stamps(run)) else None


def stored_summary(run: RunDir) -> IngestSummary:
    """Return the summary of the last ingest into a run; raises RunDirError if it can't be read."""
    manifest = run.manifest()
    counts = {each.name: getattr(manifest.ingest, each.name) for each in fields(IngestCounts)}
    names = [each.name for each in fields(InputFile)]
    files = (InputFile(**{n: getattr(one, n) for n in names}) for one in manifest.inputs)
    return IngestSummary(**counts, files=tuple(files), read_bytes=0)
