"""Split the change of spend between two audits into its causes."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from costaudit.contracts.audit import Audit
from costaudit.contracts.forecast import Driver
from costaudit.contracts.spend import CostBreakdown, SpendRow
from costaudit.costing.growth import Paid, drivers


def causes_of_change(base: Audit, new: Audit) -> tuple[Driver, ...]:
    """Return factors that add up to the change of spend; () if an audit has no models or calls.

    Amounts are those of a month, or those of the logs if the period is the log. Each model of each
    audit is one row, with its mean call.
    """
    rows = [[row for row in one.spend.by.get("model", ()) if row.cost.requests]
            for one in (base, new)]  # fmt: skip
    if not all(rows) or base.month.is_month != new.month.is_month:
        return ()
    every = [*rows[0], *rows[1]]
    count = np.array([row.cost.requests * _pace(row) for row in every])
    is_base = np.arange(len(every)) < len(rows[0])
    models = pl.Series([row.group for row in every])
    weights = np.where(is_base, count, 0.0), np.where(is_base, 0.0, count)
    return drivers(models, _mean_calls([row.cost for row in every]), weights)


def _pace(row: SpendRow) -> float:
    """Return how often a model's calls fit in a month; 1 if the period is the log."""
    if row.month is None or not row.cost.total_usd:
        return 1.0
    return float(row.month.usd / row.cost.total_usd)


def _mean_calls(costs: list[CostBreakdown]) -> Iterator[Paid]:
    """Yield the tokens of a mean call and their dollars, one class after the other; then units.

    Logged costs are spread over the classes like list prices. Without a list price, all tokens of
    a model have one mean price.
    """
    requests = np.array([float(one.requests) for one in costs])
    total = np.array([float(one.total_usd) for one in costs])
    units = np.minimum([float(one.units_usd) for one in costs], total)
    classes = [_tokens(one) for one in costs]
    listed = np.array([[usd for _, usd in one] for one in classes])
    tokens = np.array([[amount for amount, _ in one] for one in classes])
    sums = listed.sum(axis=1)
    is_listed = sums > 0
    scale = np.where(is_listed, (total - units) / np.where(is_listed, sums, 1.0), 0.0)
    for place in range(tokens.shape[1]):
        yield tokens[:, place] / requests, listed[:, place] * scale / requests
    yield tokens.sum(axis=1) / requests, np.where(is_listed, 0.0, total - units) / requests
    yield units / requests, units / requests


def _tokens(cost: CostBreakdown) -> list[tuple[float, float]]:
    """Return the tokens of each class and their dollars."""
    written = (
        cost.cache_write_5m_tokens + cost.cache_write_1h_tokens + cost.cache_write_other_tokens
    )
    return [
        (float(cost.input_uncached_tokens), float(cost.input_uncached_usd)),
        (float(cost.cache_read_tokens), float(cost.cache_read_usd)),
        (float(written), float(cost.cache_write_usd)),
        (float(cost.output_tokens), float(cost.output_usd)),
    ]
