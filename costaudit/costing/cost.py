"""Compute the cost of token classes: tokens are summed per rate and multiplied once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import MTOK, Pricing
from costaudit.contracts.requests import GATEWAY_SERVED, SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.contracts.run_dir import column
from costaudit.contracts.spend import CostBreakdown

Tokens = tuple[int, ...]  # in the order of TOKEN_CLASSES


def billed_classes(requests: pl.DataFrame) -> pl.DataFrame:
    """Return each request's billed token classes; 0 if a gateway's cache served it.

    Missing and negative counts are 0 here; data quality reports how many requests lack usage.
    """
    counts = requests.select(TOKEN_CLASSES)
    least = counts.select(pl.all().fill_null(-1).min()).row(0) if len(counts) else ()
    if min(least, default=0) >= 0 and not requests.select(GATEWAY_SERVED.any()).item():
        return counts
    return requests.select(
        pl.when(SENT_TO_PROVIDER).then(pl.col(name).fill_null(0).clip(0)).otherwise(0).alias(name)
        for name in TOKEN_CLASSES
    )


def cost(classes: pl.DataFrame, pricing: Pricing, mask: pl.Series | None = None) -> CostBreakdown:
    """Return the sums of tokens and exact dollars; requests without a rate add only tokens.

    `classes` holds TOKEN_CLASSES, aligned with the pricing; `mask` selects rows.
    """
    return breakdown(pricing.sums(classes, mask), pricing.rates_by_id)


_AT_ONCE = 500_000  # requests that are laid out at once


def breakdown(
    sums: list[tuple[int | None, int, Tokens]], rates: dict[int, tuple[Decimal, ...]]
) -> CostBreakdown:
    """Return a breakdown of token sums per rate: (rate id, requests, tokens by class)."""
    requests = 0
    tokens = [0] * len(TOKEN_CLASSES)
    unpriced = dict.fromkeys(TOKEN_CLASSES, 0)
    usd = [Decimal(0)] * len(TOKEN_CLASSES)
    for rate_id, count, counted in sums:
        requests += count
        for i, amount in enumerate(counted):
            tokens[i] += amount
            if amount and rate_id is not None:
                usd[i] += amount * rates[rate_id][i]
            elif amount:
                unpriced[TOKEN_CLASSES[i]] += amount
    uncached, read, write_5m, write_1h, write_other, output = (one / MTOK for one in usd)
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
        unpriced={name: amount for name, amount in unpriced.items() if amount},
    )


def plain(amount: Decimal) -> Decimal:
    """Return a decimal without trailing zeros and without an exponent."""
    return Decimal(format(amount.normalize(), "f"))


def per_request_usd(classes: pl.DataFrame, pricing: Pricing) -> npt.NDArray[np.float64]:
    """Return each request's price in float64, for ranking and weights only; NaN without a rate."""
    usd = np.zeros(len(classes))
    for start in range(0, len(classes), _AT_ONCE):
        here = slice(start, start + _AT_ONCE)
        part = replace(pricing, rate_ids=pricing.rate_ids[here])
        for _, of_class in class_usd(classes[here], part):
            usd[here] += of_class
    usd /= 1e6
    return usd


def class_usd(
    classes: pl.DataFrame, pricing: Pricing
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
    """Yield each request's tokens and price in millionths of a dollar, for each token class.

    Prices are float64, for ranking and weights only, and NaN without a rate.
    """
    ids = pricing.rate_ids.fill_null(len(pricing.rates)).to_numpy()
    for name, rates in zip(TOKEN_CLASSES, pricing.rates_by_class, strict=True):
        tokens = column(classes, name).to_numpy()
        yield tokens, tokens * rates[ids]


class Kind(NamedTuple):
    """What decides how the sums of calls are priced."""

    rate_id: int | None
    is_logged: bool  # their logged costs count
    units_unknown: bool  # they have units of unknown price, and no logged cost that counts


class Sum(NamedTuple):
    """The calls of a group and kind, added up."""

    kind: Kind
    requests: int
    tokens: Tokens
    logged_usd: Decimal  # 0 if the logged costs don't count
    unit_usd: Decimal  # of units other than text


def added(sums: Sequence[Sum], rates: dict[int, tuple[Decimal, ...]]) -> CostBreakdown:
    """Return the cost of a group; its total uses the logged costs that count."""
    found = breakdown([(one.kind.rate_id, one.requests, one.tokens) for one in sums], rates)
    units = sum((one.unit_usd for one in sums), Decimal(0))
    total = found.total_usd + units
    for one in sums:
        if one.kind.is_logged:
            listed = breakdown([(one.kind.rate_id, one.requests, one.tokens)], rates).total_usd
            total += one.logged_usd - listed - one.unit_usd
    unpriced = without_rate(sums, logged=False)
    if calls := sum(one.requests for one in sums if one.kind.units_unknown):
        unpriced["units"] = calls
    return replace(found, total_usd=plain(total), units_usd=plain(units), unpriced=unpriced)


def without_rate(sums: Sequence[Sum], *, logged: bool) -> dict[str, int]:
    """Return the tokens without a rate by class; classes without tokens are left out."""
    found = [
        one.tokens for one in sums if one.kind.rate_id is None and one.kind.is_logged == logged
    ]
    totals = [sum(of_class) for of_class in zip(*found, strict=True)]
    return {name: n for name, n in zip(TOKEN_CLASSES, totals, strict=False) if n}
