"""The value of a month, its days, groups and trend, checked by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import t

from costaudit.contracts.grades import Money
from costaudit.contracts.month import MONTH_DAYS
from costaudit.costing.months.calendar import Floats, Ints
from costaudit.costing.months.month import Month, month_of, with_trend
from tests.costing.logs import log

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


def hourly(days: int, untimed: int = 0, more: int = 0) -> Month:
    """Return the month of one request per hour over `days` days and `more` hours, some untimed."""
    at = [
        MONDAY,
        *(MONDAY + timedelta(hours=hour, seconds=-1) for hour in range(2, 24 * days + more + 1)),
    ]
    rows: list[dict[str, Any]] = [{"ts": one} for one in at]
    return month_of(log(*rows, *[{"ts": None}] * untimed), float(days))


def money(usd: str, low: str, high: str) -> Money:
    return Money(Decimal(usd), "measured", Decimal(low), Decimal(high))


def test_the_sum_of_a_log_is_exact_where_it_is_known_and_else_in_millionths() -> None:
    one = hourly(1)
    assert one.usd(np.array([1.0000004])) == 1
    assert one.usd(np.array([1.0]), Decimal("1.0000004")) == Decimal("1.0000004")
    exact = Money(Decimal("1.0000004"), "measured")
    assert one.money(np.array([1.0]), "measured", exact.usd) == exact
    assert one.daily(np.array([1.0, 2.0])).tolist() == [3]
    assert one.log_daily(np.array([1.0, 2.0])).tolist() == [3]
    assert one.paced(Decimal("2.5")) == Decimal("2.5")


@pytest.mark.parametrize(
    ("usd", "bounds", "ends"),
    [
        ("2", (0.9, 1.2), ("1.8", "2.4")),
        ("2", (1.2, 0.9), ("1.8", "2.4")),
        ("2", (1.1, 1.2), ("2", "2.4")),  # the range always includes the amount itself
        ("2", (0.8, 0.9), ("1.6", "2")),
        ("-2", (0.9, 1.2), ("-2.4", "-1.8")),
    ],
)
def test_the_range_of_a_log_is_that_of_its_requests(
    usd: str, bounds: tuple[float, float], ends: tuple[str, str]
) -> None:
    one, each = hourly(1), np.array([float(usd)])
    assert one.money(each, "measured", Decimal(usd), bounds) == money(usd, *ends)


def test_the_range_of_a_month_joins_that_of_its_days_and_of_its_requests() -> None:
    one = hourly(14)
    usd = np.tile([0.01, 0.02, 0.03], 14 * 8)
    daily = one.daily(usd)
    below, above = one.range_of(daily)
    value = float(one.usd(usd))
    assert 0 < below < value < above < 20  # 48 cents a day
    plain = one.money(usd, "measured")
    assert plain.grade == "estimated" and plain.usd == one.usd(usd)
    assert (plain.low_usd, plain.high_usd) == (
        Decimal(repr(below)).quantize(Decimal("1e-6")),
        Decimal(repr(above)).quantize(Decimal("1e-6")),
    )
    wide = one.money(usd, "measured", bounds=(0.9, 1.2))
    assert wide.low_usd is not None and wide.high_usd is not None
    assert float(wide.low_usd) == pytest.approx(value - np.hypot(value - below, 0.1 * value))
    assert float(wide.high_usd) == pytest.approx(value + np.hypot(above - value, 0.2 * value))


def test_what_costs_nothing_on_no_day_is_not_below_nothing_and_what_can_lose_is() -> None:
    one = hourly(14)
    usd = np.zeros(24 * 14)
    usd[5] = 1e-1  # one day has nearly everything: the range by days would go below zero
    assert one.range_of(one.daily(usd))[0] < 0
    assert one.money(usd, "measured").low_usd == 0
    usd[30] = -1e-2
    low = one.money(usd, "measured").low_usd
    assert low is not None and low < 0


def test_a_month_is_as_many_days_as_a_month_has() -> None:
    # One cent per hour, 24 per day, over two weeks.
    one = hourly(14)
    usd = np.full(24 * 14, 0.01)
    assert (one.facts.period, one.facts.days) == ("month", MONTH_DAYS)
    assert one.facts.traffic_days == pytest.approx(14, abs=1e-3)
    assert float(one.usd(usd)) == pytest.approx(0.24 * MONTH_DAYS, rel=1e-4)
    assert float(one.paced(Decimal(14))) == pytest.approx(MONTH_DAYS, rel=1e-4)
    assert one.facts.requests in (730, 731)  # 24 x 30.4375 = 730.5
    assert one.log_daily(usd) == pytest.approx(np.full(14, 0.24))


def test_requests_without_a_time_are_spread_over_the_days() -> None:
    # 336 requests with a time and 84 without, at one cent: a quarter more on each day.
    one = hourly(14, untimed=84)
    timed = np.arange(420) < 336
    assert one.log_daily(np.where(timed, 0.0, 0.01)) == pytest.approx(np.full(14, 0.06))
    with_time = one.daily(np.where(timed, 0.01, 0.0))
    assert one.daily(np.where(timed, 0.0, 0.01)) == pytest.approx(with_time / 4, rel=1e-3)


def hours(one: Month, usd: Floats, group: Ints) -> pl.DataFrame:
    """Return a row per request for `by_group`."""
    assert one.hours is not None
    at = pl.Series(one.place, dtype=pl.Int64)
    return pl.DataFrame({"group": group, "usd": usd}).with_columns(
        hour=at.set(at < 0, None) + one.hours.first_h
    )


def test_each_group_has_its_own_days() -> None:
    one = hourly(14, untimed=84)
    usd = np.random.default_rng(1).lognormal(size=420)
    group = np.arange(420) % 2
    for chosen in (np.arange(420) < 336, np.ones(420, bool)):  # without and with untimed ones
        found = one.by_group(hours(one, usd * chosen, group), 3)
        assert found.shape == (3, 14)
        for number in range(3):  # no request is in the third
            assert found[number] == pytest.approx(one.daily(usd * chosen * (group == number)))
    longer = hourly(14, more=1)  # the first hour of a fifteenth day
    every = hours(longer, np.ones(337), np.zeros(337, np.int64))
    assert longer.by_group(every, 1).shape == (1, 15)


def test_a_log_that_is_too_short_keeps_its_own_length_and_its_requests() -> None:
    short = month_of(log({"ts": MONDAY}, {"ts": MONDAY, "served_by": "gateway_cache"}), 1.5)
    assert (short.facts.period, short.facts.days, short.facts.requests) == ("log", 1.5, 1)
    assert "A month needs 2" in short.facts.reasons[0]
    none = month_of(log({"ts": None}, {"ts": None, "served_by": "gateway_cache"}), 1.5)
    assert none.facts.period == "log" and none.facts.reasons
    assert (none.facts.days, none.facts.traffic_days, none.facts.requests) == (1.5, 0, 1)
    assert hourly(2).facts.period == "month"
    for one in (short, none):
        assert one.weights.tolist() == [1, 1] and one.pace == 1


def test_a_range_is_drawn_with_seed_0_unless_another_is_given() -> None:
    requests = log(*({"ts": MONDAY + timedelta(hours=hour)} for hour in range(24 * 7)))
    usd = np.random.default_rng(2).lognormal(size=len(requests))
    default, zero, one = (
        month.money(usd, "measured")
        for month in (
            month_of(requests, 7.0), month_of(requests, 7.0, 0), month_of(requests, 7.0, 1),
        )
    )  # fmt: skip
    assert default == zero != one


def test_a_steady_growth_is_the_trend_of_two_weeks_or_more() -> None:
    # Each day grows by 1 % of the first one; that is 0.881 % of the mean of four weeks, 1.135.
    usd = np.repeat(1 + 0.01 * np.arange(28), 24)
    trend = with_trend(hourly(28), usd).facts.trend
    assert trend is not None and trend.significant
    for each in (trend.low, trend.per_week, trend.high):
        assert each == pytest.approx(7 * 0.01 / 1.135, rel=1e-3)
    assert with_trend(hourly(14), usd[: 24 * 14]).facts.trend is not None
    assert hourly(14).facts.reasons == ()  # no day is missing, and none is reported
    assert with_trend(hourly(13), usd[: 24 * 13]).facts.trend is None
    noise = np.repeat(np.random.default_rng(5).normal(1, 0.02, 28), 24)
    still = with_trend(hourly(28), noise).facts.trend
    assert still is not None and still.low < 0 < still.high and not still.significant
    # Least squares with a level for each weekday: 28 days leave 28 - 7 - 1 degrees of freedom.
    day = np.arange(28.0)
    levels = np.eye(7)[np.arange(28) % 7]
    design = np.column_stack([levels, day])
    share = noise[::24] / noise.mean()
    fit, rest, *_ = np.linalg.lstsq(design, share)
    error = np.sqrt(rest[0] / 20 * np.linalg.inv(design.T @ design)[-1, -1])
    half = t.ppf(0.975, 20) * error
    assert still.per_week == pytest.approx(7 * fit[-1], rel=1e-2)
    assert still.high - still.per_week == pytest.approx(7 * half, rel=1e-2)


def test_a_month_counts_what_is_sent_and_names_what_it_lacks() -> None:
    rows = [
        {"ts": MONDAY + timedelta(hours=hour), "served_by": served}
        for hour in range(24 * 14)
        for served in ("provider", "gateway_cache")
    ]
    assert month_of(log(*rows), 14.0).facts.requests in range(729, 734)  # half of 2 x 730.5
    office = [
        {"ts": MONDAY + timedelta(days=day, hours=hour)}
        for day in (0, 1, 2, 3, 4, 14, 15, 16, 17, 18)
        for hour in range(9, 17)
    ]
    facts = month_of(log(*office), 19.0).facts
    assert len(facts.holes) == 1 and facts.unseen == ("Saturday", "Sunday")
    assert set(facts.unseen) <= set(facts.closed) and len(facts.reasons) == 2
