"""The rows of REQUESTS, gathered piece by piece in their final order."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl

from costaudit.contracts.requests import INPUT_CLASSES, REQUESTS
from costaudit.contracts.run_dir import atomic_write
from costaudit.ingest.pieces import Pieces
from costaudit.ingest.ragged import lists_of
from costaudit.ingest.scale import split_totals, with_media
from costaudit.progress import Progress

GROUP = 8_192  # rows written at a time
COUNTED = (
    *INPUT_CLASSES,
    "output_tokens",
    "reasoning_tokens",
    "usage_source",
    "usage_convention",
    "attempt",
    "request_id",
    "source_file",
    "model",
)
OF_PROMPT = ("segments", "turn_index")
SHARED = ("temperature", "endpoint", "tenant", "user", "conversation")  # either half may know them


def write_requests(kept: pl.DataFrame, pieces: Pieces, path: Path, progress: Progress) -> None:
    """Write the kept rows, which are in order, with their segments."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pl.DataFrame(schema=REQUESTS).to_arrow().schema
    columns = kept.select("piece", "row", "prompt_piece", "prompt_row", *COUNTED)
    with atomic_write(path) as part, pq.ParquetWriter(part, schema, compression="zstd") as writer:
        for start in range(0, len(columns), GROUP):
            frame = _rows(columns.slice(start, GROUP), pieces)
            writer.write_table(cast(pa.Table, frame.to_arrow().cast(schema)))
            progress.advance(len(frame))


def _rows(chosen: pl.DataFrame, pieces: Pieces) -> pl.DataFrame:
    chosen = chosen.with_row_index("place")
    own = chosen.select("piece", "row", "place", *COUNTED)
    prompts = chosen.select("place", *INPUT_CLASSES, piece="prompt_piece", row="prompt_row")
    parts = []
    for number, group in _by_piece(own):
        staged, _ = pieces.rows(number)
        taken = staged[group["row"]].drop(OF_PROMPT, "attempt", "usage_source", "model")
        parts.append(pl.concat([group.drop("piece", "row"), taken], how="horizontal"))
    asked = []
    for number, group in _by_piece(prompts):
        staged, segments = pieces.rows(number)
        taken = staged[group["row"]].select(
            *OF_PROMPT, *(pl.col(name).alias(f"asked_{name}") for name in SHARED)
        )
        joined = pl.concat([group.select("place", *INPUT_CLASSES), taken], how="horizontal")
        joined = joined.with_columns(_segments(joined, segments))
        asked.append(joined.drop(INPUT_CLASSES))
    return (
        pl.concat(parts)
        .join(pl.concat(asked), on="place")
        .sort("place")
        .with_columns(
            ts=pl.col("ts_us").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"),
            source_offset=pl.col("offset"),
            **{name: pl.coalesce(name, f"asked_{name}") for name in SHARED},
        )
        .select(REQUESTS.names())
        .cast(REQUESTS)
    )


def _by_piece(rows: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
    for (number,), group in rows.group_by("piece", maintain_order=True):
        yield cast(int, number), group


def _segments(rows: pl.DataFrame, segments: pl.DataFrame) -> pl.Series:
    """Look up each row's segments and split its billed input over them."""
    sizes = rows["segments"].list.len().cast(pl.Int64).to_numpy()
    flat = (
        rows["segments"].explode(empty_as_null=False) if len(rows) else rows["segments"].explode()
    )
    found = segments[flat]
    billed = rows.select(pl.sum_horizontal(INPUT_CLASSES, ignore_nulls=False)).to_series()
    totals = billed.fill_null(0).to_numpy()
    known = segments["tokens"].is_not_null().gather(flat).to_numpy()
    weights = with_media(found["tokens"].fill_null(0).to_numpy(), known, sizes, totals)
    split = pl.Series("tokens", split_totals(weights, sizes, totals))
    is_billed = np.repeat(billed.is_not_null().to_numpy(), sizes)
    tokens = pl.select(pl.when(pl.Series(is_billed)).then(split)).to_series().cast(pl.Int32)
    structs = found.with_columns(tokens.alias("tokens")).to_struct("segments")
    return lists_of(structs, sizes)
