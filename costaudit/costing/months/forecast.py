"""Forecast the month after a log by its trend, and test the forecast on the log itself."""

from decimal import Decimal

import numpy as np
import polars as pl

from costaudit.contracts.forecast import Backtest
from costaudit.contracts.grades import Money, micro_usd
from costaudit.contracts.month import MONTH_DAYS
from costaudit.contracts.requests import TS_S
from costaudit.costing.months.calendar import Floats
from costaudit.costing.months.month import Month, month_of

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
    ts_s = requests.select(TS_S).to_series().fill_null(np.nan).to_numpy()
    timed = np.isfinite(ts_s)
    if not timed.any():
        return Backtest(0, 0, 0.0)
    first = np.floor(ts_s[timed].min() / _DAY_S) * _DAY_S
    errors: list[float] = []
    covered = 0
    for day in range(_FIRST_DAYS, int(covered_days) - _AHEAD_DAYS + 1, _AHEAD_DAYS):
        now = first + day * _DAY_S
        seen = timed & (ts_s < now)
        came = timed & (ts_s >= now) & (ts_s < now + _AHEAD_DAYS * _DAY_S)
        months = [month_of(requests.filter(pl.Series(one)), day) for one in (seen, came)]
        if not all(one.facts.is_month for one in months):
            continue
        told = next_month(months[0], by_request[seen], _AHEAD_DAYS)
        value = months[1].usd(by_request[came])
        if told.low_usd is None or told.high_usd is None or not value:
            continue
        covered += told.low_usd <= value <= told.high_usd
        errors.append(abs(float((told.usd - value) / value)))
    return Backtest(len(errors), covered, float(np.mean(errors)) if errors else 0.0)
