"""Tokens that are no longer sent are subtracted from the class that each was billed in."""

from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from costaudit.contracts.ledger import EFFECT
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.tariff import tariff
from costaudit.costing.traffic import Traffic
from tests.costing.logs import log

CALL = {
    "cache_read_tokens": 1_000,
    "cache_write_5m_tokens": 300,
    "input_uncached_tokens": 700,
    "output_tokens": 50,
}


def left(cuts: list[dict[str, int]], least: int | None = None) -> dict[str, int]:
    """Return the token classes of CALL after some cuts."""
    requests = log(CALL)
    row: dict[str, Any] = {**dict.fromkeys(EFFECT), "unit": "a", "cuts": cuts}
    row["least_read_tokens"] = least
    effect = pl.DataFrame([row], schema=EFFECT)
    traffic = Traffic.logged(tariff(requests, price_requests(requests)))
    return dict(traffic.under(effect).classes.row(0, named=True))


def test_the_head_is_read_the_middle_written_the_tail_new() -> None:
    # Tokens 900 to 1,400: 100 of the read ones, all 300 written, 100 new ones.
    found = left([{"start": 900, "tokens": 500}])
    assert (found["cache_read_tokens"], found["cache_write_5m_tokens"]) == (900, 0)
    assert (found["input_uncached_tokens"], found["output_tokens"]) == (600, 50)


def test_each_class_is_cut_where_it_is_billed() -> None:
    # Read to 1,000, written for an hour to 1,100, for five minutes to 1,400, otherwise to 1,600.
    every = CALL | {
        "cache_write_1h_tokens": 100, "cache_write_other_tokens": 200, "input_uncached_tokens": 400,
    }  # fmt: skip
    requests = log(CALL, every)
    rows: list[dict[str, Any]] = [
        {**dict.fromkeys(EFFECT), "unit": "a"},
        {**dict.fromkeys(EFFECT), "unit": "a", "cuts": [{"start": 900, "tokens": 500}]},
    ]
    traffic = Traffic.logged(tariff(requests, price_requests(requests)))
    whole = traffic.under(pl.DataFrame(rows, schema=EFFECT)).classes
    assert whole.row(0) == traffic.classes.row(0)  # nothing is cut from it
    assert whole.row(1, named=True) == every | {
        "cache_read_tokens": 900, "cache_write_1h_tokens": 0, "cache_write_5m_tokens": 0,
    }  # fmt: skip


def test_what_is_cut_twice_is_not_there_twice() -> None:
    found = left([{"start": 0, "tokens": 800}, {"start": 0, "tokens": 900}])
    assert found["cache_read_tokens"] == 0 and found["input_uncached_tokens"] == 700


def test_two_cuts_add_up() -> None:
    found = left([{"start": 0, "tokens": 10}, {"start": 1_990, "tokens": 10}])
    assert (found["cache_read_tokens"], found["input_uncached_tokens"]) == (990, 690)


def test_a_head_below_the_minimum_is_not_read() -> None:
    assert left([{"start": 0, "tokens": 10}], least=990)["cache_read_tokens"] == 990
    found = left([{"start": 0, "tokens": 600}], least=990)
    assert (found["cache_read_tokens"], found["input_uncached_tokens"]) == (0, 700 + 400)


def test_a_cut_that_loses_more_than_it_sheds_is_not_made() -> None:
    assert left([{"start": 0, "tokens": 11}], least=990)["cache_read_tokens"] == 1_000


@given(st.integers(0, 2_500), st.integers(0, 2_500))
def test_a_cut_takes_what_it_overlaps_and_nothing_else(start: int, tokens: int) -> None:
    found = left([{"start": start, "tokens": tokens}])
    inside = max(0, min(2_000, start + tokens) - min(start, 2_000))
    assert sum(found[name] for name in TOKEN_CLASSES) == 2_050 - inside
    plain = [*["cache_read_tokens"] * 1_000, *["cache_write_5m_tokens"] * 300]
    plain += ["input_uncached_tokens"] * 700
    kept = plain[:start] + plain[start + tokens :]
    assert all(found[name] == kept.count(name) for name in set(plain))
