"""What one model costs, for people: every tier and band at a moment, with its source."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from costaudit.contracts.rates import PER_MTOK, RATES
from costaudit.costing.overlay import read_overlay
from costaudit.costing.price_table import similar_models
from costaudit.costing.prices import rate_row
from costaudit.costing.rate_card import PriceKey, RateCard, rate_card
from costaudit.costing.service_tier import BATCH
from costaudit.errors import UsageError

_TIERS = ("standard", BATCH, "flex", "priority", "fast")
_HEADS = ("tier", "over tokens", "since", "input", "cache read", "write 5m", "write 1h",
          "write other", "output")  # fmt: skip


@dataclass(frozen=True)
class PriceQuote:
    """The rates of a model, or the names it may have been meant for."""

    model: str
    provider: str | None
    at: datetime
    rates: pl.DataFrame  # RATES; empty where the model is unknown
    suggestions: tuple[str, ...]  # only where the model is unknown


def price_of(
    model: str,
    provider: str | None = None,
    *,
    at: datetime,
    region: str | None = None,
    overrides: Path | None = None,
) -> PriceQuote:
    """Quote a model's rates at a moment, for every tier and context band."""
    user = read_overlay(overrides) if overrides else None
    rows: list[tuple[object, ...]] = []
    for tier in _TIERS:
        key = PriceKey(provider or None, model, tier, tier == BATCH, region)
        card = rate_card(key, user)
        if card:
            rows += _rows(key, card, at.astimezone(UTC), len(rows))
    rates = pl.DataFrame(rows, schema=RATES, orient="row")
    return PriceQuote(model, provider, at, rates, () if rows else similar_models(provider, model))


def quote(
    model: str, provider: str = "", at: datetime | None = None, overrides: Path | None = None
) -> str:
    """Write a quote as text, of now where no time is given; raises UsageError if unknown."""
    found = price_of(model, provider or None, at=at or datetime.now(UTC), overrides=overrides)
    if not len(found.rates):
        whose = f" at {provider}" if provider else ""
        names = ", ".join(found.suggestions)
        raise UsageError(
            f"No price is known for the model {model!r}{whose}.",
            hint=f"Did you mean {names}?" if names else "Give its rates in a prices.toml.",
        )
    rows = list(found.rates.iter_rows(named=True))
    table = [_HEADS, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(_HEADS))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in table]
    sources = dict.fromkeys(f"{row['service_tier']}: {row['source']}" for row in rows)
    notes = dict.fromkeys(f"note: {row['note']}" for row in rows if row["note"])
    head = f"{model}, priced as {rows[0]['priced_as']} on {found.at:%Y-%m-%d at %H:%M} UTC"
    unit = "US dollars per million tokens:"
    return "\n".join([head, unit, *(line.rstrip() for line in lines), *sources, *notes])


def _cells(row: dict[str, object]) -> tuple[str, ...]:
    over = f"{row['over_tokens']:,}" if row["over_tokens"] else "-"
    since = str(row["since"] or "-")
    return (str(row["service_tier"]), over, since, *(str(row[name]) for name in PER_MTOK))


def _rows(key: PriceKey, card: RateCard, at: datetime, first_id: int) -> list[tuple[object, ...]]:
    second = at.hour * 3600 + at.minute * 60 + at.second
    numbers = [card.first_equal(card.number(at.date(), second, band + 1)) for band in card.bands]
    priced = [number for number in dict.fromkeys(numbers) if card.cells[number]]
    return [rate_row(first_id + i, key, card, number, "") for i, number in enumerate(priced)]
