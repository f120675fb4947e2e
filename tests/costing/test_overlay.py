"""The shipped overlay agrees with rates that the price library added later."""

from datetime import date
from pathlib import Path

import pytest
from genai_prices.data_snapshot import get_snapshot

from costaudit.costing.prices.overlay import read_overlay, shipped_overlay
from costaudit.costing.prices.price_table import table_source
from costaudit.costing.prices.rate_card import PriceKey, RateCell, rate_card
from costaudit.errors import InputError

BEFORE, AFTER = date(2026, 10, 1), date(2026, 11, 1)  # the library has batch rates since October
PROVIDERS = ("openai", "anthropic", "google", "mistral", "groq", "x-ai")
ROUNDED = {  # the library rounds half of 0.25, 0.275 or 0.03 to three or two places
    ("gpt-5.4", "batch"), ("gpt-5.4", "flex"), ("o4-mini", "flex"),
    ("gemini-3.5-flash-lite", "batch"),
}  # fmt: skip


def cell(provider: str, model: str, tier: str | None, day: date) -> RateCell | None:
    card = rate_card(PriceKey(provider, model, tier, False, None), None)
    return card.cells[card.number(day, 43_200, 1)] if card else None


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("tier", ["batch", "flex", "priority"])
def test_a_multiple_gives_what_the_library_lists_later(provider: str, tier: str) -> None:
    models = [m.id for p in get_snapshot().providers if p.id == provider for m in p.models]
    compared = 0
    for model in models:
        guessed, listed = (cell(provider, model, tier, day) for day in (BEFORE, AFTER))
        standard = [cell(provider, model, None, day) for day in (BEFORE, AFTER)]
        if guessed is None or listed is None or listed.source != table_source():
            continue
        if guessed.source == listed.source or standard[0] != standard[1]:
            continue
        rounding = 0.0051 if (model, tier) in ROUNDED else 1e-9
        for i in (0, 1, 2, 3, 5):  # all classes except writes with an unknown lifetime
            paid, found = float(listed.rates[i]), float(guessed.rates[i])
            assert found == pytest.approx(paid, abs=rounding), (model, tier)
        compared += 1
    if (provider, tier) in {("openai", "batch"), ("anthropic", "batch"), ("google", "batch")}:
        assert compared >= 10


def test_every_entry_names_its_source() -> None:
    overlay = shipped_overlay()
    entries = (*overlay.variant, *overlay.region, *overlay.write_1h)
    assert overlay.checked and all(entry.source for entry in entries)


@pytest.mark.parametrize(
    ("text", "key", "where", "meant"),
    [
        ('[[price]]\nmodel = "a"\n', "'model'", "[[price]] number 1", "Did you mean models?"),
        ('[[alias]]\n[[alias]]\nuse = "a"\n', "'use'", "[[alias]] number 2", "use_provider"),
        ('[[prices]]\nmodels = ["a"]\n', "'prices'", "prices.toml", "Did you mean price?"),
        ("[[discount]]\nzzz = 1\n", "'zzz'", "[[discount]] number 1", "Keys are provider, models"),
    ],
)
def test_an_unknown_key_is_named(
    tmp_path: Path, text: str, key: str, where: str, meant: str
) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        read_overlay(path)
    assert key in refused.value.message and where in refused.value.message
    assert str(path) in refused.value.message and meant in (refused.value.hint or "")
