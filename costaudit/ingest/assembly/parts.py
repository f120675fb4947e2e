"""Write parts of REQUESTS and BLOCKS, each of whole row groups, in workers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl

from costaudit.contracts.requests import BLOCKS, REQUESTS
from costaudit.ingest.assembly.estimates import estimated, request_ids
from costaudit.ingest.assembly.identity import logged_attempt
from costaudit.ingest.assembly.normalise import normalise
from costaudit.ingest.assembly.quality import check_counts, convention_counts
from costaudit.ingest.assembly.request_rows import PLACED, request_rows
from costaudit.ingest.staging.pieces import LIGHT, Ints, Piece, TakenRows


@dataclass(frozen=True)
class Numbered:
    """Columns of `normalise` and `number_attempts` that other rows decide."""

    shapes: pl.DataFrame  # see `normalise.group_shapes`
    attempts: pl.DataFrame  # `at` and the attempt (`numbered`) of some rows
    lowest: Mapping[str, int]  # file → lowest number of an attempt, if there are any


@dataclass(frozen=True)
class Written:
    """What a worker found in the rows that it wrote: counts of those that are not linked."""

    path: Path
    is_requests: bool = False  # not blocks
    rows: int = 0
    ambiguous: int = 0
    checks: pl.DataFrame | None = None
    conventions: pl.DataFrame | None = None
    ids: pl.DataFrame | None = None  # `at` and `request_id` of the rows that were asked for


@dataclass(frozen=True)
class RowsTask:
    """Consecutive rows of REQUESTS to write to a file."""

    path: Path
    pieces: Mapping[int, Piece]
    single: pl.DataFrame  # `at`, `piece` and `row` of rows that are not linked
    linked: pl.DataFrame  # `at` and PLACED of the others
    numbered: Numbered
    groups: Ints  # where row groups start and end, from the first row
    asked: Ints  # rows whose request ids are to be returned

    def write(self) -> Written:
        """Write the rows."""
        prompts = self.linked.select(piece="prompt_piece", row="prompt_row")
        needed = [one.select("piece", "row") for one in (self.single, self.linked, prompts)]
        taken = TakenRows(self.pieces, pl.concat(needed))
        placed, written = self.linked, Written(self.path, is_requests=True, rows=len(self.linked))
        if len(self.single):
            rows = self._normalised(taken)
            checked = check_counts(rows)
            rows = rows.with_columns(estimated())
            rows = rows.with_columns(request_ids(rows), self._attempts(rows))
            asked = rows.select("at", "request_id").filter(pl.col("at").is_in(self.asked))
            written = replace(
                written,
                rows=len(self.linked) + len(rows),
                ambiguous=int(rows["was_ambiguous"].sum()),
                checks=checked,
                conventions=convention_counts(rows),
                ids=asked,
            )
            rows = rows.with_columns(prompt_piece="piece", prompt_row="row")
            rows = rows.select("at", *PLACED)
            placed = pl.concat([rows, placed.select("at", *PLACED).cast(rows.schema)]).sort("at")
        groups = (
            request_rows(placed[start:end], taken) for start, end in pairwise(self.groups.tolist())
        )
        write_groups(self.path, groups, REQUESTS)
        return written

    def _normalised(self, taken: TakenRows) -> pl.DataFrame:
        parts = []
        for (number,), own in self.single.group_by("piece", maintain_order=True):
            staged, _ = taken.of(cast(int, number), own["row"])
            parts.append(pl.concat([own, staged.select(*LIGHT, "source_file")], how="horizontal"))
        rows = pl.concat(parts).with_columns(
            merged_into=pl.lit(None, pl.Int64), merge_reason=pl.lit(None, pl.String)
        )
        return normalise(rows, self.numbered.shapes)

    def _attempts(self, rows: pl.DataFrame) -> pl.Series:
        lowest = pl.lit(None, pl.Int32)
        if self.numbered.lowest:
            lowest = lowest_attempt(self.numbered.lowest)
        numbered = rows.select("at", "attempt", "source_file").join(
            self.numbered.attempts, on="at", how="left", maintain_order="left"
        )
        return numbered.select(
            attempt=pl.coalesce("numbered", logged_attempt(lowest), pl.lit(0)).cast(pl.Int32)
        ).to_series()


def lowest_attempt(lowest: Mapping[str, int]) -> pl.Expr:
    """Return the lowest number of an attempt in the file of each row; null if it has none."""
    return pl.col("source_file").replace_strict(lowest, default=None, return_dtype=pl.Int32)


@dataclass(frozen=True)
class BlocksTask:
    """A row group of BLOCKS to write to a file."""

    path: Path
    chosen: Sequence[tuple[Piece, Ints]]  # pieces, and rows of their blocks

    def write(self) -> Written:
        """Write the blocks."""
        blocks = pl.concat(piece.blocks(rows) for piece, rows in self.chosen)
        write_groups(self.path, [blocks.rechunk()], BLOCKS)  # pages would end where pieces do
        return Written(self.path)


def write_part(task: RowsTask | BlocksTask) -> Written:
    """Write a part of a table."""
    return task.write()


def month_groups(ts_us: Ints, most: int) -> Ints:
    """Return the bounds of row groups: times of one UTC month in each, at most `most` rows.

    So a month's rows are in the same groups whatever rows other months have. `ts_us` is in
    microseconds since 1970; rows that have no time share a value that is in no month of the others.
    """
    months = ts_us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    changes = np.flatnonzero(months[1:] != months[:-1]) + 1
    starts = [
        np.arange(start, end, most) for start, end in pairwise([0, *changes.tolist(), len(ts_us)])
    ]
    return np.append(np.concatenate(starts), len(ts_us))


def write_groups(path: Path, groups: Iterable[pl.DataFrame], types: pl.Schema) -> None:
    """Write a table with a row group for each frame."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pl.DataFrame(schema=types).to_arrow().schema
    how: dict[str, Any] = {"use_dictionary": ["kind"], "write_statistics": ["kind"]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(
        path, schema, compression="zstd", **(how if types is BLOCKS else {})
    ) as writer:
        for frame in groups:
            writer.write_table(cast(pa.Table, frame.to_arrow().cast(schema)))
