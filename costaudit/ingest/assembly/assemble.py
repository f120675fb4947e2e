"""Assemble staged pieces into the run's tables: normalised, deduplicated and in order.

1. Workers find the keys of each piece's rows and blocks.
2. This process compares the keys of all pieces. It reads the linked rows, which share one, and
   decides which of them are the same call.
3. Workers write parts of the tables from the pieces: linked rows as decided, others as they are.
4. This process joins the parts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import polars as pl

from costaudit.contracts.manifest import Check, Convention
from costaudit.contracts.requests import BLOCKS, REQUESTS, SKIPS, check_table
from costaudit.contracts.run_dir import RunDir, atomic_write, write_table
from costaudit.engine.engine import Engine
from costaudit.ingest.assembly.keys import NO_TIME, Keys
from costaudit.ingest.assembly.linked import Mask
from costaudit.ingest.assembly.linked_calls import colliding_ids, merged_cost
from costaudit.ingest.assembly.log import Log
from costaudit.ingest.assembly.parquet_parts import join_parts
from costaudit.ingest.assembly.parts import (
    BlocksTask,
    RowsTask,
    Written,
    month_groups,
    write_groups,
    write_part,
)
from costaudit.ingest.assembly.quality import check_counts, checks, convention_counts, conventions
from costaudit.ingest.assembly.request_rows import write_merged
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.staging.pieces import Ints, Pieces
from costaudit.progress import Progress

BLOCK_GROUP = 16_384  # rows in a row group of BLOCKS
BUCKET = 4_000_000  # blocks that are compared at once


@dataclass(frozen=True)
class Assembled:
    """Counts and findings for the manifest."""

    fates: pl.DataFrame  # number of records (`len`) by source_file, fate and reason
    ambiguous_conventions: int
    merged_cost: dict[str, str]  # cost unit → logged cost of merged rows
    colliding_ids: tuple[int, int]  # number of ids that several calls share, and of these calls
    conventions: tuple[Convention, ...]
    checks: tuple[Check, ...]


def block_tasks(keys: Keys, pieces: Pieces) -> Iterator[BlocksTask]:
    """Yield the tasks that write BLOCKS: each block where it occurs first."""
    firsts = np.flatnonzero(first_distinct(*keys.block_ids()))
    for start in range(0, len(firsts), BLOCK_GROUP):
        chosen = firsts[start : start + BLOCK_GROUP]
        numbers = np.searchsorted(keys.block_starts, chosen, side="right") - 1
        yield BlocksTask(
            path=pieces.work / f"blocks-{start:012d}",
            chosen=[
                (pieces.all[number], chosen[numbers == number] - keys.block_starts[number])
                for number in np.unique(numbers).tolist()
            ],
        )


def first_distinct(high: Ints, low: Ints) -> Mask:
    """Return which pairs occur for the first time."""
    found = np.zeros(len(high), bool)
    buckets = 1 + len(high) // BUCKET
    bucket = high % buckets
    for number in range(buckets):
        places = np.flatnonzero(bucket == number)
        pairs = pl.DataFrame({"high": high[places].view(np.int64), "low": low[places]})
        both = pl.col("high").cast(pl.Int128) * 2**64 + pl.col("low").cast(pl.Int128)
        found[places] = pairs.select(both.is_first_distinct()).to_series().to_numpy()
    return found


def assemble(
    run: RunDir,
    pieces: Pieces,
    whole_files: pl.DataFrame,
    options: IngestOptions,
    engine: Engine,
    progress: Progress,
) -> Assembled:
    """Write requests, blocks and skips; `whole_files` holds the skips of files that aren't logs."""
    log = Log(pieces, engine, options)
    linked = log.linked
    numbered, kept = log.numbered()
    skips = pieces.skips()
    targets = log.targets(skips)
    rows_tasks = log.rows_tasks(kept, numbered, targets["final"].to_numpy())
    tasks: Iterator[RowsTask | BlocksTask] = chain(rows_tasks, block_tasks(log.keys, pieces))
    written: list[Written] = []
    for one in engine.map(write_part, tasks):
        written.append(one)
        progress.advance(one.rows)
    _join(run.requests_path, pieces, [one.path for one in written if one.is_requests], REQUESTS)
    _join(run.blocks_path, pieces, [one.path for one in written if not one.is_requests], BLOCKS)
    write_merged(run, log.merged(), kept.select("at", "request_id"))
    ids = _all(kept.select("at", "request_id"), [one.ids for one in written])
    skips = pl.concat([_staged_skips(skips, targets, ids), linked.skips(), whole_files]).sort(
        "source_file", "source_offset", "fate", "reason", "merged_into", nulls_last=True
    )
    counted = [one.conventions for one in written]
    pieces.close()
    write_table(skips, run.skips_path, SKIPS)
    return Assembled(
        fates=_fates([log.counted(), kept.group_by("source_file").len()], skips),
        ambiguous_conventions=sum(one.ambiguous for one in written)
        + int(kept["was_ambiguous"].sum()),
        merged_cost=merged_cost(linked.merged.filter(pl.col("merge_reason") != "joined")),
        colliding_ids=colliding_ids(kept),
        conventions=tuple(conventions(_all(convention_counts(kept), counted))),
        checks=tuple(checks(_all(check_counts(linked.rows), [one.checks for one in written]))),
    )


def _all(own: pl.DataFrame, others: Iterable[pl.DataFrame | None]) -> pl.DataFrame:
    return pl.concat([own, *(one for one in others if one is not None)])


def _join(path: Path, pieces: Pieces, parts: Sequence[Path], types: pl.Schema) -> None:
    """Join parts of a table, and write it whole or not at all."""
    empty = pieces.work / "empty.parquet"
    write_groups(empty, [], types)
    with atomic_write(path) as whole:
        join_parts(empty, parts, whole)


def write_again(frame: pl.DataFrame, path: Path, types: pl.Schema) -> None:
    """Write REQUESTS or BLOCKS whole or not at all, in row groups as they are assembled in."""
    check_table(frame, types, path.name)
    times, most = np.zeros(len(frame), np.int64), BLOCK_GROUP
    if types is REQUESTS:
        times = frame["ts"].dt.epoch("us").fill_null(NO_TIME).to_numpy()
        most = IngestOptions.group_rows
    bounds = month_groups(times, most).tolist()
    with atomic_write(path) as part:
        write_groups(part, (frame[start:end] for start, end in pairwise(bounds)), types)


def _staged_skips(skips: pl.DataFrame, targets: pl.DataFrame, ids: pl.DataFrame) -> pl.DataFrame:
    names = targets.join(ids, left_on="final", right_on="at", how="left")
    return skips.join(
        names.select("source_file", "into_offset", "into_index", "request_id"),
        on=["source_file", "into_offset", "into_index"],
        how="left",
        nulls_equal=False,
    ).select(
        "source_file",
        pl.col("offset").alias("source_offset"),
        "fate",
        "reason",
        "detail",
        pl.col("request_id").alias("merged_into"),
    )


def _fates(kept: Sequence[pl.DataFrame], skips: pl.DataFrame) -> pl.DataFrame:
    kept_fates = pl.concat(kept).select(
        "source_file", fate=pl.lit("kept"), reason=pl.lit(""), len=pl.col("len")
    )
    others = skips.group_by("source_file", "fate", "reason").len()
    return (
        pl.concat([kept_fates, others])
        .group_by("source_file", "fate", "reason")
        .agg(pl.col("len").sum())
        .sort("source_file", "fate", "reason")
    )
