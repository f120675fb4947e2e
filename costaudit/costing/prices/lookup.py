"""Find the rate of each request, and the rates of one model."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from costaudit.contracts.grades import RATES, Pricing, format_rate
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.contracts.run_dir import column
from costaudit.costing.prices.overlay import Overlay, read_overlay, shipped_overlay
from costaudit.costing.prices.price_table import BATCH, similar_models
from costaudit.costing.prices.rate_card import PriceKey, RateCard, rate_card
from costaudit.costing.prices.unit_prices import with_units

_KEY = [field.name for field in fields(PriceKey)]
_WRITE_TTL = pl.coalesce(  # the lifetime of cache_write_other tokens, as billed or requested
    "cache_write_other_ttl",
    pl.when(pl.col("cache_options").str.contains('"12h"', literal=True)).then(pl.lit("12h")),
)
_MOST_NUMBERS = 1 << 22  # of combinations of a key's values that are counted in one table
_EPOCH = date(1970, 1, 1).toordinal()


def price_requests(
    requests: pl.DataFrame, overrides: Path | Overlay | None = None, as_of: date | None = None
) -> Pricing:
    """Find the rate of each request: by provider, model, tier, batch, region, band and date.

    `overrides` are the user's prices, or the file that has them.

    Requests without a time are priced as of `as_of`, or else of the log's last day. The rate id is
    null if no rate is known for the model, tier or batch. The total input decides the context band.
    """
    user = read_overlay(overrides) if isinstance(overrides, Path) else overrides
    logged = requests.select(
        *(name for name in _KEY if name != "write_ttl"),
        write_ttl=pl.when(_WRITE_TTL == "12h").then(pl.lit("12h")),
    ).select(_KEY)
    keys, key_of = _keys(logged)
    cards = [rate_card(PriceKey(*row), user) for row in keys.select(_KEY).iter_rows()]
    untimed_day = as_of or last_day(requests)
    cells = _cells(requests, key_of, cards, untimed_day)
    untimed = set(cells[column(requests, "ts").is_null().arg_true().to_numpy()].tolist())
    note = f"requests without a time are priced as of {untimed_day}"
    found = _pricing(cells, keys, cards, dict.fromkeys(untimed, note))
    return with_units(found, requests, user)


def _keys(logged: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray]:
    """Return the distinct keys in order, and the place of each request's key."""
    number = np.zeros(len(logged), np.int64)
    for name in _KEY:
        column = logged[name]
        if column.null_count() == len(column):
            continue
        values = (
            column.dtype.categories
            if isinstance(column.dtype, pl.Enum)
            else column.unique().drop_nulls().sort()
        )
        typed = column.cast(pl.Enum(values)) if column.dtype == pl.String else column
        place = typed.to_physical().cast(pl.Int64).fill_null(-1).to_numpy() + 1
        number = number * (len(values) + 2) + place
    if number.max(initial=0) > _MOST_NUMBERS:
        number = np.unique(number, return_inverse=True)[1]
    used = np.flatnonzero(np.bincount(number))
    row_of = np.zeros(number.max(initial=0) + 1, np.int64)
    row_of[number] = np.arange(len(number))
    rows = logged[row_of[used]].with_columns(number=pl.Series(used, dtype=pl.Int64))
    ordered = rows.sort(_KEY, nulls_last=True)
    key = np.zeros(len(row_of), np.int64)
    key[ordered["number"].to_numpy()] = np.arange(len(ordered))
    return ordered, key[number]


def last_day(requests: pl.DataFrame) -> date:
    """Return the day of the last request, in UTC; without times, that of the price table."""
    last = column(requests, "ts").max()
    if isinstance(last, datetime):
        return last.astimezone(UTC).date()
    checked = shipped_overlay().checked
    return checked or date.max


def _cells(
    requests: pl.DataFrame,
    key_of: np.ndarray,
    cards: list[RateCard | None],
    untimed_day: date,
) -> np.ndarray:
    """Return each request's cell number, counted over all cards in order; -1 without a card."""
    ts = column(requests, "ts")
    no_time = untimed_day.toordinal() - _EPOCH
    cells = np.full(len(requests), -1, np.int64)
    offset = 0
    for card, rows in zip(cards, _rows_by_key(key_of, len(cards)), strict=True):
        if card is None:
            continue
        d = s = b = np.zeros(1, np.int64)
        if len(card.days) > 1 or len(card.seconds) > 1:
            at = ts.gather(rows)
            days = at.dt.date().cast(pl.Int32).fill_null(no_time).to_numpy()
            d = np.searchsorted([_number(day) for day in card.days], days, "right") - 1
        if len(card.seconds) > 1:
            seconds = (at.dt.timestamp("us") // 1_000_000 % 86_400).fill_null(43_200).to_numpy()
            s = np.searchsorted(card.seconds, seconds, "right") - 1
            s[_weekend(days) & (days >= _number(card.flat_weekends_since))] = 0
        if len(card.bands) > 1:
            counts = requests.select(pl.col(INPUT_CLASSES).gather(rows).fill_null(0).clip(0))
            total = np.maximum(counts.sum_horizontal().to_numpy(), 1) - 1
            b = np.searchsorted(card.bands, total, "right") - 1
        cells[rows] = offset + (d * len(card.seconds) + s) * len(card.bands) + b
        offset += len(card.cells)
    return cells


def _number(day: date) -> int:
    """Count the days since 1970-01-01, which was a Thursday."""
    return day.toordinal() - _EPOCH


def _weekend(days: np.ndarray) -> np.ndarray:
    """Return which days are Saturdays or Sundays."""
    return np.asarray((days + 3) % 7 >= 5)


def _rows_by_key(key_of: np.ndarray, keys: int) -> Iterator[np.ndarray]:
    narrow = key_of.astype(np.uint16) if keys < 1 << 16 else key_of  # sorted by radix
    order = np.argsort(narrow, kind="stable")
    bounds = np.searchsorted(key_of[order], np.arange(keys + 1))
    for first, last in pairwise(bounds):
        yield order[first:last]


def _pricing(
    cells: np.ndarray, keys: pl.DataFrame, cards: list[RateCard | None], notes: dict[int, str]
) -> Pricing:
    """Return the pricing, with one rate row for each run of equal cells that a request uses.

    `notes` are by cell.
    """
    used = set((np.flatnonzero(np.bincount(cells + 1)) - 1).tolist())
    id_of = np.full(int(cells.max(initial=-1)) + 2, -1, np.int32)  # the last one is for -1
    rows: list[tuple[object, ...]] = []
    places: list[tuple[object, ...]] = []
    offset = 0
    for key, card in zip(keys.select(_KEY).iter_rows(), cards, strict=True):
        if card is None:
            continue
        equal: dict[int, list[int]] = {}
        for number, cell in enumerate(card.cells):
            if cell is not None and offset + number in used:
                equal.setdefault(card.first_equal(number), []).append(offset + number)
        for first in sorted(equal):
            id_of[equal[first]] = len(rows)
            note = next((notes[cell] for cell in equal[first] if cell in notes), "")
            rows.append(rate_row(len(rows), PriceKey(*key), card, first, note))
            places.append((*key, first))
        offset += len(card.cells)
    found = pl.Series("rate_id", id_of[cells], pl.Int32)
    rates = pl.DataFrame(rows, schema=RATES, orient="row")
    return Pricing(rates, found.set(found < 0, None), places=tuple(places))


def rate_row(
    rate_id: int, key: PriceKey, card: RateCard, number: int, note: str
) -> tuple[object, ...]:
    """Return one cell of a card as a row of RATES."""
    cell = card.cells[number]
    assert cell is not None
    band = number % len(card.bands)
    second = number // len(card.bands) % len(card.seconds)
    day = number // len(card.bands) // len(card.seconds)
    provider, model, _, _, region, _ = astuple(key)
    return (
        rate_id,
        provider,
        model,
        card.priced_as,
        key.variant or "standard",
        key.variant == BATCH,
        region,
        card.bands[band],
        card.days[day] if day else None,
        *(format_rate(rate) for rate in cell.rates),
        cell.source,
        "; ".join(part for part in (cell.note, _hours(card, second), note) if part),
        cell.given,
    )


def _hours(card: RateCard, second: int) -> str:
    if len(card.seconds) == 1:
        return ""
    ends = (*card.seconds[1:], 86_400)
    begin, end = card.seconds[second], ends[second]
    return (
        f"from {begin // 3600:02}:{begin // 60 % 60:02} to {end // 3600:02}:{end // 60 % 60:02} UTC"
    )


_TIERS = ("standard", BATCH, "flex", "priority", "fast")


@dataclass(frozen=True)
class PriceQuote:
    """The rates of a model, or similar names if the model is unknown."""

    model: str
    provider: str | None
    at: datetime
    rates: pl.DataFrame  # RATES; empty where the model is unknown
    suggestions: tuple[str, ...]  # only if the model is unknown


def price_of(
    model: str,
    provider: str | None = None,
    *,
    at: datetime,
    region: str | None = None,
    overrides: Path | None = None,
) -> PriceQuote:
    """Return a model's rates at a moment, for every tier and context band."""
    user = read_overlay(overrides) if overrides else None
    rows: list[tuple[object, ...]] = []
    for tier in _TIERS:
        key = PriceKey(provider or None, model, tier, tier == BATCH, region)
        card = rate_card(key, user)
        if card:
            rows += _rows(key, card, at.astimezone(UTC), len(rows))
    rates = pl.DataFrame(rows, schema=RATES, orient="row")
    return PriceQuote(model, provider, at, rates, () if rows else similar_models(provider, model))


def _rows(key: PriceKey, card: RateCard, at: datetime, first_id: int) -> list[tuple[object, ...]]:
    second = at.hour * 3600 + at.minute * 60 + at.second
    numbers = [card.first_equal(card.number(at.date(), second, band + 1)) for band in card.bands]
    priced = [number for number in dict.fromkeys(numbers) if card.cells[number]]
    return [rate_row(first_id + i, key, card, number, "") for i, number in enumerate(priced)]
