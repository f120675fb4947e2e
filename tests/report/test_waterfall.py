"""The waterfall's bars."""

from dataclasses import replace
from decimal import Decimal

import pytest

from costaudit.contracts.ledger import Ledger
from costaudit.report.charts.waterfall import waterfall
from tests.report.sample_cost import money
from tests.report.sample_ledger import LEDGER


def ledger(before: str, saved: list[str], after: str, overlap: str = "0") -> Ledger:
    steps = tuple(replace(LEDGER.steps[0], saved=money(one)) for one in saved)
    return replace(
        LEDGER, before=money(before), steps=steps, after=money(after), overlap=money(overlap)
    )


def test_bars_hang_where_the_one_before_ended() -> None:
    fall = waterfall(ledger("100", ["20", "30"], "50", "10"))
    assert (fall.before.start, fall.before.stop) == (0, 1)
    assert [(bar.start, bar.stop) for bar in fall.steps] == [(0.8, 1), (0.5, 0.8)]
    assert (fall.after.start, fall.after.stop) == (0, 0.5)
    assert (fall.overlap.start, fall.overlap.stop) == (0.4, 0.5)  # 50 - 10 to 50


def test_a_lever_that_costs_goes_the_other_way() -> None:
    fall = waterfall(ledger("100", ["-25", "50"], "75"))
    assert fall.steps[0].kind == "cost"
    assert (fall.steps[0].start, fall.steps[0].stop) == (0.8, 1)  # 100 to 125, of 125
    assert fall.before.stop == 0.8


def test_intervals_move_the_end_of_a_bar() -> None:
    step = replace(LEDGER.steps[0], saved=money("20", "estimated", "10", "40"))
    fall = waterfall(
        replace(
            LEDGER, before=money("100"), steps=(step,), after=money("80", "estimated", "60", "90")
        )
    )
    assert (fall.steps[0].low, fall.steps[0].high) == (0.9, 0.6)  # 100 - 10, 100 - 40
    assert (fall.after.low, fall.after.high) == (0.6, 0.9)


@pytest.mark.parametrize("before", ["0", "0.0001", "1E+12"])
def test_any_spend_can_be_drawn(before: str) -> None:
    fall = waterfall(ledger(before, [before], "0", str(Decimal(before) * 3)))
    bars = (fall.before, *fall.steps, fall.overlap, fall.after)
    assert all(0 <= bar.start <= bar.stop <= 1 for bar in bars)
