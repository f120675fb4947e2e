"""Helpers for small logs with one price: their prompt facts and one breaker among them."""

from typing import Any

import polars as pl

from costaudit.contracts.grades import RATES, Pricing
from costaudit.simulate.prefix.advice.facts import PrefixFacts, prefix_facts
from costaudit.simulate.prefix.breakers.breakers import BreakerFacts
from tests.simulate.traffic import Log

RULES = " ".join(f"rule{number}" for number in range(800))  # 7,090 characters
FAST: dict[str, Any] = {"ttft_ms": 100.0, "latency_ms": 200.0}
SONNET = {"input": "3", "read": "0.3", "5m": "3.75", "1h": "6"}


def pricing(requests: pl.DataFrame, **prices: str) -> Pricing:
    """Return the same prices for every request, in USD per million tokens."""
    prices = {**SONNET, **prices}
    row = dict.fromkeys(RATES, "") | {
        "given": False,
        "rate_id": 0, "is_batch": False, "over_tokens": 0, "since": None,
        "input_per_mtok": prices["input"], "cache_read_per_mtok": prices["read"],
        "cache_write_5m_per_mtok": prices["5m"], "cache_write_1h_per_mtok": prices["1h"],
        "cache_write_other_per_mtok": None, "output_per_mtok": "15",
    }  # fmt: skip
    rates = pl.DataFrame([row], schema=RATES)
    return Pricing(rates, pl.Series([0] * len(requests), dtype=pl.Int32))


def facts(log: Log) -> PrefixFacts:
    requests, blocks = log.tables()
    return prefix_facts(requests, blocks, pricing(requests), compare=False)


def breaker(found: PrefixFacts, kind: str) -> BreakerFacts:
    matching = [item for row in found.templates for item in row.breakers if item.kind == kind]
    assert len(matching) == 1, [item.kind for row in found.templates for item in row.breakers]
    return matching[0]
