"""The audit's section on the replay says what was measured."""

from typing import Any

import numpy as np
import pytest

from costaudit.contracts.replay import ReplaySection
from costaudit.contracts.requests import check_outcomes
from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.options import ReplayOptions
from costaudit.replay.result import ReplayResult
from costaudit.replay.section import Conditions, compare, replay_section
from tests.replay.conftest import Log, make_log


def section_of(log: Log, **options: Any) -> tuple[ReplaySection, ReplayResult]:
    settings = ReplayOptions(min_similarity=0.8, policy_id="semantic:x", **options)
    result = log.replay(MemoryCache(), policy_id="semantic:x", **options)
    agreement = compare(
        result.outcomes,
        result.outcomes,
        Conditions(log.stream, settings, MemoryCache.traits),
    )
    section = replay_section(log.stream, result.outcomes, result, agreement, settings)
    return section, result


def test_latencies_before_and_after_stand_side_by_side(log: Log) -> None:
    section, result = section_of(log)
    rows = {row.name: row for row in section.latencies}
    assert rows["as logged"].requests == 600
    logged = np.percentile(log.stream.latencies_ms, 50, method="inverted_cdf")
    assert rows["as logged"].p50_ms == pytest.approx(logged, rel=2e-3)
    assert rows["hits"].requests == result.outcomes.filter(result="hit").height
    assert rows["through the cache"].p50_ms < rows["as logged"].p50_ms
    assert section.agreed + sum(section.reasons.values()) == section.requests == 600
    assert section.policy_id == "semantic:x"


@pytest.mark.parametrize(
    ("options", "words"),
    [({}, "as fast as it went"), ({"speed": 900.0}, "900 times"), ({"max_rate": 9e4}, "90000")],
)
def test_the_pace_is_in_words(options: dict[str, Any], words: str) -> None:
    assert words in section_of(make_log(60), **options)[0].pace


def test_calls_that_failed_in_the_log_are_errors_of_the_log_only() -> None:
    log = make_log(100)
    assert isinstance(log.stream.bypass_reasons, list)
    log.stream.bypass_reasons[:] = ["status_error" if row < 0 else "" for row in log.stream.rows]
    section, result = section_of(log)
    failed = int((log.stream.rows < 0).sum())
    assert failed > 0
    assert result.outcomes.filter(result="error").height == failed
    assert section.errors == {}
    check_outcomes(result.outcomes, 100)


def test_unknown_latencies_stay_unknown() -> None:
    log = make_log(50)
    log.stream.latencies_ms[:] = np.nan
    section, result = section_of(log)
    assert result.outcomes.filter(result="miss")["latency_ms"].null_count() > 10
    assert "as logged" not in {row.name for row in section.latencies}
