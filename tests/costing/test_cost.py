"""Sums are exact: the tokens of each rate are summed first, and multiplied once."""

import math
from decimal import Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from costaudit.contracts.grades import PER_MTOK, RATES, Pricing
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.costing.cost import billed_classes, cost, per_request_usd
from costaudit.costing.prices.lookup import price_requests
from tests.costing.logs import log

TOKENS = st.integers(0, 10**7)
ROWS = st.lists(
    st.tuples(st.sampled_from([0, 1, None]), *[TOKENS] * len(TOKEN_CLASSES)), max_size=30
)
RATE = [
    ("2.5", "1.25", "2.5", "2.5", "2.5", "10"),
    ("0.000003", "0.1", "0.30", "0.7", "1.1", "13.333333"),
]


def pricing(rate_ids: list[int | None]) -> Pricing:
    rows = [
        {
            **dict.fromkeys(RATES, ""),
            "given": False,
            "rate_id": i,
            "is_batch": False,
            "over_tokens": 0,
            "since": None,
            **dict(zip(PER_MTOK, rate, strict=True)),
        }
        for i, rate in enumerate(RATE)
    ]
    return Pricing(pl.DataFrame(rows, schema=RATES), pl.Series("rate_id", rate_ids, pl.Int32))


def by_hand(row: tuple[int | None, ...]) -> Decimal:
    rate_id = row[0]
    if rate_id is None:
        return Decimal(0)
    tokens = [each or 0 for each in row[1:]]
    return (
        sum((n * Decimal(rate) for n, rate in zip(tokens, RATE[rate_id], strict=True)), Decimal(0))
        / 1_000_000
    )


def frame(rows: list[tuple[int | None, ...]]) -> pl.DataFrame:
    return pl.DataFrame(
        [row[1:] for row in rows], schema=dict.fromkeys(TOKEN_CLASSES, pl.Int64), orient="row"
    )


@given(ROWS)
def test_the_sum_is_the_sum_of_the_rows(rows: list[tuple[int | None, ...]]) -> None:
    found = cost(frame(rows), pricing([row[0] for row in rows]))
    assert found.total_usd == sum(map(by_hand, rows), Decimal(0))
    parts = (found.input_uncached_usd, found.cache_read_usd, found.cache_write_usd)
    assert found.total_usd == sum(parts) + found.output_usd
    assert found.requests == len(rows)
    for i, name in enumerate(TOKEN_CLASSES, start=1):
        assert getattr(found, name) == sum(row[i] or 0 for row in rows)


@given(ROWS, st.randoms(use_true_random=False))
def test_parts_add_up_to_the_whole(rows: list[tuple[int | None, ...]], rng: object) -> None:
    mask = pl.Series([rng.random() < 0.5 for _ in rows], dtype=pl.Boolean)  # type: ignore[attr-defined]
    priced = pricing([row[0] for row in rows])
    one, other = cost(frame(rows), priced, mask), cost(frame(rows), priced, ~mask)
    assert one.total_usd + other.total_usd == cost(frame(rows), priced).total_usd
    assert one.requests + other.requests == len(rows)


def test_per_request_dollars_rank_and_unpriced_is_not_free() -> None:
    rows: list[tuple[int | None, ...]] = [
        (0, 1000, 0, 0, 0, 0, 10), (1, 5, 4, 3, 2, 1, 0), (None, 9, 0, 0, 0, 0, 9),
    ]  # fmt: skip
    found = per_request_usd(frame(rows), pricing([row[0] for row in rows]))
    assert math.isclose(found[0], 0.0026) and math.isnan(found[2])
    assert math.isclose(found[1], float(by_hand(rows[1])))


def test_missing_and_negative_usage_bills_nothing() -> None:
    requests = log(
        {"status": "error", "input_uncached_tokens": None, "output_tokens": None},
        {"input_uncached_tokens": -50, "output_tokens": 10},
        {"served_by": "gateway_cache", "input_uncached_tokens": 1_000, "output_tokens": 1_000},
        {"served_by": None, "output_tokens": 1},
    )
    found = cost(billed_classes(requests), price_requests(requests))
    assert (found.input_uncached_tokens, found.output_tokens) == (0, 11)
    assert found.total_usd == Decimal("0.00011")  # 11 x 10 / 10^6
