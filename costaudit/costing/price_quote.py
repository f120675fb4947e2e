"""What one model costs, for people: every tier and band on a day, with its source."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from costaudit.contracts.rates import RATES
from costaudit.costing.overlay import read_overlay
from costaudit.costing.price_table import similar_models, table_source
from costaudit.costing.prices import rate_row
from costaudit.costing.rate_card import PriceKey, RateCard, rate_card
from costaudit.costing.service_tier import BATCH

_TIERS = ("standard", BATCH, "flex", "priority", "fast")


@dataclass(frozen=True)
class PriceQuote:
    """The rates of a model, or the names it may have been meant for."""

    model: str
    provider: str | None
    as_of: date
    rates: pl.DataFrame  # RATES; empty where the model is unknown
    suggestions: tuple[str, ...]  # only where the model is unknown
    source: str


def price_of(
    model: str,
    provider: str | None = None,
    *,
    as_of: date,
    region: str | None = None,
    overrides: Path | None = None,
) -> PriceQuote:
    """Quote a model's rates on a day, at noon UTC, for every tier and context band."""
    user = read_overlay(overrides) if overrides else None
    rows: list[tuple[object, ...]] = []
    for tier in _TIERS:
        key = PriceKey(provider, model, tier, tier == BATCH, region)
        card = rate_card(key, user)
        if card:
            rows += _rows(key, card, as_of, len(rows))
    rates = pl.DataFrame(rows, schema=RATES, orient="row")
    suggestions = () if rows else similar_models(provider, model)
    return PriceQuote(model, provider, as_of, rates, suggestions, table_source())


def _rows(key: PriceKey, card: RateCard, day: date, first_id: int) -> list[tuple[object, ...]]:
    numbers = [card.first_equal(card.number(day, 43_200, band + 1)) for band in card.bands]
    priced = [number for number in dict.fromkeys(numbers) if card.cells[number]]
    return [rate_row(first_id + i, key, card, number, "") for i, number in enumerate(priced)]
