"""Compute the cost of token classes: tokens are summed per rate and multiplied once."""

from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import MTOK, PER_MTOK, Pricing
from costaudit.contracts.requests import SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.contracts.spend import CostBreakdown

Tokens = tuple[int, ...]  # in the order of TOKEN_CLASSES


def billed_classes(requests: pl.DataFrame) -> pl.DataFrame:
    """Return each request's billed token classes; 0 if a gateway's cache served it.

    Missing and negative counts are 0 here; data quality reports how many requests lack usage.
    """
    return requests.select(
        pl.when(SENT_TO_PROVIDER).then(pl.col(name).fill_null(0).clip(0)).otherwise(0).alias(name)
        for name in TOKEN_CLASSES
    )


def cost(classes: pl.DataFrame, pricing: Pricing, mask: pl.Series | None = None) -> CostBreakdown:
    """Return the sums of tokens and exact dollars; requests without a rate add only tokens.

    `classes` holds TOKEN_CLASSES, aligned with the pricing; `mask` selects rows.
    """
    picked = slice(None) if mask is None else mask.to_numpy()
    places = pricing.rate_ids.cast(pl.Int64).fill_null(-1).to_numpy()[picked] + 1
    requests = np.bincount(places)
    sums = [
        np.bincount(places, _filled(classes[name]).to_numpy()[picked])  # exact below 2**53
        for name in TOKEN_CLASSES
    ]
    rows: list[tuple[int | None, int, Tokens]] = []
    for place in np.flatnonzero(requests).tolist():
        tokens = tuple(int(of_class[place]) for of_class in sums)
        rows.append((place - 1 if place else None, int(requests[place]), tokens))
    return breakdown(rows, rates_by_id(pricing))


def _filled(counts: pl.Series) -> pl.Series:
    return counts.fill_null(0) if counts.has_nulls() else counts


def rates_by_id(pricing: Pricing) -> dict[int, tuple[Decimal, ...]]:
    """Return the six prices per million tokens of each rate, in the order of TOKEN_CLASSES."""
    rows = pricing.rates.select("rate_id", *PER_MTOK).iter_rows()
    return {row[0]: tuple(Decimal(text) for text in row[1:]) for row in rows}


def breakdown(
    sums: list[tuple[int | None, int, Tokens]], rates: dict[int, tuple[Decimal, ...]]
) -> CostBreakdown:
    """Return a breakdown of token sums per rate: (rate id, requests, tokens by class)."""
    requests = 0
    tokens = [0] * len(TOKEN_CLASSES)
    usd = [Decimal(0)] * len(TOKEN_CLASSES)
    for rate_id, count, counted in sums:
        requests += count
        for i, amount in enumerate(counted):
            tokens[i] += amount
            if rate_id is not None:
                usd[i] += amount * rates[rate_id][i] / MTOK
    uncached, read, write_5m, write_1h, write_other, output = usd
    counts: dict[str, Any] = dict(zip(TOKEN_CLASSES, tokens, strict=True))
    write = write_5m + write_1h + write_other
    return CostBreakdown(
        requests=requests,
        **counts,
        input_uncached_usd=plain(uncached),
        cache_read_usd=plain(read),
        cache_write_usd=plain(write),
        output_usd=plain(output),
        total_usd=plain(uncached + read + write + output),
    )


def plain(amount: Decimal) -> Decimal:
    """Return a decimal without trailing zeros and without an exponent."""
    return Decimal(format(amount.normalize(), "f"))


def per_request_usd(classes: pl.DataFrame, pricing: Pricing) -> npt.NDArray[np.float64]:
    """Return each request's price in float64, for ranking and weights only; NaN without a rate."""
    rates = pricing.rates.select(pl.col(PER_MTOK).cast(pl.Float64)).to_numpy()
    ids = pricing.rate_ids.fill_null(len(rates)).to_numpy()
    table = np.vstack([rates, np.full((1, len(PER_MTOK)), np.nan)])
    counts = classes.select(TOKEN_CLASSES).to_numpy()
    return np.asarray((counts * table[ids]).sum(axis=1) / 1e6, np.float64)
