"""Positions and round numbers on an axis."""

import math

from hypothesis import given
from hypothesis import strategies as st

from costaudit.report.charts.panel import Axis, rounded

NUMBERS = st.floats(-1e9, 1e9, allow_subnormal=False)


def test_places_run_from_start_to_stop() -> None:
    axis = Axis(0.8, 1.0, 100, 300)
    assert [axis.at(value) for value in (0.8, 0.9, 1.0)] == [100, 200, 300]
    assert (axis.at(0.1), axis.at(7)) == (100, 300)  # values outside are drawn at the edge


def test_ticks_are_round_and_inside() -> None:
    ticks = Axis(0, 0.3, 0, 300).ticks(lambda value: f"{value:g}", 3)
    assert [tick.label for tick in ticks] == ["0", "0.1", "0.2", "0.3"]
    assert [tick.label for tick in rounded([3, 47], 0, 1).ticks(str)] == [
        "0.0", "20.0", "40.0", "60.0",
    ]  # fmt: skip


@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_an_axis_holds_its_values_and_few_ticks(values: list[float]) -> None:
    axis = rounded(values, 0, 100)
    slack = 1e-6 * max(map(abs, values), default=1) + 1e-12
    assert axis.low - slack <= min(values) and max(values) <= axis.high + slack
    ticks = axis.ticks(repr)
    assert 1 <= len(ticks) <= 12
    assert all(0 <= tick.at <= 100 for tick in ticks)


def test_numbers_that_are_none_are_left_out() -> None:
    axis = rounded([math.nan, math.inf, 5.0], 0, 100)
    assert axis.high >= 5
