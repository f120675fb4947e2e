"""Numbered columns, quantiles within groups and sums by cell, against plain loops."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

from costaudit.costing.groups.codes import KEYED, coded, enumerated, keyed
from costaudit.costing.groups.latency import SHARES, Latencies, QuantileCells
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import GROUPS, spend
from tests.costing.logs import NOON, log

NAMES = st.lists(st.sampled_from([None, "", "a", "b", "ä", "10", "9"]), max_size=30)


@settings(max_examples=30)
@given(NAMES)
def test_a_code_names_the_value_of_each_row(values: list[str | None]) -> None:
    column = pl.Series(values, dtype=pl.String)
    for one in (column, enumerated(column)):
        code, names = coded(one)
        assert [names[number] for number in code] == [value or "" for value in values]
        assert names == sorted({value or "" for value in values}, key=str.encode)


def test_a_part_of_an_enumeration_names_only_its_own_values() -> None:
    code, names = coded(
        enumerated(pl.Series(["a", "b", None, "c"])).filter([True, False, True, True])
    )
    assert (code.tolist(), names) == ([1, 0, 2], ["", "a", "c"])


LATENCY = st.one_of(st.none(), st.integers(0, 5), st.floats(-1e3, 1e7, allow_nan=False))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3), LATENCY), max_size=60), st.integers(0, 60))
def test_quantiles_are_those_of_each_group_alone(
    rows: list[tuple[int, float | None]], cut: int
) -> None:
    """In two parts as in one."""
    known = [value for _, value in rows if value is not None]
    code = [np.array([group for group, _ in part], np.int64) for part in (rows[:cut], rows[cut:])]
    parts = [
        Latencies(
            pl.Series([value for _, value in part], dtype=pl.Float64, strict=False),
            min(known, default=0),
        )
        for part in (rows[:cut], rows[cut:])
    ]
    counts = pl.concat(one.counts(each) for one, each in zip(parts, code, strict=True))
    cells = QuantileCells(counts.group_by("cell").sum(), 5)
    found = cells.quantiles(
        one.values(each, cells.wanted) for one, each in zip(parts, code, strict=True)
    )
    for group in range(5):
        own = [value for one, value in rows if one == group and value is not None]
        for share, of_share in zip(SHARES, found, strict=True):
            wanted = pytest.approx(np.quantile(own, share), rel=1e-12, abs=1e-9) if own else None
            assert of_share[group] == wanted


@cache
def calls(count: int) -> pl.DataFrame:
    """Return random calls: 40 days, some without a time, two models, bands, costs and units."""
    rng = np.random.default_rng(3)
    models = [("openai", "gpt-4o"), ("google", "gemini-2.5-pro"), ("openai", "gpt-nobody-knows")]
    rows = []
    for number in range(count):
        provider, model = models[rng.choice(3, p=[0.6, 0.3, 0.1])]
        hours = float(rng.integers(0, 40 * 24))
        searches = [{"unit": "web_search", "quantity": 1.0, "model": None}]
        rows.append({
            "ts": None if rng.random() < 0.05 else NOON - timedelta(hours=hours),
            "provider": provider, "model": model, "user": f"u{rng.integers(9)}",
            "tenant": [None, "", "t1", "t2"][rng.integers(4)], "endpoint": f"/{number % 3}",
            "input_uncached_tokens": int(rng.choice([10, 300_000])), "output_tokens": 7,
            "status": "error" if rng.random() < 0.1 else "ok",
            "logged_cost": "0.02" if model == "gpt-nobody-knows" and number % 2 else None,
            "billed_units": searches if rng.random() < 0.1 else None,
            "served_by": "gateway_cache" if rng.random() < 0.1 else "provider",
        })  # fmt: skip
    return log(*rows)


@cache
def cost_alone(model: str, tokens: int, logged: str | None, *, searched: bool) -> Decimal:
    """Return the cost of one of these calls, priced alone."""
    row = calls(600).filter(
        pl.col("model") == model, pl.col("input_uncached_tokens") == tokens,
        pl.col("logged_cost").eq_missing(logged),
        pl.col("billed_units").is_not_null() == searched, pl.col("served_by") == "provider",
    )[0]  # fmt: skip
    return spend(row, price_requests(row)).total.total_usd


def test_rows_and_days_are_sums_over_the_calls_one_by_one() -> None:
    requests = keyed(calls(600))
    groups = {**GROUPS, "provider": pl.col("provider"), "user": pl.col("user")}
    found = spend(requests, price_requests(requests), groups=groups)
    usd: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    failed: dict[tuple[str, str], int] = defaultdict(int)
    daily: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in requests.filter(pl.col("served_by") == "provider").iter_rows(named=True):
        cost = cost_alone(row["model"], row["input_uncached_tokens"], row["logged_cost"],
                          searched=bool(row["billed_units"]))  # fmt: skip
        at = row["ts"]
        keys = {
            **{name: row[name] or "" for name in groups if name not in ("day", "hour")},
            "day": f"{at:%Y-%m-%d}" if at else "", "hour": f"{at:%H}" if at else "",
        }  # fmt: skip
        for key in keys.items():
            usd[key] += cost
            failed[key] += row["status"] == "error"
        daily[keys["day"], row["model"]] += cost
    rows = {(name, row.group): row for name, by in found.by.items() for row in by}
    assert {key: row.cost.total_usd for key, row in rows.items()} == usd
    assert {key: row.failed for key, row in rows.items()} == failed
    assert {(row.day, row.model): row.cost.total_usd for row in found.daily} == daily


def test_enumerations_change_no_price_and_no_sum() -> None:
    plain = calls(200)
    found = [price_requests(one) for one in (plain, keyed(plain))]
    assert_frame_equal(found[0].rates, found[1].rates)
    assert_series_equal(found[0].rate_ids, found[1].rate_ids)
    assert spend(plain, found[0]) == spend(keyed(plain), found[1])
    assert all(isinstance(keyed(plain)[name].dtype, pl.Enum) for name in KEYED)
    assert_frame_equal(keyed(plain).cast({pl.Enum: pl.String}), plain)
