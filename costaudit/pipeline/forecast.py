"""Forecast a log's next month, and explain why its spend grew."""

from decimal import Decimal

import numpy as np
import polars as pl

from costaudit.contracts.forecast import Driver, Forecast
from costaudit.contracts.requests import TS_S
from costaudit.costing.growth import drivers, inflation, spikes, token_counts
from costaudit.costing.months.forecast import backtest, next_month
from costaudit.costing.months.month import month_at
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
    tokens = token_counts(log.tariff.classes)
    change, factors = _change(log, tokens, usd)
    requests = log.keyed
    split = {name: requests[name] for name in ("endpoint", "model", "user", "tenant")}
    split["template"] = log.templates.cast(pl.String)
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


def _change(log: Loaded, tokens: np.ndarray, usd: np.ndarray) -> tuple[Decimal, tuple[Driver, ...]]:
    """Compare two months, one made of each half of the log, in whole days."""
    ts_s = log.keyed.select(TS_S).to_series().fill_null(np.nan).to_numpy()
    days = ts_s // _DAY_S
    middle = np.nanmin(days) + np.floor((np.nanmax(days) - np.nanmin(days) + 1) / 2)
    weights = []
    for half in (days < middle, days >= middle):
        month = month_at(ts_s[half], 1.0)
        if not month.facts.is_month:
            return Decimal(0), ()
        weight = np.zeros(len(days))
        weight[half] = month.weights
        weights.append(weight)
    found = drivers(log.keyed["model"], tokens, usd, (weights[0], weights[1]))
    return sum((one.usd for one in found), Decimal(0)), found
