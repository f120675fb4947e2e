"""A month is computed from the days in a log, and says which days are missing."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from benchmarks.month_coverage import trials
from costaudit.contracts.grades import Money
from costaudit.costing.months.month import Month, month_of, with_trend
from costaudit.costing.months.resampling import student
from tests.costing.logs import log

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
CENT = Decimal("0.01")


def month(times: list[datetime]) -> Month:
    return month_of(log(*({"ts": at} for at in times)), 1.0)


def office(days: list[int], *, hours: range = range(9, 17), each: int = 5) -> list[datetime]:
    """Return times of requests during office hours on some days, counted from a Monday."""
    return [
        MONDAY + timedelta(days=day, hours=hour, minutes=60 * i / each)
        for day in days
        for hour in hours
        for i in range(each)
    ]


def cost(times: list[datetime], a_day: str = "0.35") -> tuple[Month, Money]:
    """Return the month, and its cost if each day with requests costs the same."""
    one = month(times)
    by_day = {at.date(): 0 for at in times}
    for at in times:
        by_day[at.date()] += 1
    usd = np.array([float(a_day) / by_day[at.date()] for at in times])
    return one, one.money(usd, "measured", Decimal(str(usd.sum())))


WORKDAYS = [day for day in range(28) if day % 7 < 5]


@pytest.mark.parametrize(
    ("days", "unseen", "holes"),
    [
        (WORKDAYS, 0, 0),
        ([0, 1, 2, 3, 4], 2, 0),  # Monday to Friday
        ([2, 3, 4, 7, 8], 0, 0),  # from a Wednesday over a weekend
        ([0, 25], 5, 1),  # the first Monday and the last Friday, with nothing between them
        ([0, 1, 2, 3, 4, 14, 15, 16, 17, 18], 2, 1),  # a week is missing, and both weekends
        ([0, 1, 2, 4, 7, 8, 9, 10, 11], 0, 1),  # one Thursday is missing
    ],
)
def test_days_of_35_cents_make_the_same_month(days: list[int], unseen: int, holes: int) -> None:
    # 365.25 / 12 days have 21.741 from Monday to Friday: 7.61 at 0.35 each.
    one, money = cost(office(days))
    assert Decimal("7.50") < money.usd < Decimal("7.70")
    assert len(one.facts.unseen) == unseen and len(one.facts.holes) == holes
    assert {"Saturday", "Sunday"} <= set(one.facts.closed)
    assert money.low_usd is not None and money.high_usd is not None
    assert money.low_usd < money.usd < money.high_usd
    assert money.grade == "estimated"  # scaled amounts are never measured


def test_a_gap_is_named_with_its_hours() -> None:
    one, _ = cost(office([0, 1, 2, 3, 4, 14, 15, 16, 17, 18]))
    (hole,) = one.facts.holes
    assert (hole.start, hole.end) == ("2026-11-06T17:00:00+00:00", "2026-11-16T09:00:00+00:00")
    assert hole.hours == 9 * 24 + 16


def test_a_weekend_that_is_not_in_the_log_widens_the_range() -> None:
    # If the office is closed on weekends 21.74 days, else 30.44: the range includes both.
    one, money = cost(office([0, 1, 2, 3, 4]))
    assert money.high_usd is not None and money.high_usd >= Decimal("10.65")
    assert any("both readings" in why for why in one.facts.reasons)


def test_where_nights_have_traffic_a_weekend_that_was_not_seen_has_it_too() -> None:
    times = office([0, 1, 2, 3, 4], hours=range(24))
    one, money = cost(times)
    assert abs(money.usd - Decimal("10.65")) < Decimal("0.05")  # 30.44 days of 0.35
    assert money.low_usd is not None and money.low_usd <= Decimal("7.62")
    assert one.facts.closed == ()


def test_a_weekend_of_less_traffic_counts_as_such() -> None:
    days = office(list(range(14)), hours=range(24), each=4)
    quiet = [at for at in days if at.weekday() < 5 or at.minute == 0]
    one = month(quiet)
    # 96 requests per working day and 24 per weekend day: 21.741 x 96 + 8.696 x 24 = 2,295.9.
    assert one.facts.requests == pytest.approx(2_296, abs=3)
    assert one.facts.holes == () and one.facts.closed == ()


def test_sparse_traffic_has_no_holes() -> None:
    rng = np.random.default_rng(3)
    times = [MONDAY + timedelta(hours=float(h)) for h in np.sort(rng.uniform(0, 24 * 21, 60))]
    assert month(times).facts.holes == ()


def test_a_week_s_job_is_no_hole_on_other_days() -> None:
    times = [MONDAY + timedelta(days=7 * week, seconds=s) for week in range(4) for s in range(900)]
    one = month(times)
    assert one.facts.holes == ()
    assert one.facts.requests == pytest.approx(4.348 * 900, rel=0.02)


@pytest.mark.parametrize(
    "times",
    [
        [MONDAY],
        [MONDAY] * 50,  # in one burst
        office([0]),
        office([0], hours=range(24)),
    ],
)
def test_less_than_two_days_are_no_month(times: list[datetime]) -> None:
    one = month(times)
    usd = np.full(len(times), 0.1)
    assert one.facts.period == "log" and one.facts.reasons
    assert one.money(usd, "measured", Decimal("4.321")) == Money(Decimal("4.321"), "measured")


def test_without_times_there_is_no_month() -> None:
    one = month_of(log({"ts": None}, {"ts": None}), 30.0)
    assert one.facts.period == "log" and "No request has a time" in one.facts.reasons[0]
    assert one.usd(np.array([1.0, 2.0])) == 3


def test_requests_without_a_time_count_as_those_with_one() -> None:
    times = office(WORKDAYS)
    some = month_of(log(*({"ts": at} for at in times), *[{"ts": None}] * len(times)), 28.0)
    assert some.facts.requests == pytest.approx(2 * month(times).facts.requests, abs=2)


def test_failures_and_a_gateway_s_hits_show_that_hours_are_covered() -> None:
    times = office(WORKDAYS)
    served = [{"ts": at, "served_by": "gateway_cache"} for at in times if at.day == 4]
    sent = [{"ts": at} for at in times if at.day != 4]
    assert month_of(log(*served, *sent), 28.0).facts.holes == ()


def test_the_parts_of_a_month_add_up() -> None:
    times = office(WORKDAYS)
    one, rng = month(times), np.random.default_rng(1)
    usd = rng.lognormal(size=len(times))
    part = rng.random(len(times)) < 0.3
    whole = one.usd(usd)
    assert abs(one.usd(usd * part) + one.usd(usd * ~part) - whole) <= Decimal("0.000002")
    assert one.hours is not None
    bills = {"group": part.astype(np.int64), "hour": one.hours.first_h + one.place, "usd": usd}
    groups = one.by_group(pl.DataFrame(bills), 2)
    assert float(groups.sum()) == pytest.approx(float(whole))


def test_growth_is_a_trend_and_noise_is_none() -> None:
    times = office(list(range(28)), hours=range(24))
    day = np.array([(at - MONDAY).days for at in times])
    noise = np.random.default_rng(5).normal(1, 0.02, 28)[day]
    grows = with_trend(month(times), (1 + 0.01 * day) * noise).facts.trend
    assert grows is not None and grows.significant
    # 1 % of the first day per day: per week, 7 % of the first day, or 6.2 % of the mean one.
    assert grows.low < 0.07 / 1.135 < grows.high
    still = with_trend(month(times), noise).facts.trend
    assert still is not None and abs(still.per_week) < 0.02


def test_the_seed_alone_decides_the_range() -> None:
    requests = log(*({"ts": at} for at in office(WORKDAYS)))
    usd = np.random.default_rng(2).lognormal(size=len(requests))
    ranges = [month_of(requests, 28.0, seed).money(usd, "measured") for seed in (0, 0, 1)]
    assert ranges[0] == ranges[1] != ranges[2]
    assert ranges[0].usd == ranges[2].usd


def test_the_range_of_a_half_covers_the_other_half() -> None:
    # At 95 %, fewer than 41 of 48 logs are covered in about one of 100 runs.
    done = trials(48)
    assert sum(one.covered for one in done) >= 41
    assert float(np.median([one.width for one in done])) < 1.0  # and the range is informative


def test_the_order_of_requests_does_not_matter() -> None:
    times = office(WORKDAYS)
    mixed = pl.Series(times).shuffle(1).to_list()
    assert month(mixed).facts == month(times).facts


@pytest.mark.parametrize("freedom", [*range(1, 41), 60, 120, 1_000])
def test_student_s_points_are_those_of_the_tables(freedom: int) -> None:
    from scipy.stats import t

    assert student(freedom) == pytest.approx(t.ppf(0.975, freedom), abs=0.005)
