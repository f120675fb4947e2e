"""Simulated cache reads against billed ones, model by model."""

import numpy as np
import polars as pl

from costaudit.contracts.prefix import Agreement
from costaudit.simulate.prefix.run import PrefixOutcome

CLOSE_SHARE = 0.05  # of the input: a request agrees if its reads differ by no more


def agreement_by_model(requests: pl.DataFrame, as_is: PrefixOutcome) -> tuple[Agreement, ...]:
    """Compare the simulation of what the application does with the provider's counters.

    Only requests whose usage came from the provider or its gateway are compared.
    """
    trusted = pl.col("usage_source").is_in(["provider", "gateway"])
    rows = requests.select(
        pl.col("provider").fill_null(""),
        pl.col("model").fill_null(""),
        billed=pl.col("cache_read_tokens").fill_null(0),
        trusted=trusted.fill_null(False),
    ).with_columns(
        simulated=as_is.classes["cache_read_tokens"],
        size=as_is.classes.drop("output_tokens").sum_horizontal(),
        chosen=pl.Series(as_is.simulated),
    )
    rows = rows.filter("chosen", "trusted").with_columns(
        close=(pl.col("simulated") - pl.col("billed")).abs() <= CLOSE_SHARE * pl.col("size")
    )
    models = rows.group_by("provider", "model").agg(
        requests=pl.len(),
        billed=pl.col("billed").sum(),
        simulated=pl.col("simulated").sum(),
        close=pl.col("close").mean(),
    )
    return tuple(
        Agreement(
            provider=row["provider"],
            model=row["model"],
            requests=row["requests"],
            billed_read_tokens=row["billed"],
            simulated_read_tokens=row["simulated"],
            ratio=row["simulated"] / row["billed"] if row["billed"] else None,
            within_5_percent_share=row["close"],
        )
        for row in models.sort("provider", "model").iter_rows(named=True)
    )


def billed_read_share(requests: pl.DataFrame) -> float | None:
    """Give the billed share of reads in all input; None where no row carries counters."""
    counted = requests.filter(pl.col("usage_source").is_in(["provider", "gateway"]))
    total = counted.select(pl.sum_horizontal("input_uncached_tokens", "^cache_.*_tokens$").sum())
    whole = total.item() or 0
    read = counted["cache_read_tokens"].sum()
    return float(np.float64(read) / whole) if whole else None
