"""Functions that levers share: placed segments, an EFFECT of requests, bounds of a share."""

import polars as pl

from costaudit.contracts.ledger import EFFECT
from costaudit.contracts.requests import ANSWERED


def effect_of(touched: pl.Series, **changes: pl.Series | str | int | bool) -> pl.DataFrame:
    """Return an EFFECT that changes the touched requests; `unit` is among the changes."""
    frame = pl.DataFrame({"touched": touched}).with_columns(
        (value if isinstance(value, pl.Series) else pl.lit(value)).alias(name)
        for name, value in changes.items()
    )
    columns = [
        pl.when("touched").then(name).cast(dtype).alias(name)
        if name in changes
        else pl.lit(None, dtype).alias(name)
        for name, dtype in EFFECT.items()
    ]
    return frame.select(columns)


def cutting(requests: pl.DataFrame, cuts: pl.DataFrame) -> pl.DataFrame:
    """Return an EFFECT that removes tokens from prompts.

    cuts: columns row (of the request), start (prompt tokens before the cut) and tokens.
    """
    listed = (
        cuts.sort("row", "start")
        .group_by("row", maintain_order=True)
        .agg(cuts=pl.struct("start", "tokens"))
    )
    rows = pl.DataFrame({"row": pl.int_range(len(requests), eager=True)})
    placed = rows.join(listed, on="row", how="left", maintain_order="left")["cuts"]
    return effect_of(placed.is_not_null(), unit=endpoint_unit(requests), cuts=placed)


def placed_segments(requests: pl.DataFrame) -> pl.DataFrame:
    """Return the segments of all sent and answered prompts, in order.

    Columns: row (of the request), unit, role, kind, block_id, tokens (scaled to the bill) and start
    (tokens of the same prompt before the segment). Prompts whose tokens are unknown are left out.
    """
    sent = requests.with_row_index("row").select(
        pl.col("row").cast(pl.Int64),
        "segments",
        unit=endpoint_unit(requests),
        kept=ANSWERED & (pl.col("segments").list.len() > 0),
    )
    flat = sent.filter("kept").drop("kept").explode("segments").unnest("segments")
    known = pl.col("tokens").is_not_null().all().over("row")
    flat = flat.filter(known).drop("cache_marker")
    before = pl.col("tokens").cum_sum().over("row") - pl.col("tokens")
    return flat.with_columns(pl.col("tokens").cast(pl.Int64), start=before.cast(pl.Int64))


def placed_blocks(requests: pl.DataFrame, role: str) -> pl.DataFrame:
    """Return the blocks of a role in each prompt, in order: columns row and block_id."""
    spoken = pl.element().struct
    mine = pl.when(spoken.field("role") == role).then(spoken.field("block_id"))
    return (
        requests.select(block_id=pl.col("segments").list.eval(mine).list.drop_nulls())
        .with_row_index("row")
        .explode("block_id")
        .drop_nulls("block_id")
    )


def endpoint_unit(requests: pl.DataFrame) -> pl.Series:
    """Return each request's unit of decision: its endpoint and model."""
    named = pl.concat_str(pl.col("endpoint", "model").fill_null(""), separator=" | ")
    return requests.select(named.alias("unit")).to_series()


def endpoints(units: pl.Series, most: int = 3) -> str:
    """Return the endpoints of some units as a list for a sentence, the first ones by name."""
    names = sorted({unit.partition(" | ")[0] or "endpoints not logged" for unit in units.unique()})
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def sent_ok() -> pl.Expr:
    """Return whether a provider answered with text."""
    return ANSWERED & (pl.col("answer_kind") == "text")


def exact_bounds(hits: float, of: float) -> tuple[float, float]:
    """Return Clopper and Pearson's 95 % bounds of a share; sizes may be fractions."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, hits, of - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(0.975, hits + 1, of - hits)) if hits < of else 1.0
    return low, high
