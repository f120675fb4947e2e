"""A quote tells a model's price, since when it is valid, and its source."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from costaudit.costing.prices.lookup import price_of
from costaudit.costing.prices.quote import quote
from costaudit.errors import UsageError

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_quote_shows_every_tier_and_band() -> None:
    found = price_of("gpt-5.6-sol", "openai", at=AT)
    rows = found.rates.select("service_tier", "over_tokens", "input_per_mtok").rows()
    assert ("standard", 0, "4") in rows and ("standard", 272_000, "8") in rows
    assert ("batch", 0, "2") in rows and ("priority", 0, "8") in rows
    assert found.rates["since"][0] == date(2026, 8, 21)
    assert found.suggestions == ()


def test_a_quote_of_the_past_has_the_price_of_the_past() -> None:
    found = price_of("gpt-5.6-sol", "openai", at=datetime(2026, 8, 20, 23, 59, tzinfo=UTC))
    assert found.rates["input_per_mtok"][0] == "5"


@pytest.mark.parametrize(("hour", "rate"), [(12, "0.66"), (7, "1.32")])
def test_a_quote_knows_the_hour(hour: int, rate: str) -> None:
    found = price_of("deepseek-v4-pro", "deepseek", at=AT.replace(hour=hour))
    assert found.rates["input_per_mtok"][0] == rate


def test_a_quote_as_text_names_its_source() -> None:
    text = str(quote("gpt-4o", "openai", AT))
    assert "2026-11-20 at 12:00 UTC" in text and "genai-prices" in text
    assert [line.split() for line in text.splitlines() if line.startswith("standard ")] == [
        ["standard", "-", "-", "2.5", "1.25", "2.5", "2.5", "2.5", "10"]
    ]


def test_an_unknown_model_suggests_names() -> None:
    assert "gpt-4o" in price_of("gpt-4oo", "openai", at=AT).suggestions
    with pytest.raises(UsageError, match="gpt-4oo") as raised:
        quote("gpt-4oo", "openai", AT)
    assert "gpt-4o" in raised.value.hint


@pytest.mark.parametrize("name", ["text-embedding-3-small", "TEXT-embedding-3-small"])
@pytest.mark.parametrize("provider", ["", "anthropic"])
def test_a_model_that_only_some_providers_have_is_asked_for_by_provider(
    name: str, provider: str
) -> None:
    with pytest.raises(UsageError) as raised:
        quote(name, provider, AT)
    told = raised.value.hint.split("--provider ")[1:]
    sellers = [part.split()[0].rstrip(".") for part in told]
    assert "openai" in sellers and "Did you mean" not in raised.value.hint
    for seller in sellers:
        assert quote(name, seller, AT).rows


def test_the_users_own_price_is_quoted(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text("[[price]]\nmodels = ['ours']\ninput_per_mtok = '1'\noutput_per_mtok = '2'\n")
    assert "prices.toml" in str(quote("ours", "", AT, path))
