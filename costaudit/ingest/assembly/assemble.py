"""Assemble staged pieces into the run's tables: normalised, deduplicated and in order."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import polars as pl
from xxhash import xxh3_64_hexdigest

from costaudit.contracts.manifest import Check, Convention
from costaudit.contracts.requests import ANSWERED, BLOCKS, INPUT_CLASSES, SKIPS
from costaudit.contracts.run_dir import RunDir, atomic_write, write_table
from costaudit.ingest.assembly.identity import find_duplicates, join_halves, number_attempts
from costaudit.ingest.assembly.normalise import normalise
from costaudit.ingest.assembly.quality import checks, conventions
from costaudit.ingest.assembly.request_rows import PLACED, write_merged, write_requests
from costaudit.ingest.staging.pieces import Pieces
from costaudit.progress import Progress

REASONS = {
    "duplicate-id": "It repeats the id of a call that was kept.",
    "other-instrument": "Another instrument saw the same call.",
    "same-start": "It has the start, prompt, model and tokens of a call that was kept.",
    "replayed": "It repeats a call of the session whose history this one opens with.",
    "parent-span": "It repeats what the calls within its span used.",
    "joined": "It is the request that belongs to this result.",
}
BLOCK_GROUP = 16_384  # rows of blocks written at a time


@dataclass(frozen=True)
class Assembled:
    """Counts and findings for the manifest."""

    fates: pl.DataFrame  # number of records (`len`) by source_file, fate and reason
    ambiguous_conventions: int
    merged_cost: dict[str, str]  # cost unit → logged cost of merged rows
    colliding_ids: tuple[int, int]  # number of ids that several calls share, and of these calls
    conventions: tuple[Convention, ...]
    checks: tuple[Check, ...]


def assemble(
    run: RunDir, pieces: Pieces, whole_files: pl.DataFrame, dedupe: bool, progress: Progress
) -> Assembled:
    """Write requests, blocks and skips; `whole_files` holds the skips of files that aren't logs."""
    places, skips, assembled = _settled(run, pieces, whole_files, dedupe)
    with ThreadPoolExecutor(1) as thread:
        blocks = thread.submit(_write_blocks, pieces, run)
        write_requests(places, pieces, run.requests_path, progress)
        blocks.result()
    pieces.close()
    write_table(skips, run.skips_path, SKIPS)
    return assembled


def _settled(
    run: RunDir, pieces: Pieces, whole_files: pl.DataFrame, dedupe: bool
) -> tuple[pl.DataFrame, pl.DataFrame, Assembled]:
    """Return the rows to write, the skips, and the counts of both.

    MERGED is written here, while the rows are in memory.
    """
    rows = pieces.light().with_row_index("at").cast({"at": pl.Int64})
    rows = join_halves(rows)
    rows = find_duplicates(normalise(rows), pieces.links(), dedupe)
    unanswered = rows.filter(pl.col("is_unanswered"))
    merged = rows.filter(pl.col("merged_into").is_not_null())
    kept = rows
    if len(merged) or len(unanswered):  # otherwise avoid the copy that filtering makes
        kept = rows.filter(pl.col("merged_into").is_null() & ~pl.col("is_unanswered"))
    kept = kept.with_columns(_estimated())
    unknown = _of_unknown_format(kept, merged)
    if len(unknown):
        kept = kept.join(unknown, on="at", how="anti", maintain_order="left")
    kept = kept.with_columns(number_attempts(kept).alias("attempt"))
    kept = kept.with_columns(_request_ids(kept))
    kept = _with_prompt_places(kept, rows)
    write_merged(run, merged, kept, pieces)
    skips = pl.concat(
        [
            _staged_skips(pieces, rows, kept),
            _merged_skips(merged, kept),
            _skips(
                unanswered, "no-response", "It is a request whose result is not among the logs."
            ),
            _skips(unknown, "unknown-format", UNCOUNTED),
            whole_files,
        ]
    ).sort("source_file", "source_offset", "fate", "reason", "merged_into", nulls_last=True)
    assembled = Assembled(
        fates=_fates(kept, skips),
        ambiguous_conventions=int(kept["was_ambiguous"].sum()),
        merged_cost=_cost(merged.filter(pl.col("merge_reason") != "joined")),
        colliding_ids=_colliding(kept),
        conventions=tuple(conventions(kept)),
        checks=tuple(checks(rows)),
    )
    return kept.select(PLACED), skips, assembled


def _with_prompt_places(kept: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    if (kept["prompt_at"] == kept["at"]).all():
        return kept.with_columns(prompt_piece="piece", prompt_row="row")
    places = rows.select(prompt_at="at", prompt_piece="piece", prompt_row="row")
    return kept.join(places, on="prompt_at", how="left", maintain_order="left")


UNCOUNTED = (
    "It looks like a call, but no count in this file can be read: `costaudit doctor` lists its "
    "fields and drafts a map."
)


def _of_unknown_format(kept: pl.DataFrame, merged: pl.DataFrame) -> pl.DataFrame:
    """Return what looks like calls, if no call of the file has a count, text, billed unit or cost.

    If some calls of a file and source have counts, its other calls are kept as calls without usage.
    """
    asked = (pl.col("status") == "ok") & (pl.col("served_by") == "provider")
    uncounted = asked & (pl.col("usage_source") == "missing") & pl.col("logged_cost").is_null()
    for name in (*INPUT_CLASSES, "output_tokens"):
        uncounted &= pl.col(name).fill_null(0) == 0
    if "billed_units" in kept.columns:
        uncounted &= pl.col("billed_units").is_null()
    if not kept.select(uncounted.any()).item():
        return kept.clear()
    whole = (~asked | uncounted).all().over("source_file", "source")
    found = kept.filter(uncounted.fill_null(value=False) & whole.fill_null(value=False))
    return found.join(merged, left_on="at", right_on="merged_into", how="anti")


def _request_ids(kept: pl.DataFrame) -> pl.Series:
    """Return unique request ids: native ids, with a digest if they are repeated or missing."""
    native = pl.col("native_id")
    is_own = (native != "") & native.is_first_distinct()
    own = kept.select(is_own.fill_null(False)).to_series()
    others = []
    for native_id, *place in (
        kept.filter(~own).select(native, "source_file", "offset", "index").iter_rows()
    ):
        digest = xxh3_64_hexdigest("\0".join(map(str, place)).encode())
        others.append(f"{native_id}#{digest[:8]}" if native_id else f"row-{digest}")
    at = pl.Series((~own).arg_true(), dtype=pl.UInt32)
    return kept["native_id"].alias("request_id").scatter(at, pl.Series(others, dtype=pl.String))


def _colliding(kept: pl.DataFrame) -> tuple[int, int]:
    """Return how many ids are shared by several calls of a source, and how many calls that is."""
    able = kept.filter(
        pl.col("native_id").is_not_null()
        & (pl.col("native_id") != "")
        & (pl.col("served_by") == "provider")
        & (pl.col("status") == "ok")
    )
    if not able["native_id"].is_duplicated().any():
        return 0, 0
    sizes = able.group_by("source", "native_id").len().filter(pl.col("len") > 1)
    return len(sizes), int(sizes["len"].sum())


PLACEHOLDER = 10  # a logged output of less than 1/10 of the answer's tokens is a placeholder
SHORT_ANSWER = 50  # tokens; shorter answers don't reveal placeholders


def _estimated() -> list[pl.Expr]:
    """Return expressions that replace missing counts and placeholders by the tokenizer's counts.

    An output far below the tokens of the answer's text is a placeholder, such as the one in the
    first event of a stream. So are zero input and zero output for a prompt with text, which
    proxies log if a stream had no usage. Counts without a text to tokenize stay missing.
    """
    asked = ANSWERED
    sent, received = pl.col("input_uncached_tokens"), pl.col("output_tokens")
    text = pl.col("answer_tokens")
    placeholder = asked & (text >= SHORT_ANSWER) & (received * PLACEHOLDER < text)
    counted = pl.sum_horizontal(*INPUT_CLASSES, received)
    zeros = (asked & (counted == 0) & (pl.col("prompt_tokens") > 0)).fill_null(value=False)
    no_input = asked & (sent.is_null() | zeros)
    no_output = asked & (received.is_null() | zeros)
    count_input = no_input & (pl.col("prompt_tokens") > 0)
    nothing_said = received.is_null() & sent.is_null() & count_input  # a prompt without an answer
    count_output = (no_output & (text.is_not_null() | nothing_said)) | placeholder
    count_output = count_output.fill_null(value=False)
    columns = [
        pl.when(count_input)
        .then(pl.col("prompt_tokens") if name == "input_uncached_tokens" else pl.lit(0, pl.Int64))
        .otherwise(name)
        .alias(name)
        for name in INPUT_CLASSES
    ]
    columns += [
        pl.when(count_output).then(text.fill_null(0)).otherwise(received).alias("output_tokens"),
        pl.when(count_output & (no_output | placeholder))
        .then(pl.col("reasoning_tokens").fill_null(0))
        .otherwise("reasoning_tokens")
        .alias("reasoning_tokens"),
    ]
    lacks_input = no_input & ~count_input.fill_null(value=False)
    lacks_output = no_output & ~count_output
    source = (
        pl.when((lacks_input | lacks_output) & asked)
        .then(pl.lit("missing"))
        .when((count_input | count_output).fill_null(value=False))
        .then(pl.lit("estimated"))
        .otherwise("usage_source")
    )
    label = (
        pl.when(zeros)
        .then(pl.concat_str("usage_convention", pl.lit(", the counts were placeholders")))
        .when(placeholder.fill_null(value=False))
        .then(pl.concat_str("usage_convention", pl.lit(", the output was a placeholder")))
    )
    return [
        *columns,
        source.alias("usage_source"),
        pl.coalesce(label, "usage_convention").alias("usage_convention"),
    ]


def _write_blocks(pieces: Pieces, run: RunDir) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    waiting: list[pl.DataFrame] = []
    schema = pl.DataFrame(schema=BLOCKS).to_arrow().schema
    with (
        atomic_write(run.blocks_path) as path,
        pq.ParquetWriter(
            path, schema, compression="zstd", use_dictionary=["kind"], write_statistics=["kind"]
        ) as writer,
    ):

        def put(frame: pl.DataFrame) -> None:
            writer.write_table(cast(pa.Table, frame.to_arrow().cast(schema)))

        for blocks in pieces.distinct_blocks():
            waiting.append(blocks)
            if sum(map(len, waiting)) >= BLOCK_GROUP:
                joined = pl.concat(waiting)
                while len(joined) >= BLOCK_GROUP:
                    put(joined.head(BLOCK_GROUP))
                    joined = joined.slice(BLOCK_GROUP)
                waiting = [joined]
        rest = pl.concat(waiting) if waiting else pl.DataFrame(schema=BLOCKS)
        if len(rest):
            put(rest)


def _staged_skips(pieces: Pieces, rows: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    skips = pieces.skips()
    merged = skips["into_offset"].is_not_null().any()
    return skips.join(
        _kept_ids(rows if merged else rows.clear(), kept),
        left_on=["source_file", "into_offset", "into_index"],
        right_on=["source_file", "offset", "index"],
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


def _kept_ids(rows: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Return for each row the request id of the row that was kept: itself or its merge target."""
    final = kept.select("at", "request_id")
    return (
        rows.select("source_file", "offset", "index", at=pl.coalesce("merged_into", "at"))
        .join(final, on="at", how="left")
        .drop("at")
    )


def _merged_skips(merged: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    names = kept.select(pl.col("at").alias("merged_into"), "request_id")
    return merged.join(names, on="merged_into", how="left").select(
        "source_file",
        pl.col("offset").alias("source_offset"),
        pl.lit("merged").alias("fate"),
        pl.col("merge_reason").alias("reason"),
        pl.col("merge_reason").replace_strict(REASONS, return_dtype=pl.String).alias("detail"),
        pl.col("request_id").alias("merged_into"),
    )


def _skips(rows: pl.DataFrame, reason: str, detail: str) -> pl.DataFrame:
    return rows.select(
        "source_file",
        pl.col("offset").alias("source_offset"),
        pl.lit("skipped").alias("fate"),
        pl.lit(reason).alias("reason"),
        pl.lit(detail).alias("detail"),
        pl.lit(None, pl.String).alias("merged_into"),
    )


def _fates(kept: pl.DataFrame, skips: pl.DataFrame) -> pl.DataFrame:
    kept_fates = kept.select("source_file", fate=pl.lit("kept"), reason=pl.lit(""))
    return (
        pl.concat([kept_fates, skips.select("source_file", "fate", "reason")])
        .group_by("source_file", "fate", "reason")
        .len()
        .sort("source_file", "fate", "reason")
    )


def _cost(merged: pl.DataFrame) -> dict[str, str]:
    costs = merged.filter(pl.col("logged_cost").is_not_null()).select(
        pl.col("cost_unit").fill_null("usd"), pl.col("logged_cost").cast(pl.Float64, strict=False)
    )
    sums = costs.group_by("cost_unit").agg(pl.col("logged_cost").sum()).sort("cost_unit")
    return {unit: f"{cost:.6f}" for unit, cost in sums.iter_rows()}
