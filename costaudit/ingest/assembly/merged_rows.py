"""The records that repeat a call, with what prices them: what counting them would have cost."""

import polars as pl

from costaudit.contracts.requests import MERGED, TOKEN_CLASSES
from costaudit.contracts.run_dir import RunDir, write_table
from costaudit.ingest.staging.pieces import Pieces

OWN = ("service_tier", "is_batch", "region", "cache_options", "billed_units")  # in pieces only


def write_merged(run: RunDir, merged: pl.DataFrame, kept: pl.DataFrame, pieces: Pieces) -> None:
    """Write MERGED, or remove it where no record repeats a call."""
    merged = merged.filter(pl.col("merge_reason") != "joined")
    if merged.is_empty():
        run.merged_path.unlink(missing_ok=True)
        return
    parts = []
    for (number,), group in merged.group_by("piece", maintain_order=True):
        staged, _ = pieces.rows(int(str(number)))
        taken = staged.select(OWN)[group["row"]]
        rest = group.select(pl.exclude("row", *OWN))
        parts.append(pl.concat([rest, taken], how="horizontal"))
    names = kept.select(pl.col("at").alias("merged_into"), "request_id")
    rows = pl.concat(parts).sort("at").join(names, on="merged_into", how="left")
    told = rows.select(
        "source_file",
        pl.col("offset").alias("source_offset"),
        pl.col("merge_reason").alias("reason"),
        pl.col("request_id").alias("merged_into"),
        pl.from_epoch("ts_us", "us").dt.replace_time_zone("UTC").alias("ts"),
        "provider",
        "model",
        *TOKEN_CLASSES,
        "cache_write_other_ttl",
        "logged_cost",
        "cost_unit",
        "served_by",
        *OWN,
    )
    write_table(told.select(MERGED.names()).cast(MERGED), run.merged_path, MERGED)
