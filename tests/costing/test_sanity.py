"""Prices given by the user that look like slips are reported by model and class, but are used."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from costaudit.costing.cost import billed_classes
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.prices.quote import quote
from costaudit.costing.spend import spend
from tests.costing.logs import log

ROW = {"input_uncached_tokens": 1_000_000, "output_tokens": 1_000}


def note(folder: Path, text: str) -> str:
    """Return the note on the price of a gpt-4o call with a prices.toml."""
    path = folder / "prices.toml"
    path.write_text(text)
    requests = log(ROW)
    pricing = price_requests(requests, path)
    assert billed_classes(requests).height == 1
    return spend(requests, pricing).prices[0].note


def price(plain: str, output: str, read: str | None = None) -> str:
    cached = f"cache_read_per_mtok = '{read}'\n" if read else ""
    return (
        f"[[price]]\nmodels = ['gpt-4o']\ninput_per_mtok = '{plain}'\n{cached}"
        f"output_per_mtok = '{output}'\n"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (price("0.0000025", "0.00001"), "input 0.0000025 is far from the list price 2.5"),
        (price("0.0000025", "0.00001"), "dollars per token?"),
        (price("0.0025", "0.01"), "dollars per thousand tokens?"),
        (price("250", "1000"), "(cents?)"),
        (price("2500000", "10000000"), "times a million?"),
        (price("2.5", "10", "3"), "cache read 3 is above input 2.5"),
        (price("2.5", "1", "1.25"), "output 1 is below cache read 1.25"),
        ("[[discount]]\nmultiplier = '85'\n", "a multiplier of 85"),
    ],
)
def test_a_slip_is_named(tmp_path: Path, text: str, words: str) -> None:
    found = note(tmp_path, text)
    assert "questioned: " in found and words in found


@pytest.mark.parametrize(
    "text",
    [
        price("2.5", "10", "1.25"),
        price("2.1", "8.5"),
        price("1.25", "5", "0.6"),
        "[[discount]]\nmultiplier = '0.85'\n",
        "[[price]]\nmodels = ['ours']\ninput_per_mtok = '0.000001'\noutput_per_mtok = '0.000002'\n",
    ],
)
def test_a_usual_contract_is_not_questioned(tmp_path: Path, text: str) -> None:
    assert "questioned" not in note(tmp_path, text)


def test_a_questioned_price_counts_as_given(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(price("250", "1000"))
    requests = log(ROW)
    assert spend(requests, price_requests(requests, path)).total.total_usd == Decimal(251)
    text = str(quote("gpt-4o", "openai", datetime(2026, 11, 20, tzinfo=UTC), path))
    assert "questioned: input 250 is far from the list price 2.5 (cents?)" in text
