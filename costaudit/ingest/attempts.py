"""Which calls repeat a call that has just failed."""

import polars as pl

RETRY_US = 120_000_000  # a repetition later than this after a failure is a new wish
SAME = ("prompt_hash", "tenant", "user", "conversation")


def number_attempts(rows: pl.DataFrame) -> pl.Series:
    """Give each row its attempt, 0 for the first.

    What a log says is taken; logs that begin to count at 1 are moved. Elsewhere a call is a retry
    if the same prompt of the same caller failed at most two minutes before.
    """
    logged = pl.col("attempt") - pl.col("attempt").min().over("source_file").clip(0, 1)
    rows = rows.select("at", "ts_us", "status", *SAME, logged.alias("_logged"))
    failed = rows.filter(pl.col("status") == "error").select(SAME).unique()
    retried = _number(rows.join(failed, on=SAME, how="semi", nulls_equal=True))
    return (
        rows.join(retried, on="at", how="left", maintain_order="left")
        .select(attempt=pl.coalesce("_logged", "_number", pl.lit(0)).cast(pl.Int32))
        .to_series()
    )


def _number(rows: pl.DataFrame) -> pl.DataFrame:
    """Number the tries of each prompt of each caller that failed at least once."""
    ordered = rows.sort("ts_us", "at", nulls_last=True)
    previous_failed = (pl.col("status").shift() == "error") & (
        pl.col("ts_us") - pl.col("ts_us").shift() <= RETRY_US
    )
    able = pl.col("prompt_hash").is_not_null() & pl.col("ts_us").is_not_null()
    ordered = ordered.with_columns(
        _retry=(able & previous_failed.over(SAME)).fill_null(False),
    )
    ordered = ordered.with_columns(_run=(~pl.col("_retry")).cum_sum().over(SAME))
    ordered = ordered.with_columns(_place=pl.int_range(pl.len()).over([*SAME, "_run"]))
    return ordered.select("at", _number=pl.when("_retry").then("_place").otherwise(0))
