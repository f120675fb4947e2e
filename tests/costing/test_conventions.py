"""A cost in a person's table says whether its input includes cached tokens."""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from costaudit.costing.prices.conventions import settled_by_cost
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend
from tests.costing.logs import log

# Input 1,000 and 600 cached, read as if the input included them: 400 x $2.50 + 600 x $1.25 + 100 x
# $10 a million is $0.00275; if it does not include them, 600 x $2.50 more: $0.00425.
OPEN = {
    "source": "mapped", "usage_convention": "inclusive, undecided, read as inclusive",
    "input_uncached_tokens": 400, "cache_read_tokens": 600, "output_tokens": 100,
}  # fmt: skip
INCLUSIVE, EXCLUSIVE = "0.00275", "0.00425"


def told(usd: str | None, **more: Any) -> dict[str, Any]:
    return {**OPEN, "logged_cost": usd, "cost_unit": "usd", **more}


def settled(*rows: dict[str, Any]) -> tuple[list[int], list[str]]:
    found = settled_by_cost(log(*rows), None)
    assert found.columns == log(*rows).columns
    return found["input_uncached_tokens"].to_list(), found["usage_convention"].to_list()


@pytest.mark.parametrize(
    ("usd", "uncached", "label"),
    [
        (INCLUSIVE, 400, "inclusive, by its costs inclusive"),
        (EXCLUSIVE, 1_000, "inclusive, by its costs exclusive"),
        ("0.0028", 400, "inclusive, by its costs inclusive"),  # rounded to four places
        ("0.0042", 1_000, "inclusive, by its costs exclusive"),
        ("0.003", 400, "inclusive, by its costs inclusive"),
        ("0.0035", 400, OPEN["usage_convention"]),  # neither of the two
        ("0.00255", 400, OPEN["usage_convention"]),
        ("0", 400, OPEN["usage_convention"]),
        (None, 400, OPEN["usage_convention"]),
    ],
)
def test_a_cost_that_equals_one_of_two_prices_decides(
    usd: str | None, uncached: int, label: object
) -> None:
    assert settled(told(usd)) == ([uncached], [label])


def test_an_exclusive_reading_is_settled_too() -> None:
    row = told(INCLUSIVE, input_uncached_tokens=1_000,
               usage_convention="exclusive, undecided, read as exclusive")  # fmt: skip
    assert settled(row) == ([400], ["exclusive, by its costs inclusive"])


def test_costs_in_cents_are_compared_in_dollars() -> None:
    assert settled(told("0.425", cost_unit="cents"))[0] == [1_000]


def test_calls_of_a_group_without_a_cost_follow_those_that_have_one() -> None:
    rows = [told(EXCLUSIVE), told(EXCLUSIVE), told(None)]
    other = told(None, source_file="other.csv")
    assert settled(*rows, other)[0] == [1_000, 1_000, 1_000, 400]


def test_costs_that_contradict_each_other_decide_nothing() -> None:
    rows = [told(EXCLUSIVE)] * 9 + [told(INCLUSIVE)]
    assert settled(*rows) == ([400] * 10, [OPEN["usage_convention"]] * 10)


@pytest.mark.parametrize(
    "more",
    [
        {"source": "langfuse"},  # computes its costs from the counts that it logs
        {"usage_convention": "openai"},  # known
        {"model": "gpt-nobody-knows"},
        {"segments": [{"role": "user", "kind": "text", "block_id": "b", "tokens": 1_000,
                       "cache_marker": None}]},
    ],
)  # fmt: skip
def test_other_calls_stay_as_they_are(more: dict[str, Any]) -> None:
    uncached, (label,) = settled(told(EXCLUSIVE, **more))
    assert (uncached, label) == ([400], more.get("usage_convention", OPEN["usage_convention"]))


def test_a_difference_that_rounding_hides_decides_nothing() -> None:
    assert settled(told(EXCLUSIVE, cache_read_tokens=8, input_uncached_tokens=992))[0] == [992]


def test_the_spend_is_that_of_the_settled_convention() -> None:
    rows = settled_by_cost(log(told(EXCLUSIVE), told(None)), None)
    found = spend(rows, price_requests(rows), "recomputed")
    assert found.total.total_usd == 2 * Decimal(EXCLUSIVE)
    assert found.prices[0].logged_to_recomputed == pytest.approx(1)
    assert isinstance(rows, pl.DataFrame) and rows["request_id"].to_list() == ["r0", "r1"]
