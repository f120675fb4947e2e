"""The spend of a log is the same from any parts of it, each priced alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.spend import CostMode, Spend
from costaudit.costing.groups.codes import keyed
from costaudit.costing.months.month import Month, month_of
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.prices.overlay import read_overlay
from costaudit.costing.spend import GROUPS, IF_LOGGED, Whole, spend_of
from costaudit.costing.spending.parts import Part, PriceTerms, with_verdict
from costaudit.costing.spending.tally import Groups, Priced, Stretch
from costaudit.costing.tariff import tariff
from tests.costing.logs import NOON, log

R = TypeVar("R")
CLAUDE = {"provider": "anthropic", "model": "claude-sonnet-4-5"}
BY = {**GROUPS, **IF_LOGGED, "provider": pl.col("provider"), "user": pl.col("user")}


def hour_writes(tokens: int) -> dict[str, Any]:
    """Return a call whose logger priced writes of an hour as writes of five minutes."""
    usd = tokens * 3.75 / 1e6
    return {**CLAUDE, "cache_write_1h_tokens": tokens, "logged_cost": f"{usd:.6f}"}


def discounted(tokens: int) -> dict[str, Any]:
    """Return a call whose logged cost is 10 % below list."""
    usd = tokens * 2.5 * 0.9 / 1e6
    return {"input_uncached_tokens": tokens, "logged_cost": f"{usd:.8f}"}


KINDS: tuple[Callable[[int], dict[str, Any]], ...] = (
    lambda n: {"input_uncached_tokens": 7 * n, "output_tokens": n},
    lambda n: {"model": "gemini-2.5-pro", "provider": "google", "input_uncached_tokens": 400 * n},
    discounted,
    hour_writes,
    lambda n: {**CLAUDE, "input_uncached_tokens": n, "cache_read_tokens": 9 * n},
    lambda n: {"model": "gpt-nobody-knows", "output_tokens": n},
    lambda n: {"model": "gpt-nobody-knows", "output_tokens": n, "logged_cost": "0.02"},
    lambda n: {"model": "o3", "output_tokens": n, "logged_cost": f"{n}.5"},  # not in dollars
    lambda n: {
        "output_tokens": n,
        "billed_units": [{"unit": "web_search", "quantity": float(n % 3), "model": None}],
    },
    lambda n: {"usage_source": "missing", "output_tokens": None, "status": "ok"},
    lambda n: {"served_by": "gateway_cache", "output_tokens": n},
    lambda n: {"billed_units": [{"unit": "code_session", "quantity": 1.0, "model": None}]},
)


@cache
def calls() -> pl.DataFrame:
    """Return 900 calls of three weeks, some without a time, in the order of a log."""
    rng = np.random.default_rng(11)
    rows = []
    for number in range(900):
        kind = KINDS[rng.integers(len(KINDS))]
        hours = float(rng.integers(0, 21 * 24))
        rows.append({
            **kind(int(rng.integers(1, 1_000))),
            "ts": None if number % 17 == 0 else NOON - timedelta(hours=hours, seconds=number),
            "tenant": f"t{rng.integers(230):03}", "endpoint": f"/{number % 3}",
            "user": f"u{rng.integers(40)}" if number % 5 else None,
            "session": f"s{number // 6}", "agent": [None, "planner"][number % 2],
            "latency_ms": None if number % 7 == 0 else float(rng.lognormal(6, 1)),
            "status": "error" if number % 11 == 0 else "ok",
        })  # fmt: skip
    return log(*rows).sort("ts", nulls_last=True, maintain_order=True)


@dataclass(frozen=True)
class Parts:
    """A log as parts between rows."""

    requests: pl.DataFrame
    cuts: tuple[int, ...]
    terms: PriceTerms

    def map(self, function: Callable[[Stretch, Groups], R], groups: Groups) -> Iterator[R]:
        edges = [0, *sorted(self.cuts), len(self.requests)]
        for first, last in pairwise(edges):
            yield function(Part(self.requests[first:last], self.terms), groups)


def last_day() -> date:
    day: date = calls().select(pl.col("ts").dt.date().max()).item()
    return day


def month() -> Month:
    return month_of(calls(), 21.0)


@cache
def whole(mode: CostMode, prices: Path | None) -> Spend:
    requests = keyed(calls())
    priced = tariff(requests, price_requests(requests, prices), mode, overrides=prices)
    one = Whole(Priced(requests, priced.table, priced.basis))
    return spend_of(one, BY, mode, month=month(), optional=IF_LOGGED)


@settings(max_examples=12, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 900), min_size=1, max_size=6).map(tuple),
    mode=st.sampled_from(["auto", "logged", "recomputed"]),
)
def test_any_parts_give_the_same_spend(cuts: tuple[int, ...], mode: CostMode) -> None:
    terms = PriceTerms(None, mode, last_day())
    parts = Parts(calls(), cuts, with_verdict(Parts(calls(), cuts, terms), terms))
    assert spend_of(parts, BY, mode, month=month(), optional=IF_LOGGED) == whole(mode, None)


def test_the_log_of_these_tests_has_what_parts_can_get_wrong() -> None:
    found = whole("auto", None)
    notes = [one.note for one in found.prices]
    assert any("one-hour cache writes" in note for note in notes)
    assert any("without a time" in note for note in notes)
    assert any(one.logged_to_recomputed == pytest.approx(0.9) for one in found.prices)
    assert any(note.startswith("over 200,000 input tokens") for note in notes)
    assert found.unpriced_requests and found.unpriced_units and found.gateway_hits
    assert 0 < found.logged_usd < found.total.total_usd
    assert {row.group for row in found.by["tenant"]} > {"(other)", "t000"}
    assert {"agent", "user_rank", "session_rank"} < found.by.keys()
    assert found.by["model"][0].month is not None and found.by["model"][0].latency_p95_ms


def test_a_user_s_prices_hold_in_each_part(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(
        '[[price]]\nprovider = "openai"\nmodels = ["gpt-4o"]\n'
        "input_per_mtok = 1\noutput_per_mtok = 2\n"
    )
    terms = PriceTerms(read_overlay(path), "auto", last_day())
    cuts = (100, 500)
    parts = Parts(calls(), cuts, with_verdict(Parts(calls(), cuts, terms), terms))
    found = spend_of(parts, BY, month=month(), optional=IF_LOGGED)
    assert found == whole("auto", path) != whole("auto", None)
