"""Read back the staged pieces of all files, and check whether the run's tables are up to date."""

import shutil
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import msgspec
import polars as pl
from xxhash import xxh3_128_hexdigest

from costaudit.contracts.manifest import IngestCounts, InputFile, TablesMade
from costaudit.contracts.run_dir import RunDir
from costaudit.errors import RunDirError
from costaudit.ingest.content.redaction import Redaction, Redactor
from costaudit.ingest.options import IngestSummary
from costaudit.ingest.staging.piece_tables import SMALL, joined, write_tables
from costaudit.ingest.staging.plan import STAGING, FileStaging, FileState, stagings
from costaudit.ingest.staging.read_task import Span

PLACE = ("offset", "index", "ts_us")
RARE = (
    "session",
    "forked_from",
    "span",
    "within",
    "billed_units",
)  # left out if no row of the run has a value
LIGHT = (
    "source", "native_id", "same_as", "join_key", "half", "provider", "model", "tenant", "user",
    "conversation", "convention", "input", "output", "cache_read", "cache_write_5m",
    "cache_write_1h", "cache_write_other", "other_ttl", "unstated_writes", "reasoning", "total",
    "usage_source", "logged_cost", "cost_unit", "status", "attempt", "served_by", "updated_us",
    "prompt_tokens", "prompt_hash", "answer_tokens", "marker_ttl", "kind", "answer_hash",
    "latency_ms", *RARE,
)  # fmt: skip
AT_ONCE = 8  # columns that `light` reads at a time
OPEN_BYTES = 256 << 20  # maximum number of bytes of pieces that `rows` keeps in memory
JOINED = ".joined"  # folder of joined small pieces while a run is assembled
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
        self._joined = run / STAGING / JOINED
        self._open: OrderedDict[int, tuple[pl.DataFrame, pl.DataFrame]] = OrderedDict()

    @property
    def is_empty(self) -> bool:
        """Return whether there are no pieces."""
        return not any(file.pieces for file in self.files)

    @cached_property
    def all(self) -> list[Piece]:
        """Return all pieces with tables; small ones are joined into tables that `close` removes."""
        shutil.rmtree(self._joined, ignore_errors=True)
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
        whole = Piece(None, self._joined / f"piece-{number:06d}")
        write_tables(whole.stem, content, Redactor(Redaction()), (files[0], files[1]))
        return whole

    def light(self) -> pl.DataFrame:
        """Return all rows by time, with the columns that decide which rows are the same call.

        Adds `piece` and `row` (the indices of the piece and of the row in it) and `source_file`.
        To limit memory, a few columns are read at a time.
        """
        rows = pl.concat(
            _place(piece).with_columns(
                pl.lit(number, pl.Int32).alias("piece"),
                pl.int_range(pl.len(), dtype=pl.Int32).alias("row"),
            )
            for number, piece in enumerate(self.all)
        )
        by_time = pl.arg_sort_by(
            "ts_us", "source_file", "offset", "index", nulls_last=True, maintain_order=True
        )
        order = rows.select(by_time).to_series()
        rows = _in_order(rows, order)
        for start in range(0, len(LIGHT), AT_ONCE):
            names = list(LIGHT[start : start + AT_ONCE])
            read = pl.concat(
                pl.read_parquet(piece.table("rows"), columns=names) for piece in self.all
            )
            empty = [one for one in RARE if one in names and read[one].null_count() == len(read)]
            read = read.drop(empty)
            rows = pl.concat([rows, _in_order(read, order)], how="horizontal")
        return rows

    def rows(self, number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the rows and segments of a piece; recently used pieces are kept in memory."""
        if number not in self._open:
            piece = self.all[number]
            self._open[number] = (
                pl.read_parquet(piece.table("rows")).drop("source_file", strict=False),
                pl.read_parquet(piece.table("segments")),
            )
            while len(self._open) > 1 and self._open_bytes() > OPEN_BYTES:
                self._open.popitem(last=False)
        self._open.move_to_end(number)
        return self._open[number]

    def _open_bytes(self) -> int:
        tables = [table for both in self._open.values() for table in both]
        return int(sum(table.estimated_size() for table in tables))

    def close(self) -> None:
        """Release the pieces kept in memory, and remove the tables of joined small pieces."""
        self._open.clear()
        shutil.rmtree(self._joined, ignore_errors=True)

    def distinct_blocks(self) -> Iterator[pl.DataFrame]:
        """Yield for each piece its blocks that no earlier piece has."""
        tables = [piece.table("blocks") for piece in self.all]
        ids = [pl.read_parquet(table, columns=["block_id"])["block_id"] for table in tables]
        is_first = pl.concat(ids).is_first_distinct()
        start = 0
        for table, own in zip(tables, ids, strict=True):
            chosen = is_first.slice(start, len(own))
            start += len(own)
            yield pl.read_parquet(table).filter(chosen)

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


def _in_order(rows: pl.DataFrame, order: pl.Series) -> pl.DataFrame:
    """Return the rows in this order; a column with one value throughout takes no memory."""
    constant = [name for name in rows.columns if _is_constant(rows[name])]
    varied = [name for name in rows.columns if name not in constant]
    return rows.select(
        pl.lit(rows[name][0], rows.schema[name]).alias(name)
        if name in constant and varied
        else pl.col(name).gather(order)
        for name in rows.columns
    )


def _is_constant(column: pl.Series) -> bool:
    if column.dtype.is_nested() or not len(column):
        return False
    nulls = column.null_count()
    return nulls == len(column) or (not nulls and bool(column.min() == column.max()))


def _place(piece: Piece) -> pl.DataFrame:
    names = [*PLACE] if piece.file is not None else [*PLACE, "source_file"]
    return piece.with_file(pl.read_parquet(piece.table("rows"), columns=names))


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
