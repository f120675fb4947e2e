"""Replays of a large log share the memory: few of them run at the same time."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.simulate.prefix.advice import markers
from costaudit.simulate.prefix.advice.markers import MOST_REPLAYED, replays_at_once
from costaudit.simulate.prefix.caches.replay import replay
from tests.simulate.prefix.small_logs import FAST, RULES, facts
from tests.simulate.traffic import Log

WAIT_S = 60.0  # for a second replay, which a loaded machine may start late


@pytest.mark.parametrize(
    ("calls", "processors", "expected"),
    [
        (0, 4, 4),
        (1_000_000, 2, 2),
        (1_000_000, 64, 8),
        (2_666_666, 64, 3),
        (2_666_667, 64, 2),
        (8_000_000, 64, 1),
        (10_000_000, 64, 1),
        (10**12, 1, 1),
    ],
)
def test_at_most_eight_million_calls_are_replayed_together(
    calls: int, processors: int, expected: int
) -> None:
    assert replays_at_once(calls, processors) == expected


@given(st.integers(0, 10**12), st.integers(1, 1024))
def test_one_more_would_be_too_many(calls: int, processors: int) -> None:
    found = replays_at_once(calls, processors)
    assert found == 1 or (found <= processors and found * calls <= MOST_REPLAYED)
    assert found >= processors or (found + 1) * calls > MOST_REPLAYED


@pytest.mark.parametrize("at_once", [1, 2])
def test_as_many_replays_run_as_that_allows(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each replay waits for a second one, so that two are counted whenever two may run."""
    lock, together, asked = threading.Lock(), threading.Event(), []
    running = most = 0

    def counted(*arguments: object) -> object:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running > 1:
                together.set()
        assert together.wait(WAIT_S if at_once > 1 else 0.1) or at_once == 1
        try:
            return replay(*arguments)  # type: ignore[arg-type]
        finally:
            with lock:
                running -= 1

    def allowed(requests: int, processors: int) -> int:
        asked.append(requests)
        return at_once

    log = Log()
    for number in range(40):
        log.call([("system", RULES, 3000, "5m"), ("user", f"{number}?", 20)], number * 10.0, **FAST)
    expected = [one.best_markers for one in facts(log).templates]
    monkeypatch.setattr(markers, "replay", counted)
    monkeypatch.setattr(markers, "replays_at_once", allowed)
    assert [one.best_markers for one in facts(log).templates] == expected
    assert set(asked) == {40} and most == at_once
