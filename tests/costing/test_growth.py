"""The growth of a log is split into the factors that it was generated with."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.costing.growth import drivers, inflation, spikes
from costaudit.costing.months.forecast import backtest, next_month
from costaudit.costing.months.month import Month, month_of, with_trend
from tests.costing.logs import log

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


Cell = tuple[str, int, float, float]  # model, requests, tokens per request, dollars per token


def split(before: list[Cell], after: list[Cell]) -> dict[str, float]:
    """Split the growth between two months into dollars by factor."""
    rows = [*before, *after]
    models = pl.Series([row[0] for row in rows])
    tokens = np.array([row[2] for row in rows])
    usd = np.array([row[2] * row[3] for row in rows])
    count = [float(row[1]) for row in rows]
    early = np.arange(len(rows)) < len(before)
    weights = (np.where(early, count, 0.0), np.where(early, 0.0, count))
    return {one.factor: float(one.usd) for one in drivers(models, [(tokens, usd)], weights)}


@pytest.mark.parametrize(
    ("after", "factor", "usd"),
    [
        ((200, 1_000.0, 1e-3), "requests", 100.0),  # twice the requests: 100 to 200 dollars
        ((100, 1_500.0, 1e-3), "tokens per request", 50.0),
        ((100, 1_000.0, 0.7e-3), "prices", -30.0),
    ],
)
def test_one_factor_takes_the_whole_change(
    after: tuple[int, float, float], factor: str, usd: float
) -> None:
    found = split([("a", 100, 1_000.0, 1e-3)], [("a", *after)])
    assert found.pop(factor) == pytest.approx(usd)
    assert all(abs(rest) < 1e-6 for rest in found.values())


def test_a_move_to_a_dearer_model_is_a_change_of_the_mix() -> None:
    # 50 of 100 requests move from 1 dollar each to 3: 100 to 200 dollars, all due to the mix.
    found = split([("a", 100, 1_000.0, 1e-3)], [("a", 50, 1_000.0, 1e-3), ("b", 50, 1_000.0, 3e-3)])
    assert found["mix of models"] == pytest.approx(100, abs=1e-4)
    assert sum(abs(usd) for usd in found.values()) == pytest.approx(100, abs=1e-3)


def test_two_factors_by_hand() -> None:
    # 100 to 300 dollars, from twice the requests and 1.5 times the tokens: shares ln 2 and ln 1.5
    # of ln 3: 200 x 0.6309 = 126.19 and 200 x 0.3691 = 73.81.
    found = split([("a", 100, 1_000.0, 1e-3)], [("a", 200, 1_500.0, 1e-3)])
    assert found["requests"] == pytest.approx(126.186, abs=1e-3)
    assert found["tokens per request"] == pytest.approx(73.814, abs=1e-3)


def of_two_kinds(kinds: list[tuple[float, float, float]]) -> dict[str, float]:
    """Split the growth of 100 requests a month; kinds: tokens before, tokens after, price."""
    paid = [(np.array(row[:2]), np.array(row[:2]) * row[2]) for row in kinds]
    weights = np.array([100.0, 0.0]), np.array([0.0, 100.0])
    found = drivers(pl.Series(["a", "a"]), paid, weights)
    return {one.factor: float(one.usd) for one in found}


def test_longer_prompts_at_unchanged_prices_are_no_change_of_prices() -> None:
    # 100 requests in both months, input 1,000 to 3,000 tokens at $1 a million, output 100 at $8:
    # $0.10 + $0.08 become $0.30 + $0.08. The mean price of a token falls from 0.16 to 0.12 cents.
    found = of_two_kinds([(1_000.0, 3_000.0, 1e-6), (100.0, 100.0, 8e-6)])
    assert found.pop("tokens per request") == pytest.approx(0.2, abs=1e-6)
    assert all(abs(rest) < 1e-6 for rest in found.values())


def test_a_quantity_that_one_month_lacks_is_a_change_per_request() -> None:
    # Cache reads begin: 0 to 2,000 tokens at $0.50 a million, and the fresh input falls by as many.
    found = of_two_kinds([(3_000.0, 1_000.0, 5e-6), (0.0, 2_000.0, 0.5e-6)])
    assert found.pop("tokens per request") == pytest.approx(0.1 - 1.0, abs=1e-5)
    assert all(abs(rest) < 1e-5 for rest in found.values())


@pytest.mark.parametrize("steps", [0, 1, 3, 5, 8, 20, 1_000, 10**6, 10**9])
def test_factors_that_all_but_cancel_are_as_exact_as_others(steps: int) -> None:
    # Twice the requests with half the tokens: 100 dollars in both months, up to the last digits.
    # The logarithmic mean of both is 100, so each factor takes 100 x ln 2.
    found = split([("a", 100, 1_000.0, 1e-3)], [("a", 200, 500.0 * (1 + steps * 2**-52), 1e-3)])
    assert found["requests"] == pytest.approx(69.314718, abs=1e-5)
    assert found["tokens per request"] == pytest.approx(-69.314718, abs=1e-4)


CELL = st.tuples(
    st.sampled_from("abc"), st.integers(1, 500), st.floats(1, 1e5), st.floats(1e-8, 1e-3)
)


@settings(max_examples=100)
@given(st.lists(CELL, min_size=1, max_size=5), st.lists(CELL, min_size=1, max_size=5))
def test_the_factors_add_up_and_time_can_be_turned_round(
    before: list[Cell], after: list[Cell]
) -> None:
    change = sum(n * t * p for _, n, t, p in after) - sum(n * t * p for _, n, t, p in before)
    there, back = split(before, after), split(after, before)
    scale = max(abs(change), 1.0)
    assert sum(there.values()) == pytest.approx(change, abs=1e-4 * scale)
    for factor in there:
        assert there[factor] == pytest.approx(-back[factor], abs=1e-4 * max(scale, 100))


def test_a_spike_names_the_user_behind_it() -> None:
    rng = np.random.default_rng(1)
    rows = [
        (
            MONDAY + timedelta(days=day, minutes=i),
            f"u{i % 10}",
            "/chat",
            0.01 * rng.uniform(0.9, 1.1),
        )
        for day in range(14)
        for i in range(100)
    ]
    rows += [(MONDAY + timedelta(days=8, minutes=i), "u7", "/bulk", 0.02) for i in range(200)]
    at, user, endpoint, usd = zip(*rows, strict=True)
    groups = {"user": pl.Series(user), "endpoint": pl.Series(endpoint)}
    (one,) = spikes(pl.Series(at).dt.date(), np.array(usd), groups)
    assert one.day == "2026-11-10"
    assert float(one.usd) == pytest.approx(5.0, abs=0.1)  # 1.00 as usual, and 4.00
    assert {(cause.dimension, cause.group) for cause in one.causes} == {
        ("endpoint", "/bulk"), ("user", "u7"),
    }  # fmt: skip
    assert one.causes[0].share == pytest.approx(1.0, abs=0.05)


def test_ordinary_days_are_no_spikes() -> None:
    rng = np.random.default_rng(2)
    day = pl.Series([MONDAY + timedelta(days=i // 50) for i in range(50 * 21)]).dt.date()
    assert spikes(day, rng.uniform(0.9, 1.1, 50 * 21), {}) == ()


def conversation(day: int, history: int) -> dict[str, object]:
    parts = [("system", 500), ("user", 100), ("assistant", history)]
    segments = [
        {"role": role, "kind": "text", "block_id": role, "tokens": tokens} for role, tokens in parts
    ]
    return {
        "ts": MONDAY + timedelta(days=day), "endpoint": "/chat", "segments": segments,
        "input_uncached_tokens": 600 + history,
    }  # fmt: skip


def test_longer_prompts_have_a_first_day_and_a_part() -> None:
    rows = [
        conversation(day, 400 + i + (600 if day >= 9 else 0))
        for day in range(20)
        for i in range(10)
    ]
    requests = log(*rows)
    (one,) = inflation(requests, np.full(len(requests), 1e-6), np.ones(len(requests)))
    assert (one.endpoint, one.since, one.part) == ("/chat", "2026-11-11", "assistant")
    assert one.part_tokens == pytest.approx(600)
    assert (one.before_tokens, one.after_tokens) == (1_004.5, 1_604.5)
    assert one.usd_month == Decimal("0.066000")  # 110 requests, 600 tokens more at 1e-6


def test_prompts_that_stay_are_not_said_to_grow() -> None:
    rng = np.random.default_rng(4)
    requests = log(
        *(conversation(day, int(rng.integers(300, 500))) for day in range(20) for _ in range(10))
    )
    assert inflation(requests, np.ones(len(requests)), np.ones(len(requests))) == ()


def growing(days: int, growth: float, seed: int = 0) -> tuple[pl.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    at = [MONDAY + timedelta(days=day, hours=hour) for day in range(days) for hour in range(24)]
    usd = np.array([(1 + growth) ** (i / 24) * rng.normal(1, 0.05) for i in range(len(at))])
    return log(*({"ts": one} for one in at)), usd


def test_the_next_month_goes_on_with_the_trend() -> None:
    requests, usd = growing(60, 0.01)
    month = month_of(requests, 60.0)
    told = next_month(month, usd)
    # 1 % a day on from day 60: the mean of 30.44 days is 1.01^60 x 1.0116 / 1 day's 24 dollars.
    came = 24 * sum(1.01 ** (60 + day) for day in range(30)) * 30.4375 / 30
    assert told.low_usd is not None and told.high_usd is not None
    assert told.usd > month.usd(usd)
    assert float(told.usd) == pytest.approx(came, rel=0.12)  # a straight line below a curve


@pytest.mark.parametrize(("growth", "seed"), [(0.0, 1), (0.005, 2)])
def test_forecasts_are_held_against_the_log(growth: float, seed: int) -> None:
    found = backtest(*growing(56, growth, seed), covered_days=56.0)
    assert found.made == 6 and found.covered >= 5 and found.mean_error < 0.1
    assert backtest(*growing(15, 0.0), covered_days=15.0).made == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_backtest_by_hours_is_that_of_each_request(seed: int) -> None:
    rng = np.random.default_rng(seed)
    late = np.sort(rng.integers(0, 40 * 86_400, 1_500)) + 12_345
    at = [MONDAY + timedelta(seconds=int(one)) for one in late]
    requests, usd = log(*({"ts": one} for one in at)), rng.lognormal(0, 1, len(at))
    made, covered, errors = 0, 0, []
    for day in range(14, 40 - 7 + 1, 7):
        now, then = MONDAY + timedelta(days=day), MONDAY + timedelta(days=day + 7)
        seen = np.array([one < now for one in at])
        came = np.array([now <= one < then for one in at])
        months: list[Month] = [
            month_of(requests.filter(pl.Series(one)), day) for one in (seen, came)
        ]
        told = next_month(months[0], usd[seen], 7)
        value = months[1].usd(usd[came])
        assert told.low_usd is not None and told.high_usd is not None
        made += 1
        covered += told.low_usd <= value <= told.high_usd
        errors.append(abs(float((told.usd - value) / value)))
    found = backtest(requests, usd, covered_days=40.0)
    assert (found.made, found.covered) == (made, covered) and made == 3
    assert found.mean_error == pytest.approx(np.mean(errors), rel=1e-6)


def steady_change(days: int, per_day: float, seed: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Return a log whose traffic changes by a share each day; days differ by 10 %."""
    rng = np.random.default_rng([seed, days])
    hours = np.arange(days * 24)
    rate = 5 * np.exp(per_day * hours / 24) * np.exp(rng.normal(0, 0.1, days))[hours // 24]
    at = [
        MONDAY + timedelta(hours=int(hour), seconds=float(second))
        for hour, count in zip(hours, rng.poisson(rate), strict=True)
        for second in np.sort(rng.uniform(0, 3_600, count))
    ]
    return log(*({"ts": one} for one in at)), rng.lognormal(-5, 0.5, len(at))


@pytest.mark.parametrize("days", [3, 10, 21, 45])
@pytest.mark.parametrize("per_day", [-0.06, -0.03, 0.0, 0.02])
def test_the_month_and_the_next_one_do_not_contradict_each_other(days: int, per_day: float) -> None:
    requests, usd = steady_change(days, per_day, 1)
    month = with_trend(month_of(requests, days), usd)
    like, told = month.money(usd, "measured"), next_month(month, usd)
    assert told.low_usd is not None and told.high_usd is not None
    assert like.low_usd is not None and like.high_usd is not None
    assert 0 <= told.low_usd <= told.usd <= told.high_usd
    assert like.low_usd <= told.usd <= like.high_usd  # a month to come has the trend in its range
    trend = month.facts.trend
    if trend is None or not trend.significant:
        assert told.low_usd <= like.usd <= told.high_usd
    else:
        assert (told.usd > like.usd) == (per_day > 0)


@pytest.mark.parametrize(("days", "hours"), [(5, 8), (7, 8), (5, 24), (7, 24)])
def test_few_days_that_are_all_alike_are_no_certain_month(days: int, hours: int) -> None:
    """A drift of 0.7 % a day adds 0.7 x (7 + 30.44) / 2 = 13 % to the month after seven days."""
    at = [MONDAY + timedelta(days=day, hours=hour) for day in range(days) for hour in range(hours)]
    month = month_of(log(*({"ts": one} for one in at)), days)
    usd = np.full(len(at), 0.01)
    like, told = month.money(usd, "measured"), next_month(month, usd)
    assert told.low_usd is not None and told.high_usd is not None
    assert like.low_usd is not None and like.high_usd is not None
    assert told.low_usd <= like.low_usd and like.high_usd <= told.high_usd
    assert float(told.high_usd) > 1.13 * float(told.usd)
    assert float(told.low_usd) < 0.87 * float(told.usd)


def test_a_fall_never_leads_below_nothing() -> None:
    requests, usd = steady_change(60, -0.05, 2)
    month = month_of(requests, 60.0)
    # 5 % a day less from day 60 on: the mean of days 60 to 90 is 0.05 of that of days 0 to 60.
    share = float(next_month(month, usd).usd / month.usd(usd))
    assert 0 < share < 0.25  # a straight line would be at -0.9
