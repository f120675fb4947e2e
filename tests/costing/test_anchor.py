"""A simulation changes the bill without adding or losing tokens."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.contracts.requests import INPUT_CLASSES, TOKEN_CLASSES
from costaudit.costing.traffic import anchored

CLASSES = st.tuples(*[st.integers(0, 5_000)] * len(TOKEN_CLASSES))


def frame(*rows: tuple[int, ...]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(TOKEN_CLASSES, pl.Int64), orient="row")


def inputs(classes: pl.DataFrame) -> list[int]:
    return classes.select(pl.sum_horizontal(INPUT_CLASSES)).to_series().to_list()


@given(st.lists(st.tuples(CLASSES, CLASSES), min_size=1, max_size=20))
def test_a_simulation_that_changes_nothing_leaves_the_bill(
    rows: list[tuple[tuple[int, ...], tuple[int, ...]]],
) -> None:
    logged, simulated = frame(*(row[0] for row in rows)), frame(*(row[1] for row in rows))
    assert anchored(logged, simulated, simulated).equals(logged)
    assert anchored(simulated, simulated, logged).equals(logged)


@given(CLASSES, CLASSES, st.randoms(use_true_random=False))
def test_the_input_is_conserved_and_nothing_falls_below_zero(
    logged: tuple[int, ...], as_is: tuple[int, ...], rng: object
) -> None:
    # A simulation only moves a request's input between classes.
    moved = list(as_is[:-1])
    rng.shuffle(moved)  # type: ignore[attr-defined]
    after = anchored(frame(logged), frame(as_is), frame((*moved, as_is[-1])))
    assert inputs(after) == inputs(frame(logged))
    assert min(after.row(0)) >= 0
    assert after["output_tokens"][0] == logged[-1]


def test_what_the_bill_has_not_is_taken_back_from_the_reads() -> None:
    # Billed: 100 uncached, 900 read. Simulated today: all 1,000 uncached; after: 800 of them read.
    logged, as_is = frame((100, 900, 0, 0, 0, 7)), frame((1000, 0, 0, 0, 0, 7))
    after = frame((200, 800, 0, 0, 0, 7))
    # -800 uncached leaves 100 - 800 -> 0, so of the +800 reads only 100 are real.
    assert anchored(logged, as_is, after).row(0) == (0, 1000, 0, 0, 0, 7)


CHEAPEST_FIRST = (
    "cache_read_tokens",
    "input_uncached_tokens",
    "cache_write_other_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)


@pytest.mark.parametrize("place", range(4))
def test_what_is_taken_back_comes_from_the_cheapest_class_that_gained(place: int) -> None:
    # Billed: 100 of a class that loses 400 in the simulation, in which two others gain 200 each.
    # Only 100 can move, so 300 are undone: all 200 of the cheaper one, 100 of the other.
    cheap, dear = CHEAPEST_FIRST[place : place + 2]
    losing = next(name for name in CHEAPEST_FIRST if name not in (cheap, dear))

    def of(**tokens: int) -> pl.DataFrame:
        return frame(tuple(tokens.get(name, 0) for name in TOKEN_CLASSES))

    after = anchored(of(**{losing: 100}), of(**{losing: 400}), of(**{cheap: 200, dear: 200}))
    assert after.row(0, named=True) == dict.fromkeys(TOKEN_CLASSES, 0) | {dear: 100}


def test_what_neither_gained_nor_lost_is_not_taken_back() -> None:
    # Billed: 100 uncached, 50 read. Simulated: 400 uncached become 400 written. Only 100 can move,
    # so 300 of the writes are undone, and none of the reads.
    after = anchored(
        frame((100, 50, 0, 0, 0, 0)), frame((400, 0, 0, 0, 0, 0)), frame((0, 0, 400, 0, 0, 0))
    )
    assert after.row(0) == (0, 50, 100, 0, 0, 0)
