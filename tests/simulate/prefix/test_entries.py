"""A cache entry that two requests write before either can read it."""

import pytest

from tests.simulate.prefix.traces import classes, part

SLOW, FAST = {"ttft_ms": 60_000.0, "latency_ms": 61_000.0}, {"ttft_ms": 1000.0}
Write = tuple[str, dict[str, float]]


def reads(writes: list[Write], *at: float) -> list[int]:
    """Return each request's read of 5,000 tokens; writes start half a second apart from time 0."""
    rows = [
        (place * 0.5, [part("system", "rule", 5000, ttl)], fields)
        for place, (ttl, fields) in enumerate(writes)
    ]
    rows += [(moment, [part("system", "rule", 5000, "5m")], FAST) for moment in at]
    return [row[1] for row in classes(rows)]


@pytest.mark.parametrize(
    "writes", [[("1h", FAST), ("5m", FAST)], [("5m", FAST), ("1h", FAST)]], ids=["first", "second"]
)
def test_it_lives_for_the_longer_of_the_two_and_is_renewed_for_it(writes: list[Write]) -> None:
    # Five minutes would end at 300.5. Read at 400, it lives one more hour: 3,999 < 4,000.
    assert reads(writes, 400.0, 3999.0) == [0, 0, 5000, 5000]
    # Read at 400 and 3,999, it ends exactly at 7,599.
    assert reads(writes, 400.0, 3999.0, 7599.0) == [0, 0, 5000, 5000, 0]


@pytest.mark.parametrize(
    "writes", [[("5m", FAST), ("5m", SLOW)], [("5m", SLOW), ("5m", FAST)]], ids=["first", "second"]
)
def test_it_can_be_read_when_the_earlier_answer_begins(writes: list[Write]) -> None:
    # The fast answer begins at 1.0 or 1.5, the slow one a minute after its request.
    assert reads(writes, 1.75) == [0, 0, 5000]


@pytest.mark.parametrize(("first", "ends"), [("5m", 300.0), ("1h", 3600.0)])
def test_an_ended_entry_is_written_as_if_it_had_never_been(first: str, ends: float) -> None:
    # Written again for five minutes when it ends: unreadable until the answer begins one second
    # later, and gone after 300 s, whatever its earlier lifetime was.
    writes: list[Write] = [(first, FAST)]
    assert reads(writes, ends, ends + 0.5, ends + 1.0) == [0, 0, 0, 5000]
    assert reads(writes, ends, ends + 299.0, ends + 599.0) == [0, 0, 5000, 0]
