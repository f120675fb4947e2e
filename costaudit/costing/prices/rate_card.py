"""All rates of one price key, by day, time of day and context band."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache

from costaudit.costing.prices.models import Found, Listed, find_model
from costaudit.costing.prices.overlay import Entry, Overlay, Price, shipped_overlay
from costaudit.costing.prices.price_table import STANDARD, Rates, TablePrice, variant_of
from costaudit.costing.prices.sanity import QUESTIONED, doubts


@dataclass(frozen=True)
class PriceKey:
    """Everything that decides a price except the day, the time and the number of tokens."""

    provider: str | None
    model: str | None
    service_tier: str | None
    is_batch: bool | None
    region: str | None
    write_ttl: str | None = None  # 12h if cache_write_other tokens live 12 hours

    @property
    def variant(self) -> str:
        """Return the price variant: "" for standard, batch, flex and so on."""
        return variant_of(self.service_tier, self.is_batch)


@dataclass(frozen=True)
class RateCell:
    """Rates that apply together, with their source."""

    rates: Rates
    source: str
    note: str
    given: bool = False  # the user set them


@dataclass(frozen=True)
class RateCard:
    """Rates by (day, second of the day, band); each axis starts at its lowest value."""

    priced_as: str
    days: tuple[date, ...]
    seconds: tuple[int, ...]
    bands: tuple[int, ...]  # lower bounds, in tokens of total input
    cells: tuple[RateCell | None, ...]  # day-major; None without a known price
    flat_weekends_since: date = date.max  # from here, weekends cost the rates of midnight

    def number(self, day: date, second: int, input_tokens: int) -> int:
        """Return the number of the cell that prices a request."""
        d = bisect_right(self.days, day) - 1
        is_flat = day.weekday() >= 5 and day >= self.flat_weekends_since
        s = 0 if is_flat else bisect_right(self.seconds, second) - 1
        b = bisect_right(self.bands, max(input_tokens, 1) - 1) - 1
        return (d * len(self.seconds) + s) * len(self.bands) + b

    def first_equal(self, number: int) -> int:
        """Return the first cell with the same rates, going back over bands, then days."""
        step = len(self.bands)
        while number % step and self.cells[number - 1] == self.cells[number]:
            number -= 1
        step *= len(self.seconds)
        while number >= step and self.cells[number - step] == self.cells[number]:
            number -= step
        return number


@lru_cache(maxsize=4096)
def rate_card(key: PriceKey, user: Overlay | None) -> RateCard | None:
    """Return all rates of a key; None if no table and no user price has the model."""
    named = _Named.find(key, user)
    if named is None:
        return None
    shipped = shipped_overlay()
    overlays = (user, shipped) if user else (shipped,)
    cuts = set[date]().union(*(overlay.cuts(named.provider) for overlay in overlays))
    bands = {0, *(price.over_tokens for price in user.price)} if user else {0}
    seconds = {0}
    for table in named.tables:
        cuts |= table.days()
        bands |= table.bands()
        seconds |= table.seconds()
    days = (date.min, *sorted(cuts))
    cells = tuple(
        _cell(key, named, overlays, day, second, band)
        for day in days
        for second in sorted(seconds)
        for band in sorted(bands)
    )
    if all(cell is None for cell in cells):
        return None
    return RateCard(
        named.priced_as,
        days,
        tuple(sorted(seconds)),
        tuple(sorted(bands)),
        cells,
        _flat_weekends(named, shipped),
    )


def _flat_weekends(named: "_Named", overlay: Overlay) -> date:
    since = [e.since or date.min for e in overlay.flat if e.weekends and _names(named, e)]
    return min(since, default=date.max)


def _names(named: "_Named", entry: Entry) -> bool:
    return named.covered(entry, entry.since or entry.until or date.min)


def names_of(key: PriceKey, user: Overlay | None) -> set[tuple[str, str]]:
    """Return each provider and model by which the entries for a key are looked up."""
    named = _Named.find(key, user)
    found = {(named.provider, named.priced_as), (named.provider, named.model)} if named else set()
    return found | {(key.provider or "", key.model or "")}


@dataclass(frozen=True)
class _Named:
    """A key's model, under each name by which prices are looked up."""

    provider: str
    model: str  # as logged
    priced_as: str
    found: Found | None
    own: tuple[Price, ...]  # the user's own rates for it, of any day

    @staticmethod
    def find(key: PriceKey, user: Overlay | None) -> "_Named | None":
        provider, model = key.provider or "", key.model or ""
        if not model:
            return None
        target = _alias(provider, model, user)
        found = find_model(*(target or (key.provider, model)), key.region)
        known = found.model.name if found else model
        at = found.model.provider if found else provider
        names = {(provider, model), (at, known)}
        own = tuple(p for p in (user.price if user else ()) if any(p.names(*n) for n in names))
        return _Named(at, model, known, found, own) if found or own else None

    @property
    def tables(self) -> tuple[Listed, ...]:
        """Return the model's entry in each table; the table that prices it comes first."""
        if self.found is None:
            return ()
        return tuple(one for one in (self.found.model, self.found.other) if one)

    def covered(self, entry: Entry, day: date) -> bool:
        return entry.covers(self.provider, self.priced_as, day) or entry.covers(
            self.provider, self.model, day
        )


def _alias(provider: str, model: str, user: Overlay | None) -> tuple[str | None, str] | None:
    for alias in user.alias if user else ():
        if alias.names(provider, model):
            return alias.use_provider, alias.use_model
    return None


def _cell(
    key: PriceKey,
    named: _Named,
    overlays: Sequence[Overlay],
    day: date,
    second: int,
    band: int,
) -> RateCell | None:
    if any(not e.weekends and named.covered(e, day) for e in shipped_overlay().flat):
        second = 0
    cell = _own_cell(named, overlays, key.variant, day, band)
    if cell is None:
        cell = _table_cell(named, key.variant, day, second, band)
    if cell is None and key.variant != STANDARD:
        cell = _variant_cell(key.variant, named, overlays, day, second, band)
    if cell is None:
        return None
    if key.write_ttl == "12h":
        cell = _with_long_writes(cell)
    return _discounted(_in_region(cell, key.region, named, overlays, day), named, overlays, day)


def _with_long_writes(cell: RateCell) -> RateCell:
    """Price cache_write_other tokens like the longest-lived writes."""
    a, b, c, long, _, f = cell.rates
    note = "; ".join(part for part in (cell.note, "writes that live 12 hours") if part)
    return replace(cell, rates=(a, b, c, long, long, f), note=note)


def _own_cell(
    named: _Named, overlays: Sequence[Overlay], variant: str, day: date, band: int
) -> RateCell | None:
    """Return the user's rates of a model, or else the shipped overlay's."""
    *given, shipped = overlays
    for user in given:
        own = _stated(named.own, user, variant, day, band)
        if own:
            usual = _table_cell(named, variant, day, 0, band)
            told = doubts(own.rates, usual.rates if usual else None)
            return replace(own, note="; ".join(part for part in (own.note, told) if part))
    listed = [p for p in shipped.price if named.covered(p, day)]
    cell = _stated(listed, shipped, variant, day, band)
    return replace(cell, given=False) if cell else None


def _stated(
    prices: Sequence[Price], overlay: Overlay, variant: str, day: date, band: int
) -> RateCell | None:
    matching = [
        price
        for price in prices
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
    return RateCell(rates, price.source or overlay.source, note, given=True)


def _or(amount: Decimal | None, default: Decimal) -> Decimal:
    return default if amount is None else amount


def _table_cell(named: _Named, variant: str, day: date, second: int, band: int) -> RateCell | None:
    """Return the tables' rates; the second table adds what the first one lacks."""
    if named.found is None:
        return None
    model, times = named.found.model, named.found.times
    price = model.price(variant, day, second, band)
    if price is None:
        return _other_variant(named, variant, day, second, band)
    long = _band_of_other(named.found, variant, day, second, band)
    if long:
        return long
    note = "; ".join(part for part in (price.note, named.found.note) if part)
    cell = RateCell(_scaled(price.rates, (times,) * 6), model.source, note)
    if not price.has_read:
        cell = _read_from_other(cell, named.found, price, variant, band)
    return _corrected(cell, named, day, has_write_1h=price.has_write_1h)


def _band_of_other(
    found: Found, variant: str, day: date, second: int, band: int
) -> RateCell | None:
    """Price a long prompt by the second table if the first one has no bands for the model.

    Both tables must have the same input rate for short prompts.
    """
    other = found.other
    if not band or other is None or found.model.bands() or not other.bands():
        return None
    mine, base, long = (
        table.price(variant, day, second, over)
        for table, over in ((found.model, 0), (other, 0), (other, band))
    )
    if not (mine and base and long) or mine.rates[0] != base.rates[0]:
        return None
    rates = _scaled(long.rates, (found.times,) * 6)
    return RateCell(rates, f"{found.model.source}; long prompts by {other.source}", long.note)


def _other_variant(
    named: _Named, variant: str, day: date, second: int, band: int
) -> RateCell | None:
    """Price a tier that only the second table has, as a multiple of the standard rates."""
    found = named.found
    if found is None or found.other is None or variant == STANDARD or _ruled(named, variant):
        return None
    standard = _table_cell(named, STANDARD, day, second, band)
    plain, tier = (found.other.price(name, day, second, band) for name in (STANDARD, variant))
    if standard is None or plain is None or tier is None or not all(plain.rates):
        return None
    times = [mine / base for mine, base in zip(tier.rates, plain.rates, strict=True)]
    if not tier.has_read:
        times[1] = times[0] * plain.rates[0] / plain.rates[1]
    return _noted(standard, _scaled(standard.rates, times), f"tier by {found.other.source}")


def _ruled(named: _Named, variant: str) -> bool:
    """Return whether the shipped overlay has an entry for this tier of the model."""
    return any(e.variant == variant and _names(named, e) for e in shipped_overlay().variant)


def _read_from_other(
    cell: RateCell, found: Found, price: TablePrice, variant: str, band: int
) -> RateCell:
    """Take the rate of cache reads from the second table if both have the same input rate."""
    other = found.other.price(variant, date.max, 0, band) if found.other else None
    if not (found.other and other and other.has_read) or other.rates[0] != price.rates[0]:
        return cell
    a, _, c, d, e, f = cell.rates
    read = other.rates[1] * found.times
    told = _noted(cell, (a, read, c, d, e, f), f"cache reads by {found.other.source}")
    return replace(told, note=found.note)


def _corrected(cell: RateCell, named: _Named, day: date, *, has_write_1h: bool) -> RateCell:
    """Apply the shipped overlay's rates of cache reads and of long-lived writes."""
    shipped = shipped_overlay()
    plain, read, write, long, other, output = cell.rates
    for entry in shipped.cache_read:
        if named.covered(entry, day):
            cell = _noted(
                cell, (plain, plain * entry.of_input, write, long, other, output), entry.source
            )
            read = cell.rates[1]
            break
    for entry in () if has_write_1h else (*shipped.write_1h, *shipped.write_12h):
        if named.covered(entry, day):
            rates = (plain, read, write, plain * entry.of_input, other, output)
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
    standard = _own_cell(named, overlays, STANDARD, day, band)
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
                times = entry.multiplier
                source = entry.source or f"{overlay.source}: x {times}"
                scaled = _noted(cell, _scaled(cell.rates, (times,) * 6), source)
                told = f"{QUESTIONED}a multiplier of {times}" if not 0 < times <= 2 else ""
                note = "; ".join(part for part in (scaled.note, told) if part)
                return replace(scaled, given=True, note=note)
    return cell


def _scaled(rates: Rates, times: Sequence[Decimal]) -> Rates:
    a, b, c, d, e, f = (rate * factor for rate, factor in zip(rates, times, strict=True))
    return (a, b, c, d, e, f)


def _noted(cell: RateCell, rates: Rates, source: str) -> RateCell:
    return replace(cell, rates=rates, source=f"{cell.source}; {source}" if source else cell.source)
