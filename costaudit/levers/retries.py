"""Calls that were made again although they had been paid for."""

import polars as pl

RETRY_S = 120.0  # a later attempt at the same prompt within this time is a retry
DOUBLE_S = 5.0  # the same prompt again within this time is a double submission
LENGTH_RETRY_S = 600.0
_SAME = ("provider", "model", "endpoint", "tenant", "user", "conversation")


def repeated_calls(requests: pl.DataFrame) -> pl.Series:
    """Class each call that another one made useless: retried, cut-off, double; null for others.

    A call is compared with the next one of the same prompt, sender and model. Calls without a
    prompt or a time are in no class; without a user or conversation, none is a double.
    """
    prompt = pl.col("segments").list.eval(pl.element().struct.field("block_id")).hash()
    ok = pl.col("status") == "ok"
    sent = pl.col("served_by").fill_null("provider") != "gateway_cache"
    told = pl.col("ts").is_not_null() & (pl.col("segments").list.len() > 0)
    frame = requests.select(
        *_SAME, "ts", "attempt", "finish_reason", prompt=prompt, ok=ok & sent, eligible=told & sent
    ).with_row_index("row")
    eligible = frame.filter("eligible")
    group = ("prompt", *_SAME)
    ordered = eligible.sort("ts", "row")
    gap = (pl.col("ts").shift(-1) - pl.col("ts")).dt.total_microseconds() / 1e6
    attempt = pl.col("attempt").fill_null(0)
    classed = ordered.select(
        "row",
        gap=gap.over(group),
        later=(attempt.shift(-1) > attempt).over(group),
        since=((pl.col("ts") - pl.col("ts").shift(1)).dt.total_microseconds() / 1e6).over(group),
        first_ok=pl.col("ok").shift(1).over(group),
        again=(attempt == attempt.shift(1)).over(group),
        named=pl.col("user").is_not_null() | pl.col("conversation").is_not_null(),
        ok="ok",
        cut=pl.col("finish_reason") == "length",
    ).with_columns(
        kind=pl.when(pl.col("ok") & pl.col("later") & (pl.col("gap") <= RETRY_S))
        .then(pl.lit("retried"))
        .when(pl.col("ok") & pl.col("cut") & (pl.col("gap") <= LENGTH_RETRY_S))
        .then(pl.lit("cut-off"))
        .when("ok", "first_ok", "again", "named", pl.col("since") <= DOUBLE_S)
        .then(pl.lit("double"))
    )
    joined = frame.select("row").join(
        classed.select("row", "kind"), on="row", how="left", maintain_order="left"
    )
    return joined["kind"]
