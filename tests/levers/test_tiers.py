"""A priority tier counts as waste only if the log's own latencies show it."""

from typing import Any

import numpy as np
import pytest

from costaudit.levers.tiers import LEAST_CALLS, idle_priority, untried_tiers
from tests.levers.logs import log

RNG = np.random.default_rng(3)


def calls(tier: str | None, ms: float, many: int = 2 * LEAST_CALLS) -> list[dict[str, Any]]:
    return [{"service_tier": tier, "latency_ms": ms * t} for t in RNG.lognormal(0, 0.05, many)]


def test_a_tier_that_is_no_faster_is_found_and_priced_at_the_standard_tier() -> None:
    lever = idle_priority(log(*calls("priority", 900), *calls(None, 900)))
    assert lever is not None
    tiers = lever.effect["service_tier"].to_list()
    assert tiers == ["standard"] * (2 * LEAST_CALLS) + [None] * (2 * LEAST_CALLS)


@pytest.mark.parametrize("faster", [0.8, 0.6])
def test_a_tier_that_is_faster_is_left_alone(faster: float) -> None:
    requests = log(*calls("priority", 900 * faster), *calls(None, 900))
    assert idle_priority(requests) is None
    assert untried_tiers(requests, None) is None  # the log shows that it helps


def test_a_tail_that_is_faster_is_speed_too() -> None:
    slow = [{**one, "latency_ms": 9_000.0} for one in calls(None, 900, LEAST_CALLS // 4)]
    requests = log(*calls("priority", 900), *calls(None, 900), *slow)
    assert idle_priority(requests) is None


def test_without_standard_calls_beside_it_a_tier_is_worth_a_test() -> None:
    requests = log(*calls("priority", 900), {"endpoint": "other"})
    assert idle_priority(requests) is None
    told = untried_tiers(requests, None)
    assert told is not None and told.requests == 2 * LEAST_CALLS


def test_without_latencies_nothing_is_told() -> None:
    unknown = [{"service_tier": "priority"}] * 300 + [{"service_tier": None}] * 300
    assert idle_priority(log(*unknown)) is None
