"""Every rate that one price key can meet, by day, time of day and context band."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache

from costaudit.costing.prices.overlay import Entry, Overlay, Price, shipped_overlay
from costaudit.costing.prices.price_table import (
    STANDARD,
    Rates,
    TableModel,
    find_model,
    table_source,
    variant_of,
)


@dataclass(frozen=True)
class PriceKey:
    """What decides a price besides the day, the time and the number of tokens."""

    provider: str | None
    model: str | None
    service_tier: str | None
    is_batch: bool | None
    region: str | None

    @property
    def variant(self) -> str:
        """Name the price variant: "" for standard, batch, flex, ..."""
        return variant_of(self.service_tier, self.is_batch)


@dataclass(frozen=True)
class RateCell:
    """Rates in force together, with where they come from."""

    rates: Rates
    source: str
    note: str
    given: bool = False  # by the user


@dataclass(frozen=True)
class RateCard:
    """Cells over (day, second of the day, band); each axis starts at its lowest value."""

    priced_as: str
    days: tuple[date, ...]
    seconds: tuple[int, ...]
    bands: tuple[int, ...]  # total input above this
    cells: tuple[RateCell | None, ...]  # day-major; None where no price is known

    def number(self, day: date, second: int, input_tokens: int) -> int:
        """Number the cell that prices a request."""
        d = bisect_right(self.days, day) - 1
        s = bisect_right(self.seconds, second) - 1
        b = bisect_right(self.bands, max(input_tokens, 1) - 1) - 1
        return (d * len(self.seconds) + s) * len(self.bands) + b

    def first_equal(self, number: int) -> int:
        """Walk back over bands, then days, while the rates stay the same."""
        step = len(self.bands)
        while number % step and self.cells[number - 1] == self.cells[number]:
            number -= 1
        step *= len(self.seconds)
        while number >= step and self.cells[number - step] == self.cells[number]:
            number -= step
        return number


@lru_cache(maxsize=4096)
def rate_card(key: PriceKey, user: Overlay | None) -> RateCard | None:
    """Collect every rate of a key; None where neither the table nor the user knows the model."""
    named = _Named.find(key, user)
    if named is None:
        return None
    shipped = shipped_overlay()
    overlays = (user, shipped) if user else (shipped,)
    cuts = set[date]().union(*(overlay.cuts(named.provider) for overlay in overlays))
    bands = {0, *(price.over_tokens for price in user.price)} if user else {0}
    seconds = {0}
    if named.table:
        cuts |= named.table.days()
        bands |= named.table.bands()
        seconds |= named.table.seconds()
    days = (date.min, *sorted(cuts))
    cells = tuple(
        _cell(key, named, overlays, day, second, band)
        for day in days
        for second in sorted(seconds)
        for band in sorted(bands)
    )
    if all(cell is None for cell in cells):
        return None
    return RateCard(named.priced_as, days, tuple(sorted(seconds)), tuple(sorted(bands)), cells)


@dataclass(frozen=True)
class _Named:
    """A key's model under the names that prices are looked up by."""

    provider: str
    model: str  # as logged
    priced_as: str
    table: TableModel | None
    own: tuple[Price, ...]  # the user's own rates for it, whatever their day

    @staticmethod
    def find(key: PriceKey, user: Overlay | None) -> "_Named | None":
        provider, model = key.provider or "", key.model or ""
        if not model:
            return None
        target = _alias(provider, model, user)
        table = find_model(*(target or (key.provider, model)))
        known = table.name if table else model
        at = table.provider if table else provider
        names = {(provider, model), (at, known)}
        own = tuple(p for p in (user.price if user else ()) if any(_named(p, *n) for n in names))
        return _Named(at, model, known, table, own) if table or own else None

    def covered(self, entry: Entry, day: date) -> bool:
        return entry.covers(self.provider, self.priced_as, day) or entry.covers(
            self.provider, self.model, day
        )


def _alias(provider: str, model: str, user: Overlay | None) -> tuple[str | None, str] | None:
    for alias in user.alias if user else ():
        if _named(alias, provider, model):
            return alias.use_provider, alias.use_model
    return None


def _named(entry: Entry, provider: str, model: str) -> bool:
    return entry.covers(provider, model, entry.since or entry.until or date.min)


def _cell(
    key: PriceKey,
    named: _Named,
    overlays: Sequence[Overlay],
    day: date,
    second: int,
    band: int,
) -> RateCell | None:
    cell = _own_cell(named, overlays[0], key.variant, day, band)
    if cell is None:
        cell = _table_cell(named, key.variant, day, second, band)
    if cell is None and key.variant != STANDARD:
        cell = _variant_cell(key.variant, named, overlays, day, second, band)
    if cell is None:
        return None
    return _discounted(_in_region(cell, key.region, named, overlays, day), named, overlays, day)


def _own_cell(named: _Named, user: Overlay, variant: str, day: date, band: int) -> RateCell | None:
    matching = [
        price
        for price in named.own
        if price.variant == variant
        and price.over_tokens <= band
        and (price.since is None or price.since <= day)
        and (price.until is None or day <= price.until)
    ]
    if not matching:
        return None
    price = max(matching, key=lambda p: (p.since or date.min, p.over_tokens))
    plain = price.input_per_mtok
    write = _or(price.cache_write_5m_per_mtok, plain)
    rates = (
        plain,
        _or(price.cache_read_per_mtok, plain),
        write,
        _or(price.cache_write_1h_per_mtok, write),
        _or(price.cache_write_other_per_mtok, write),
        price.output_per_mtok,
    )
    note = "" if price.cache_read_per_mtok is not None else "cache reads priced as input"
    return RateCell(rates, price.source or user.source, note, given=True)


def _or(amount: Decimal | None, default: Decimal) -> Decimal:
    return default if amount is None else amount


def _table_cell(named: _Named, variant: str, day: date, second: int, band: int) -> RateCell | None:
    price = named.table.price(variant, day, second, band) if named.table else None
    if price is None:
        return None
    cell = RateCell(price.rates, table_source(), price.note)
    if price.has_write_1h:
        return cell
    for entry in shipped_overlay().write_1h:
        if named.covered(entry, day):
            *before, _, other, output = price.rates
            write_1h = price.rates[0] * entry.of_input
            rates = (before[0], before[1], before[2], write_1h, other, output)
            return _noted(cell, rates, entry.source)
    return cell


def _variant_cell(
    variant: str,
    named: _Named,
    overlays: Sequence[Overlay],
    day: date,
    second: int,
    band: int,
) -> RateCell | None:
    standard = _own_cell(named, overlays[0], STANDARD, day, band)
    standard = standard or _table_cell(named, STANDARD, day, second, band)
    if standard is None:
        return None
    for overlay in overlays:
        for entry in overlay.variant:
            if entry.variant == variant and named.covered(entry, day):
                writes = entry.cache_write
                cached = standard.rates[1] != standard.rates[0]
                reads = entry.cache_read if cached else entry.input
                times = (entry.input, reads, writes, writes, writes, entry.output)
                return _noted(standard, _scaled(standard.rates, times), entry.source)
    return None


def _in_region(
    cell: RateCell, region: str | None, named: _Named, overlays: Sequence[Overlay], day: date
) -> RateCell:
    for overlay in overlays:
        for entry in overlay.region:
            here = any(fnmatchcase((region or "").lower(), glob.lower()) for glob in entry.regions)
            if region and here and named.covered(entry, day):
                return _noted(cell, _scaled(cell.rates, (entry.multiplier,) * 6), entry.source)
    return cell


def _discounted(cell: RateCell, named: _Named, overlays: Sequence[Overlay], day: date) -> RateCell:
    for overlay in overlays:
        for entry in overlay.discount:
            if named.covered(entry, day):
                source = entry.source or f"{overlay.source}: x {entry.multiplier}"
                scaled = _noted(cell, _scaled(cell.rates, (entry.multiplier,) * 6), source)
                return replace(scaled, given=True)
    return cell


def _scaled(rates: Rates, times: Sequence[Decimal]) -> Rates:
    a, b, c, d, e, f = (rate * factor for rate, factor in zip(rates, times, strict=True))
    return (a, b, c, d, e, f)


def _noted(cell: RateCell, rates: Rates, source: str) -> RateCell:
    return replace(cell, rates=rates, source=f"{cell.source}; {source}" if source else cell.source)
