"""Forecast a log's next month, and explain why its spend grew."""

from decimal import Decimal

import numpy as np
import polars as pl

from costaudit.contracts.forecast import Driver, Forecast
from costaudit.costing.growth import drivers, inflation, spikes, token_counts
from costaudit.costing.months.forecast import backtest, next_month
from costaudit.costing.months.month import month_of
from costaudit.errors import InsufficientDataError
from costaudit.pipeline.loaded import Loaded

_DAY_S = 86_400


def forecast_of(log: Loaded) -> Forecast:
    """Return a log's forecast; raises InsufficientDataError if the month is unknown."""
    if not log.month.facts.is_month:
        raise InsufficientDataError(
            f"There is no month to forecast. {' '.join(log.month.facts.reasons)}",
            hint="Take a log of two weeks or more.",
        )
    usd = log.tariff.request_usd
    change, factors = _change(log, usd)
    requests = log.requests
    tokens = token_counts(log.tariff.classes)
    split = {
        "endpoint": requests["endpoint"],
        "model": requests["model"],
        "user": requests["user"],
        "tenant": requests["tenant"],
        "template": log.templates.cast(pl.String),
    }
    return Forecast(
        month=log.month.facts,
        like_log=log.month.money(usd, "measured"),
        next_month=next_month(log.month, usd),
        backtest=backtest(requests, usd, log.quality.covered_days),
        change=change,
        drivers=factors,
        spikes=spikes(requests["ts"].dt.date(), usd, split),
        inflation=inflation(requests, usd / np.maximum(tokens, 1.0), log.month.weights),
    )


def _change(log: Loaded, usd: np.ndarray) -> tuple[Decimal, tuple[Driver, ...]]:
    """Compare two months, one made of each half of the log, in whole days."""
    days = (log.requests["ts"].dt.epoch("s") // _DAY_S).to_numpy().astype(np.float64)
    known = days[np.isfinite(days)]
    middle = known.min() + np.floor((known.max() - known.min() + 1) / 2)
    halves = [days < middle, days >= middle]
    weights = []
    for half in halves:
        month = month_of(log.requests.filter(pl.Series(half)), 1.0)
        if not month.facts.is_month:
            return Decimal(0), ()
        weight = np.zeros(len(days))
        weight[half] = month.weights
        weights.append(weight)
    tokens = token_counts(log.tariff.classes)
    found = drivers(log.requests["model"], tokens, usd, (weights[0], weights[1]))
    return sum((one.usd for one in found), Decimal(0)), found
