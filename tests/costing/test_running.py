"""A cache costs its lookups and its store."""

from datetime import date
from decimal import Decimal

import pytest

from costaudit.costing.plan import break_even_requests, embedding_per_mtok, semantic_running_cost

DAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("embedder", "rate"),
    [
        ("minilm", "0"),
        ("./models/ours", "0"),
        ("openai:text-embedding-3-small", "0.02"),
        ("openai:nobody-knows", None),
    ],
)
def test_a_hosted_embedder_has_a_price(embedder: str, rate: str | None) -> None:
    assert embedding_per_mtok(embedder, DAY) == (None if rate is None else Decimal(rate))


def test_lookups_and_store_are_added() -> None:
    found = semantic_running_cost(
        embedded_tokens=50_000_000,
        per_mtok=Decimal("0.02"),
        peak_entries=1_000_000,
        bytes_per_entry=4_000,
        covered_days=15.0,
        usd_per_gb_month=Decimal(10),
    )
    # 50 x 0.02 = 1.00; 4 GB x 10 x half a month = 20.
    assert (found.embedding_usd, found.storage_usd, found.total_usd) == (1, 20, 21)


@pytest.mark.parametrize(("rate", "word"), [(Decimal(0), "local"), (None, "unknown")])
def test_what_is_left_out_is_said(rate: Decimal | None, word: str) -> None:
    found = semantic_running_cost(
        embedded_tokens=1, per_mtok=rate, peak_entries=0, bytes_per_entry=0, covered_days=1.0
    )
    assert found.total_usd == 0 and word in found.note


@pytest.mark.parametrize(
    ("saved", "requests", "fixed", "volume"),
    [
        ("30", 1_000, "280", 9_334),  # 0.03 a request: 280 / 0.03 = 9,333.3
        ("30", 1_000, "0", 0),
        ("0", 1_000, "280", None),
        ("-1", 1_000, "280", None),
        ("30", 0, "280", None),
    ],
)
def test_the_break_even_volume(saved: str, requests: int, fixed: str, volume: int | None) -> None:
    assert break_even_requests(Decimal(saved), requests, Decimal(fixed)) == volume
