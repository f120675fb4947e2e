"""Hits are counted in the log's hour of their request."""

import numpy as np
import pytest

from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.section import by_hour, is_daily
from tests.replay.conftest import Log, make_log

MIDNIGHT_S = 1_699_920_000  # 2023-11-14 00:00 UTC


def spread(hours: list[float]) -> Log:
    """Return requests at `hours` after midnight; all ask the same, and answers take 1 s."""
    log = make_log(len(hours), texts=3, partitions=1, bypass_share=0)
    log.stream.rows[:] = 0
    log.stream.ts_s[:] = MIDNIGHT_S + np.array(hours) * 3600
    log.stream.ready_s[:] = log.stream.ts_s + 1
    return log


def rows_of(log: Log, ttl_s: float | None = None) -> list[tuple[str, int, int, int]]:
    predicted = log.replay(MemoryCache()).outcomes
    measured = log.replay(MemoryCache(), ttl_s=ttl_s).outcomes
    found = by_hour(log.stream, predicted, measured)
    return [(one.hour, one.lookups, one.predicted_hits, one.measured_hits) for one in found]


def test_hours_of_a_short_log_follow_each_other() -> None:
    # Asked at 1:06 (miss), 1:12 and 1:18 (hits), none at 2, 3:30 (a hit without a TTL of one hour).
    log = spread([1.1, 1.2, 1.3, 3.5])
    assert rows_of(log, ttl_s=3600) == [
        ("2023-11-14 01:00", 3, 2, 2), ("2023-11-14 02:00", 0, 0, 0), ("2023-11-14 03:00", 1, 1, 0),
    ]  # fmt: skip
    assert not is_daily(log.stream)


def test_hours_of_a_long_log_lie_over_one_day() -> None:
    rows = rows_of(spread([5.5, 23.5, 24.2, 29.9, 60.0]))  # 5, 23, 0, 5 and 12 o'clock
    assert len(rows) == 24
    asked = {hour: (lookups, hits) for hour, lookups, hits, _ in rows if lookups}
    assert asked == {"00:00": (1, 1), "05:00": (2, 1), "12:00": (1, 1), "23:00": (1, 1)}


def test_bypassed_requests_are_no_lookups() -> None:
    log = spread([0.0, 0.5, 0.9])
    log.stream.rows[1] = -1
    assert rows_of(log) == [("2023-11-14 00:00", 2, 1, 1)]


@pytest.mark.parametrize("ts_s", [[0.0, 1.0, 9000.0], [5.0, 5.0, 5.0]])
def test_a_log_without_times_has_no_hours(ts_s: list[float]) -> None:
    log = spread([0.0, 0.1, 0.2])
    log.stream.ts_s[:] = ts_s
    log.stream.ready_s[:] = log.stream.ts_s
    assert rows_of(log) == []
