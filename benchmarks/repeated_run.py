"""Repeat a run directory: a log many times as large, without reading one.

Run `python -m benchmarks.repeated_run RUN TIMES OUT`. Every copy has request ids, questions and
answers of its own and follows the copy before it in time; the system prompt stays the same, as do
the users. The tables are what `ingest` writes for such a log, but for the order of their blocks.
"""

import argparse
import shutil
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from costaudit.contracts.run_dir import RunDir


def key(name: pl.Expr, copy: int, kept: pl.Series) -> pl.Expr:
    """Return the keys of blocks in a copy: 32 hex digits; those in `kept` stay."""
    new = (name + f"-{copy}").hash(0), (name + f"-{copy}").hash(1)
    digits = pl.concat_str(*(one.cast(pl.String).str.zfill(20).str.slice(4) for one in new))
    return pl.when(name.is_in(kept.implode())).then(name).otherwise(digits)


def requests_of(one: pl.DataFrame, copy: int, kept: pl.Series) -> pl.DataFrame:
    """Return the requests of a copy."""
    span = one["ts"].max() - one["ts"].min() + pl.Series([1], dtype=pl.Duration("us"))[0]  # type: ignore[operator]
    parts = one.select("segments").with_row_index("row").explode("segments").unnest("segments")
    renamed = parts.with_columns(key(pl.col("block_id"), copy, kept).alias("block_id"))
    fields = [name for name in renamed.columns if name != "row"]
    lists = renamed.group_by("row", maintain_order=True).agg(segments=pl.struct(fields))
    return one.with_columns(
        lists["segments"],
        pl.col("request_id") + f"-{copy}",
        pl.col("ts") + span * copy,
        key(pl.col("answer_id"), copy, kept).alias("answer_id"),
        pl.col("source_offset") + (1 << 40) * copy,
    )


def blocks_of(one: pl.DataFrame, copy: int, kept: pl.Series) -> pl.DataFrame:
    """Return the blocks of a copy, without those that stay."""
    own = one.filter(~pl.col("block_id").is_in(kept.implode()))
    return own.with_columns(
        key(pl.col("block_id"), copy, kept).alias("block_id"), pl.col("text") + f" {copy}"
    )


def main() -> None:
    """Write the repeated run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("times", type=int)
    parser.add_argument("out", type=Path)
    told = parser.parse_args()
    run, out = RunDir(told.run), RunDir(told.out)
    out.path.mkdir(parents=True)
    for path in (run.manifest_path, run.skips_path, run.marker_path):
        shutil.copy(path, out.path / path.name)
    requests, blocks = run.requests(), run.blocks()
    roles = requests["segments"].explode().struct.unnest()
    kept = roles.filter(pl.col("role") == "system")["block_id"].unique()
    tables = ((requests, requests_of, out.requests_path), (blocks, blocks_of, out.blocks_path))
    for table, of, path in tables:
        writer = None
        for copy in range(told.times):
            part = of(table, copy, kept) if copy else table
            arrow = part.to_arrow()
            writer = writer or pq.ParquetWriter(path, arrow.schema, compression="zstd")
            writer.write_table(arrow, row_group_size=1 << 16)
        assert writer is not None
        writer.close()


if __name__ == "__main__":
    main()
