"""Corrections of the price table: costaudit's own overlay and the user's prices.toml."""

import tomllib
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from costaudit.contracts.requests import UnitName
from costaudit.errors import InputError


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The conditions that every entry can have."""

    provider: str = "*"  # glob
    models: tuple[str, ...] = ("*",)  # globs; case does not matter
    without: tuple[str, ...] = ()  # globs of models to which it does not apply
    since: date | None = None
    until: date | None = None  # the last day
    source: str = ""

    def covers(self, provider: str, model: str, day: date) -> bool:
        """Return whether the entry applies to a model on a day."""
        return (
            fnmatchcase(provider.lower(), self.provider.lower())
            and any(fnmatchcase(model.lower(), glob.lower()) for glob in self.models)
            and not any(fnmatchcase(model.lower(), glob.lower()) for glob in self.without)
            and (self.since is None or day >= self.since)
            and (self.until is None or day <= self.until)
        )

    def names(self, provider: str, model: str) -> bool:
        """Return whether the entry applies to a model on any day."""
        return self.covers(provider, model, self.since or self.until or date.min)


class Variant(Entry, frozen=True, kw_only=True):
    """A service tier or batch, as multiples of the standard rates.

    If a model has no rate for cache reads, `input` applies to them.
    """

    variant: str  # batch | flex | priority | fast
    input: Decimal
    cache_read: Decimal
    cache_write: Decimal
    output: Decimal


class Region(Entry, frozen=True, kw_only=True):
    """A surcharge for the region that processed a request."""

    regions: tuple[str, ...]  # globs
    multiplier: Decimal


class OfInput(Entry, frozen=True, kw_only=True):
    """The rate of cache reads, or of longer-lived writes, as a multiple of the input rate."""

    of_input: Decimal


class Flat(Entry, frozen=True, kw_only=True):
    """Days on which rates are the same at all hours."""

    weekends: bool = False  # Saturdays and Sundays only


class Price(Entry, frozen=True, kw_only=True):
    """The user's own rates, in USD per million tokens."""

    input_per_mtok: Decimal
    output_per_mtok: Decimal
    cache_read_per_mtok: Decimal | None = None  # None: as input
    cache_write_5m_per_mtok: Decimal | None = None
    cache_write_1h_per_mtok: Decimal | None = None
    cache_write_other_per_mtok: Decimal | None = None
    over_tokens: int = 0
    variant: str = ""  # "" is the standard tier


class Alias(Entry, frozen=True, kw_only=True):
    """Another name of a model in the price table, such as a deployment's name."""

    use_provider: str
    use_model: str


class Discount(Entry, frozen=True, kw_only=True):
    """A negotiated multiplier of all rates, such as 0.85."""

    multiplier: Decimal


class UnitPrice(Entry, frozen=True, kw_only=True):
    """The price of a billed unit beyond text tokens, such as a search."""

    unit: UnitName
    usd: Decimal
    per: Decimal = Decimal(1)  # units that cost `usd` together


class Overlay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One TOML file of corrections; the first entry that applies is used."""

    checked: date | None = None  # the day of the last check
    source: str = "prices.toml"
    variant: tuple[Variant, ...] = ()
    region: tuple[Region, ...] = ()
    cache_read: tuple[OfInput, ...] = ()
    write_1h: tuple[OfInput, ...] = ()
    write_12h: tuple[OfInput, ...] = ()
    flat: tuple[Flat, ...] = ()
    price: tuple[Price, ...] = ()
    alias: tuple[Alias, ...] = ()
    discount: tuple[Discount, ...] = ()
    unit: tuple[UnitPrice, ...] = ()

    def cuts(self, provider: str) -> set[date]:
        """Return the days on which an entry for a provider starts or stops applying."""
        entries: tuple[Entry, ...] = (
            *self.variant, *self.region, *self.cache_read, *self.write_1h, *self.write_12h,
            *self.flat, *self.price, *self.alias, *self.discount,
        )  # fmt: skip
        here = [e for e in entries if fnmatchcase(provider.lower(), e.provider.lower())]
        begins = {entry.since for entry in here if entry.since}
        ends = {date.fromordinal(e.until.toordinal() + 1) for e in here if e.until}
        return begins | ends


_ENTRIES: dict[str, type[Entry]] = {
    "variant": Variant,
    "region": Region,
    "cache_read": OfInput,
    "write_1h": OfInput,
    "write_12h": OfInput,
    "flat": Flat,
    "price": Price,
    "alias": Alias,
    "discount": Discount,
    "unit": UnitPrice,
}


@cache
def shipped_overlay() -> Overlay:
    """Read the overlay that costaudit ships."""
    text = files("costaudit.costing.prices").joinpath("overlay.toml").read_text("utf-8")
    return _parse(text)


def read_overlay(path: Path) -> Overlay:
    """Read a user's prices.toml; raises InputError if it can't be read or understood."""
    try:
        text = path.read_text("utf-8")
        _refuse_unknown(tomllib.loads(text), path)
        overlay = _parse(text)
        _refuse_negative(overlay)
        return overlay
    except OSError as error:
        raise InputError(
            f"The price file {path} can't be read: {error.strerror}.",
            hint="Check the path given with --prices.",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise InputError(
            f"The price file {path} can't be understood: {error}.",
            hint='Write amounts as strings, such as input_per_mtok = "2.50".',
        ) from None


def _parse(text: str) -> Overlay:
    return msgspec.convert(tomllib.loads(text, parse_float=Decimal), Overlay, strict=False)


def _refuse_unknown(document: dict[str, Any], path: Path) -> None:
    _check_keys(document, Overlay, f"{path}")
    for name, kind in _ENTRIES.items():
        entries = document.get(name)
        for number, entry in enumerate(entries if isinstance(entries, list) else (), 1):
            if isinstance(entry, dict):
                _check_keys(entry, kind, f"{path}, [[{name}]] number {number},")


def _check_keys(table: dict[str, Any], kind: type[msgspec.Struct], where: str) -> None:
    known = kind.__struct_fields__
    for key in table:
        if key not in known:
            nearest = get_close_matches(key, known, n=1)
            meant = f"Did you mean {nearest[0]}? " if nearest else ""
            raise InputError(
                f"The price file {where} has an unknown key {key!r}.",
                hint=f"{meant}Keys are {', '.join(known)}.",
            )


def _refuse_negative(overlay: Overlay) -> None:
    amounts = [
        amount
        for entry in _priced_entries(overlay)
        for amount in msgspec.structs.asdict(entry).values()
        if isinstance(amount, Decimal)
    ]
    if any(not amount.is_finite() or amount < 0 for amount in amounts):
        raise msgspec.ValidationError("an amount is negative or not a number")
    if any(entry.per == 0 for entry in overlay.unit):
        raise msgspec.ValidationError("`per` of a [[unit]] is 0")


def _priced_entries(overlay: Overlay) -> tuple[Entry, ...]:
    return (
        *overlay.price, *overlay.discount, *overlay.variant, *overlay.region, *overlay.unit,
        *overlay.cache_read, *overlay.write_1h, *overlay.write_12h,
    )  # fmt: skip
