"""A lever's savings by unit add up to what the ledger says about the lever alone."""

from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.ledger import Lever, LeverRow
from costaudit.costing.ledger import Step
from costaudit.costing.lever_rows import lever_rows
from costaudit.costing.months.month import month_of
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.tariff import tariff
from tests.costing.ledgers import CALL, ROW, book, lever, step
from tests.costing.logs import log

MINI = {"model": "gpt-4o-mini"}


def rows_of(requests: pl.DataFrame, *steps: Step) -> tuple[LeverRow, ...]:
    prices = tariff(requests, price_requests(requests))
    levers = [one for one in steps if isinstance(one, Lever)]
    return lever_rows(prices, levers, book(requests, *steps), month_of(requests, 1.0))


def test_two_endpoints_by_hand() -> None:
    # A call costs 1.00 + 1.00; with gpt-4o-mini 400,000 x 0.15 + 100,000 x 0.60 = 0.12.
    # Endpoint a: two calls, 4.00 now, 2 x 1.88 = 3.76 saved; endpoint b: one call, 1.88.
    moved = lever("routing", {"unit": "b", **MINI}, {"unit": "a", **MINI}, {"unit": "a", **MINI})
    (row,) = rows_of(log(CALL, CALL, CALL), moved)
    assert [(u.unit, u.requests, u.before.usd, u.alone.usd) for u in row.units] == [
        ("a", 2, Decimal(4), Decimal("3.76")), ("b", 1, Decimal(2), Decimal("1.88")),
    ]  # fmt: skip
    assert (row.requests, row.alone.usd, row.saved.usd) == (3, Decimal("5.64"), Decimal("5.64"))
    assert row.alone.grade == "assumed" and row.units[0].before.grade == "measured"


def test_what_a_cache_already_serves_is_not_in_the_ledger_s_figure() -> None:
    moved = lever("routing", {"unit": "a", **MINI}, {"unit": "a", **MINI})
    (row,) = rows_of(log(CALL, CALL), step("duplicates", [True, False]), moved)
    assert (row.alone.usd, row.saved.usd) == (Decimal("3.76"), Decimal("1.88"))


def test_a_unit_that_gets_no_cheaper_is_left_out() -> None:
    dear = {"unit": "a", "model": "gpt-4"}
    (row,) = rows_of(log(CALL), lever("routing", dear))
    assert row.units == () and row.requests == 0 and row.alone.usd == 0


def test_useless_calls_are_worth_what_they_cost() -> None:
    gone = {"unit": "failed", "removed": True}
    (row,) = rows_of(log(CALL, CALL), lever("waste", gone, {}))
    assert (row.units[0].before.usd, row.alone.usd) == (Decimal(2), Decimal(2))


EFFECTS = st.sampled_from(
    [
        {},
        {"unit": "a", **MINI},
        {"unit": "b", **MINI},
        {"unit": "c", "removed": True},
        {"unit": "d", "is_batch": True, "cold": True},
    ]
)


@settings(max_examples=40)
@given(st.lists(st.tuples(ROW, EFFECTS), min_size=1, max_size=12))
def test_units_add_up_to_the_lever_alone(
    drawn: list[tuple[dict[str, Any], dict[str, Any]]],
) -> None:
    requests = log(*(row for row, _ in drawn))
    moved = lever("x", *(change for _, change in drawn))
    (row,) = rows_of(requests, moved)
    found = book(requests, moved)
    alone = sum(one.alone.usd for one in (*found.steps, *found.left_out))
    assert sum(unit.alone.usd for unit in row.units) == row.alone.usd
    assert abs(row.alone.usd - alone) <= Decimal("0.000001") * len(row.units)
