"""A logged cost that a known fault explains doesn't count; any other does."""

from decimal import Decimal

import polars as pl
import pytest

from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.costing.prices.wrong_costs import (
    fault_counts,
    first_faults,
    rates_with_faults,
    wrong_rows,
)

# Input 3, read 0.3, 5-minute write 3.75, 1-hour write 6, other write 3.75, output 15 a million.
RATES = {0: tuple(map(Decimal, ("3", "0.3", "3.75", "6", "3.75", "15")))}


def frame(*rows: tuple[tuple[int, ...], float | None]) -> pl.DataFrame:
    table = pl.DataFrame([tokens for tokens, _ in rows], schema=list(TOKEN_CLASSES), orient="row")
    return table.with_columns(
        rate_id=pl.lit(0, pl.Int32),
        logged=pl.Series([usd for _, usd in rows], dtype=pl.Float64),
        unit_usd=pl.lit(0.0),
    )


def wrong_costs(calls: pl.DataFrame) -> tuple[pl.Series, dict[int, str]]:
    shown = rates_with_faults(fault_counts(calls, RATES))
    return wrong_rows(calls, RATES, shown), first_faults(RATES, shown)


HOUR = (12, 0, 0, 9_634, 0, 5)  # $0.057915 at list prices
READ = (1_000, 9_000, 0, 0, 0, 100)  # $0.0072
WRITE = (0, 0, 10_000, 0, 0, 0)  # $0.0375


@pytest.mark.parametrize(
    ("tokens", "usd", "words"),
    [
        (HOUR, (12 * 3 + 9_634 * 3.75 + 5 * 15) / 1e6, "five-minute"),
        (READ, (10_000 * 3 + 100 * 15) / 1e6, "uncached"),
        (READ, (1_000 * 3 + 9_000 * 3.3 + 100 * 15) / 1e6, "twice"),
        ((1_000, 0, 10_000, 0, 0, 0), 1_000 * 3 / 1e6, "left out"),
    ],
)
def test_a_cost_that_a_fault_makes_is_wrong(
    tokens: tuple[int, ...], usd: float, words: str
) -> None:
    wrong, told = wrong_costs(frame((tokens, usd)))
    assert wrong.to_list() == [True]
    assert words in told[0]


@pytest.mark.parametrize("factor", [0.85, 0.9, 1.0, 1.1])
def test_list_prices_and_discounts_are_no_fault(factor: float) -> None:
    rows = [(HOUR, 0.057915 * factor), (READ, 0.0072 * factor), (WRITE, 0.0375 * factor)]
    wrong, told = wrong_costs(frame(*rows, (READ, None)))
    assert wrong.to_list() == [False] * 4
    assert not told


def test_one_chance_match_among_honest_costs_is_no_fault() -> None:
    honest = [(READ, 0.0072)] * 9
    by_chance = (READ, (10_000 * 3 + 100 * 15) / 1e6)
    assert not wrong_costs(frame(*honest, by_chance))[0].any()
