"""Forecast the month after a log by its trend, and test the forecast on the log itself."""

from decimal import Decimal

import numpy as np
import polars as pl

from costaudit.contracts.forecast import Backtest
from costaudit.contracts.grades import Money, micro_usd
from costaudit.contracts.month import MONTH_DAYS
from costaudit.contracts.requests import TS_S
from costaudit.costing.months.calendar import Floats
from costaudit.costing.months.month import Month, month_at

_FIRST_DAYS = 14  # minimum length of a log for a forecast
_AHEAD_DAYS = 7
_DAY_S = 86_400


def next_month(month: Month, by_request: Floats, ahead_days: float = MONTH_DAYS) -> Money:
    """Return the month after the log, or a month at the pace of the next `ahead_days` days."""
    middle, low, high = month.projected(month.daily(by_request), ahead_days)
    amounts = [micro_usd(one) for one in (middle, low, high)]
    return Money(amounts[0], "estimated", max(amounts[1], Decimal(0)), amounts[2])


def backtest(requests: pl.DataFrame, by_request: Floats, covered_days: float) -> Backtest:
    """Forecast each week of a log, from the third on, from the days before it.

    The true value is a month made of that week alone, so that both use the same weights.
    """
    ts_s, counts, usd = _by_hour(requests, by_request)
    if not len(ts_s):
        return Backtest(0, 0, 0.0)
    first = np.floor(ts_s[0] / _DAY_S) * _DAY_S
    errors: list[float] = []
    covered = 0
    for day in range(_FIRST_DAYS, int(covered_days) - _AHEAD_DAYS + 1, _AHEAD_DAYS):
        now = first + day * _DAY_S
        start, end = np.searchsorted(ts_s, [now, now + _AHEAD_DAYS * _DAY_S])
        parts = slice(start), slice(start, end)
        months = [month_at(ts_s[one], day, counts=counts[one]) for one in parts]
        if not all(one.facts.is_month for one in months):
            continue
        told = next_month(months[0], usd[parts[0]], _AHEAD_DAYS)
        value = months[1].usd(usd[parts[1]])
        if told.low_usd is None or told.high_usd is None or not value:
            continue
        covered += told.low_usd <= value <= told.high_usd
        errors.append(abs(float((told.usd - value) / value)))
    return Backtest(len(errors), covered, float(np.mean(errors)) if errors else 0.0)


def _by_hour(requests: pl.DataFrame, by_request: Floats) -> tuple[Floats, Floats, Floats]:
    """Return times in order, requests and dollars: an hour's first request and all later ones.

    The hours of a part of the log and its first and last time are then those of its requests.
    """
    timed = requests.select(TS_S, usd=pl.Series(by_request)).drop_nulls("ts")
    hours = (
        timed.group_by(hour=(pl.col("ts") // 3_600).cast(pl.Int64))
        .agg(pl.len(), first=pl.col("ts").min(), last=pl.col("ts").max(), usd=pl.col("usd").sum())
        .sort("hour")
    )
    rest = hours["len"].to_numpy() - 1
    shares = np.stack([np.ones(len(rest)), rest], axis=1)
    ts_s = np.stack([hours["first"].to_numpy(), hours["last"].to_numpy()], axis=1)
    usd = np.stack([hours["usd"].to_numpy(), np.zeros(len(rest))], axis=1)
    return ts_s.ravel(), shares.ravel(), usd.ravel()
