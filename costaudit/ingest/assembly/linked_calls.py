"""Decide which of the linked rows are the same call, and what is kept of them."""

from dataclasses import dataclass

import polars as pl

from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.ingest.assembly.estimates import estimated, request_ids

REASONS = {
    "duplicate-id": "It repeats the id of a call that was kept.",
    "other-instrument": "Another instrument saw the same call.",
    "same-start": "It has the start, prompt, model and tokens of a call that was kept.",
    "replayed": "It repeats a call of the session whose history this one opens with.",
    "parent-span": "It repeats what the calls within its span used.",
    "joined": "It is the request that belongs to this result.",
}


@dataclass(frozen=True)
class LinkedCalls:
    """Linked rows by what becomes of them."""

    rows: pl.DataFrame  # all of them, normalised
    kept: pl.DataFrame  # rows of REQUESTS, without `attempt`
    merged: pl.DataFrame
    unanswered: pl.DataFrame
    unknown: pl.DataFrame  # they are no calls

    def skips(self) -> pl.DataFrame:
        """Return the rows of SKIPS for those that are not kept."""
        return pl.concat(
            [
                _merged_skips(self.merged, self.kept),
                _skips(self.unanswered, "no-response", UNANSWERED),
                _skips(self.unknown, "unknown-format", UNCOUNTED),
            ]
        )


def settle(rows: pl.DataFrame, others: pl.DataFrame) -> LinkedCalls:
    """Decide what becomes of rows from `find_duplicates`.

    `others` holds each `source_file` and `source` that has further rows.
    """
    unanswered = rows.filter(pl.col("is_unanswered"))
    merged = rows.filter(pl.col("merged_into").is_not_null())
    kept = rows
    if len(merged) or len(unanswered):  # otherwise avoid the copy that filtering makes
        kept = rows.filter(pl.col("merged_into").is_null() & ~pl.col("is_unanswered"))
    kept = kept.with_columns(estimated())
    unknown = _of_unknown_format(kept, merged, others)
    if len(unknown):
        kept = kept.join(unknown, on="at", how="anti", maintain_order="left")
    kept = kept.with_columns(request_ids(kept))
    return LinkedCalls(rows, _with_prompt_places(kept, rows), merged, unanswered, unknown)


UNANSWERED = "It is a request whose result is not among the logs."


def _with_prompt_places(kept: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    if (kept["prompt_at"] == kept["at"]).all():
        return kept.with_columns(prompt_piece="piece", prompt_row="row")
    places = rows.select(prompt_at="at", prompt_piece="piece", prompt_row="row")
    return kept.join(places, on="prompt_at", how="left", maintain_order="left")


UNCOUNTED = (
    "It looks like a call, but no count in this file can be read: `costaudit doctor` lists its "
    "fields and drafts a map."
)


def _of_unknown_format(
    kept: pl.DataFrame, merged: pl.DataFrame, others: pl.DataFrame
) -> pl.DataFrame:
    """Return what looks like calls, if no call of the file has a count, text, billed unit or cost.

    If some calls of a file and source have counts, its other calls are kept as calls without usage.
    So has one of `others`, which holds each file and source with rows that are not among `kept`.
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
    found = found.join(others, on=["source_file", "source"], how="anti")
    return found.join(merged, left_on="at", right_on="merged_into", how="anti")


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


def colliding_ids(kept: pl.DataFrame) -> tuple[int, int]:
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


def merged_cost(merged: pl.DataFrame) -> dict[str, str]:
    costs = merged.filter(pl.col("logged_cost").is_not_null()).select(
        pl.col("cost_unit").fill_null("usd"), pl.col("logged_cost").cast(pl.Float64, strict=False)
    )
    sums = costs.group_by("cost_unit").agg(pl.col("logged_cost").sum()).sort("cost_unit")
    return {unit: f"{cost:.6f}" for unit, cost in sums.iter_rows()}
