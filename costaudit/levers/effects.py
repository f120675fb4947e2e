"""How a lever's choice of requests becomes an EFFECT."""

import polars as pl

from costaudit.contracts.ledger import EFFECT


def effect_of(touched: pl.Series, **changes: pl.Series | str | int | bool) -> pl.DataFrame:
    """Build an EFFECT that changes the touched requests; `unit` is among the changes."""
    frame = pl.DataFrame({"touched": touched}).with_columns(
        (value if isinstance(value, pl.Series) else pl.lit(value)).alias(name)
        for name, value in changes.items()
    )
    columns = [
        pl.when("touched").then(name if name in changes else None).cast(dtype).alias(name)
        for name, dtype in EFFECT.items()
    ]
    return frame.select(columns)


def endpoint_unit(requests: pl.DataFrame) -> pl.Series:
    """Name what is decided together: an endpoint and a model."""
    named = pl.concat_str(pl.col("endpoint", "model").fill_null(""), separator=" | ")
    return requests.select(named.alias("unit")).to_series()


def sent_ok() -> pl.Expr:
    """Tell which requests a provider answered with text."""
    served = pl.col("served_by").fill_null("provider") != "gateway_cache"
    return served & (pl.col("status") == "ok") & (pl.col("answer_kind") == "text")
