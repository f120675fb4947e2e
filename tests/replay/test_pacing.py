"""Only the log's clock decides when a request is sent, and stalls count for all that waited."""

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from costaudit.errors import BackendError
from costaudit.replay.cache import Lookup, Query
from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.open_loop import send_times
from tests.replay.conftest import Log, make_log


def test_send_times_are_the_log_s_clock_divided_by_speed() -> None:
    ts_s = np.array([100.0, 101.0, 104.0])
    assert send_times(ts_s, 2.0, None).tolist() == [0.0, 0.5, 2.0]


def test_the_highest_rate_delays_bursts_and_nothing_else() -> None:
    # At 2 per second: 0.0, then 0.5 and 1.0 for the burst; the last one is due after the burst.
    ts_s = np.array([0.0, 0.1, 0.2, 9.0])
    assert send_times(ts_s, 1.0, 2.0).tolist() == pytest.approx([0.0, 0.5, 1.0, 9.0])


class Stalling(MemoryCache):
    """Delays the lookup of one request, like a server that pauses."""

    def __init__(self, index: int, pause_s: float) -> None:
        super().__init__()
        self._index = index
        self._pause_s = pause_s
        self.lookups_at: list[float] = []

    def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
        self.lookups_at.append(time.monotonic())
        if queries[0].index == self._index:
            time.sleep(self._pause_s)
        return super().lookup(queries)


def paced_log(requests: int, gap_s: float) -> Log:
    log = make_log(requests, texts=20, bypass_share=0)
    log.stream.ts_s[:] = 1000 + np.arange(requests) * gap_s
    log.stream.ready_s[:] = log.stream.ts_s + gap_s / 2
    return log


def test_a_stall_is_charged_to_all_that_waited_behind_it() -> None:
    # 100 requests, 10 ms apart; the 20th stalls for 300 ms while only one lookup may run, so
    # about 30 requests wait for up to 300 ms: the 95th percentile must show it.
    log = paced_log(100, 0.01)
    result = log.replay(Stalling(20, 0.3), speed=1.0, concurrency=1)
    late = result.lateness
    assert late.count == 100
    assert late.max_ms > 200
    assert result.lookup.p95_ms > 200


class WaitsForOthers(MemoryCache):
    """Answers the lookup of one request only after a number of later lookups."""

    def __init__(self, index: int, others: int) -> None:
        super().__init__()
        self._index = index
        self._others = others
        self._enough = threading.Event()
        self.waited_in_vain = False

    def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
        if queries[0].index == self._index:
            self.waited_in_vain = not self._enough.wait(60)
        elif queries[0].index >= self._index + self._others:
            self._enough.set()
        return super().lookup(queries)


def test_a_slow_answer_holds_up_no_other_request() -> None:
    cache = WaitsForOthers(20, 30)
    result = paced_log(100, 0.01).replay(cache, speed=1.0, concurrency=4)
    assert not cache.waited_in_vain
    assert result.lateness.count == 100


def test_answers_are_served_once_they_have_arrived() -> None:
    # The same question every 200 ms; its answer takes 500 ms, so the 4th request is the first hit.
    log = paced_log(6, 0.2)
    log.stream.rows[:] = 3
    log.stream.partitions[:] = 0
    log.stream.ready_s[:] = log.stream.ts_s + 0.5
    outcomes = log.replay(MemoryCache(), speed=1.0).outcomes
    assert outcomes["result"].to_list() == ["miss"] * 3 + ["hit"] * 3


def test_pacing_follows_the_clock_and_full_speed_does_not_wait() -> None:
    log = paced_log(40, 0.05)  # 1.95 seconds of log
    cache = Stalling(-1, 0)
    started = time.monotonic()
    log.replay(cache, speed=10.0)
    assert cache.lookups_at[-1] - started >= 0.195
    whole = log.replay(MemoryCache(), speed=10.0)
    assert whole.lateness.count == 40
    forty_days = paced_log(40, 86_400)  # a replay that waits exceeds the test's time limit
    assert forty_days.replay(MemoryCache()).lateness.count == 0


def test_full_speed_obeys_a_highest_rate() -> None:
    cache = Stalling(-1, 0)
    started = time.monotonic()
    paced_log(30, 0.05).replay(cache, max_rate=200.0)
    assert cache.lookups_at[-1] - started >= 29 / 200


def test_at_a_highest_rate_a_stall_is_charged_to_all_that_waited_behind_it() -> None:
    # One hundred per second; the 20th stalls for 300 ms, so about 30 are sent late.
    result = paced_log(100, 0.01).replay(Stalling(20, 0.3), max_rate=100.0)
    assert result.lateness.count == 100
    assert result.lateness.max_ms > 200
    assert result.lookup.p95_ms > 200
    assert result.lookup.p50_ms < 100


def test_misses_carry_the_logged_latency_and_hits_none(log: Log) -> None:
    result = log.replay(MemoryCache())
    outcomes = result.outcomes
    logged = np.array(log.stream.latencies_ms)
    missed = np.flatnonzero((outcomes["result"] == "miss").to_numpy())
    over = outcomes["latency_ms"].to_numpy()[missed] - logged[missed]
    # A miss takes its lookup plus the logged call, and a hit only its lookup. The summaries round
    # by up to 0.1 %, and to whole microseconds.
    longest = result.lookup.max_ms * 1.001 + 0.001
    assert (over >= 0).all() and over.max() <= longest and result.hit.max_ms <= longest
    assert result.miss.count + result.hit.count == outcomes.filter(result="hit").height + len(
        missed
    )


def test_a_failure_does_not_wait_for_the_next_request() -> None:
    # The first request fails; the second is due in a day, long after the test's time limit.
    class Broken(MemoryCache):
        def lookup(self, queries: Sequence[Query]) -> list[Lookup]:
            raise BackendError("gone")

    log = paced_log(2, 86_400)
    with pytest.raises(BackendError, match="gone"):
        log.replay(Broken(), speed=1.0)


def test_threads_are_gone_when_a_replay_ends() -> None:
    before = threading.active_count()
    paced_log(20, 0.01).replay(MemoryCache(), speed=2.0)
    assert threading.active_count() == before
