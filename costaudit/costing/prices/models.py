"""Find the model that a logged name means in the two price tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Protocol

from costaudit.costing.prices.names import Spelling, head_provider, spellings
from costaudit.costing.prices.price_table import (
    TableModel,
    TablePrice,
    find_first,
    openrouter_name,
)
from costaudit.costing.prices.second_table import find_by_tail, find_for_units, find_second
from costaudit.providers.names import provider_named

_PATHS = {"fireworks": "accounts/fireworks/models/"}
_SAME_PRICE = re.compile(r"(gpt|chatgpt|claude|text-embedding|o\d)\b")  # same price on Azure
_SAME_MODEL = re.compile(  # suffixes after which a name still means the same model
    r"[-@:.](latest|preview|exp|beta|stable|default|v?\d[\w.:@-]*|[a-z]+-\d{4,}|thinking|reasoning)?"
)


class Listed(Protocol):
    """A model of a price table."""

    provider: str
    name: str

    @property
    def source(self) -> str:
        """Return the table's name."""

    def days(self) -> set[date]:
        """Return the first day of each rate period."""

    def seconds(self) -> set[int]:
        """Return the seconds of the day, in UTC, at which the rates change."""

    def bands(self) -> set[int]:
        """Return the numbers of input tokens above which the rates change."""

    def price(self, variant: str, day: date, second: int, band: int) -> TablePrice | None:
        """Return the rates of a variant; None if the table has none."""

    def unit_rate(self, name: str, at: datetime) -> Decimal | None:
        """Return the standard price of a kind of unit; None if the table has none."""


@dataclass(frozen=True)
class Found:
    """A model in the table that prices it, and in the second table."""

    model: Listed
    other: Listed | None  # in the second table, if the first one prices it
    times: Decimal  # multiplies the listed rates
    note: str


@lru_cache(maxsize=4096)
def find_model(provider: str | None, model: str, region: str | None = None) -> Found | None:
    """Return the table entry of a model, looked up by its full name, then by shorter ones.

    Each name is looked up in the first table before the second one, which knows exact names only.
    The name says the provider only if `provider` is None or unknown to the tables.
    """
    named = provider_named(provider) if provider else None
    headed, rest = head_provider(model)
    tries = [(named, model)] if named else [(headed, rest) if headed else (None, model)]
    if named and headed and headed != named:
        tries.append((headed, rest))
    for whose, name in tries:
        found = _search(whose, name, region)
        if found:
            return found
    return None


def find_unit_tables(provider: str, model: str, region: str | None = None) -> Iterator[Listed]:
    """Yield each entry of either table for a model, also if it prices units and no tokens."""
    named = provider_named(provider)
    for spelling in spellings(named, model, region):
        listed = None if spelling.is_placed else find_first(named, spelling.name)
        if listed and not listed.is_borrowed:
            yield listed
        if second := find_for_units(named, spelling.name):
            yield second


def _search(provider: str | None, model: str, region: str | None) -> Found | None:
    other: Listed | None = None
    first: tuple[Listed, Spelling] | None = None
    for spelling in spellings(provider or "", model, region):
        second = _second(provider, spelling.name) if provider else None
        listed = first is None and _first(provider, spelling)
        if first is None and listed:
            first = listed, spelling
        if second:
            other = other or second
            if first is None or (first[1] is spelling and _is_better(first[0], spelling.name)):
                return Found(second, None, spelling.times, spelling.note)
        if first and other:
            break
    if first is None:
        return None
    return Found(first[0], other, first[1].times, first[1].note)


def _is_better(first: Listed, name: str) -> bool:
    """Return whether the second table's entry fits a name better than the first table's.

    It does if the first table's price belongs to another platform, to an alias without a date, or
    to a model whose name is only the beginning of this one.
    """
    assert isinstance(first, TableModel)
    if first.is_borrowed and not _SAME_PRICE.match(name):
        return first.provider == "azure"
    if name.endswith("-latest") and not first.days() and first.name != name:
        return True
    rest = name.removeprefix(first.name.lower())
    return rest not in ("", name) and _SAME_MODEL.fullmatch(rest) is None


def _first(provider: str | None, spelling: Spelling) -> TableModel | None:
    if spelling.is_placed:
        return None
    found = find_first(provider, spelling.name)
    if found and not found.has_price:
        return None
    if found is None and provider == "openrouter" and "/" not in spelling.name:
        name = openrouter_name(spelling.name)
        return find_first(provider, name) if name else None
    return found


def _second(provider: str, name: str) -> Listed | None:
    found = find_second(provider, _PATHS.get(provider, "") + name) or find_second(provider, name)
    return found or (find_by_tail(provider, name) if "/" not in name else None)
