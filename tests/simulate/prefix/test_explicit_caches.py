"""Explicit caches with storage paid by the hour: against a sequential oracle and by hand."""

import random
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from costaudit.simulate.prefix.advice.explicit_caches import LIFETIMES_S, ExplicitFacts
from costaudit.simulate.prefix.advice.facts import prefix_facts
from costaudit.simulate.prefix.rules.rules import rules_for
from tests.simulate.prefix.small_logs import FAST, RULES, pricing
from tests.simulate.traffic import Log

GOOGLE: dict[str, Any] = {"provider": "google", "model": "gemini-2.5-pro", **FAST}
PRO_USD = {"input": "1.25", "read": "0.125"}
HOUR_USD = 4.5  # per million tokens and hour for a Pro model


def found(log: Log) -> tuple[ExplicitFacts, ...]:
    requests, blocks = log.tables()
    return prefix_facts(requests, blocks, pricing(requests, **PRO_USD), compare=False).explicit


def head_log(times: list[float], tokens: int = 5_000, **fields: Any) -> Log:
    log = Log()
    for number, at in enumerate(times):
        parts = [("system", RULES, tokens, ""), ("user", f"{number}: what now?", 20, "")]
        log.call(parts, at, **{**GOOGLE, **fields})
    return log


def sequential(times: list[float], tokens: int, life: float) -> tuple[int, float, float]:
    """Simulate one cache call by call; return creations, seconds of storage and dollars."""
    creations, stored, until, last = 0, 0.0, float("-inf"), 0.0
    for at in times:
        if at >= until:
            stored += until - last if creations else 0.0
            creations += 1
        else:
            stored += at - last
        last, until = at, at + life
    stored += until - last
    usd = creations * tokens * 1.25e-6 + tokens * stored / 3600 * HOUR_USD * 1e-6
    return creations, stored, usd


@pytest.mark.parametrize("seed", range(8))
def test_the_cheapest_lifetime_is_that_of_a_sequential_run(seed: int) -> None:
    rng = random.Random(seed)
    mean_s = rng.choice([20, 200, 2_000, 20_000])
    times = [0.0]
    for _ in range(60):
        times.append(times[-1] + round(rng.expovariate(1 / mean_s), 3))
    (mine,) = found(head_log(times))
    runs = {name: sequential(times, 5_000, float(life)) for name, life in LIFETIMES_S.items()}
    assert runs[mine.lifetime][2] == pytest.approx(min(run[2] for run in runs.values()))
    creations, stored, _ = runs[mine.lifetime]
    assert int(mine.created.sum()) == creations
    assert float(mine.token_hours.sum()) == pytest.approx(5_000 * stored / 3_600)


def test_storage_by_hand() -> None:
    """Two runs of ten calls a minute apart, an hour between: 2 · (540 + 300) s of 5,000 tokens."""
    times = [start + 60.0 * number for start in (0, 4_140) for number in range(10)]
    (mine,) = found(head_log(times))
    assert (mine.lifetime, int(mine.created.sum())) == ("5m", 2)
    assert mine.cached.tolist() == [5_000] * 20
    assert float(mine.token_hours.sum()) == pytest.approx(5_000 * 1_680 / 3_600)
    assert Decimal(f"{mine.storage_usd.sum():.6f}") == Decimal("0.010500")


def test_a_head_of_each_day_is_a_cache_of_its_own() -> None:
    log = Log()
    for day in range(2):
        for number in range(30):
            text = f"{RULES} Day {day}."
            parts = [("system", text, 5_000, ""), ("user", f"{day}-{number}?", 20, "")]
            log.call(parts, day * 86_400.0 + number * 30, **GOOGLE)
    created = [np.flatnonzero(one.created).tolist() for one in found(log)]
    assert sum(map(len, created)) == 2 and all(places[0] == 0 for places in created)


@pytest.mark.parametrize(
    ("tokens", "fields"),
    [
        (4_000, {}),  # below the minimum of 4,096 tokens
        (5_000, {"provider": "openrouter", "model": "google/gemini-2.5-pro"}),  # has other rules
        (5_000, {"model": "gemini-4-argon"}),  # implicit caching only
        (5_000, {"provider": "anthropic", "model": "claude-sonnet-4-5"}),
    ],
)
def test_who_has_none(tokens: int, fields: dict[str, Any]) -> None:
    assert found(head_log([60.0 * number for number in range(20)], tokens, **fields)) == ()


def test_an_introductory_price_of_storage_ends() -> None:
    flash = [rules_for("google", "gemini-3.6-flash", day).storage_usd
             for day in (date(2026, 12, 31), date(2027, 1, 1))]  # fmt: skip
    assert flash == ["0.50", "1.00"]
    assert rules_for("google", "gemini-2.5-flash-lite", date(2026, 11, 1)).storage_usd == ""
