"""Find the entries of a user's prices.toml that match no call of the log."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain

import polars as pl

from costaudit.contracts.run_dir import column
from costaudit.costing.prices.overlay import Entry, Overlay, UnitPrice
from costaudit.costing.prices.rate_card import PriceKey, names_of

_KINDS = ("price", "discount", "alias", "unit", "variant", "region", "cache_read", "write_1h",
          "write_12h", "flat")  # fmt: skip
_MOST = 5  # entries that are named
_SIMILAR = 0.8  # of difflib: one or two letters apart

Name = tuple[str, str]  # provider, model


@dataclass(frozen=True)
class Billed:
    """What calls are billed by."""

    keys: frozenset[PriceKey]  # without tier, batch and lifetime
    units: frozenset[str]

    @classmethod
    def of(cls, requests: pl.DataFrame) -> "Billed":
        """Return what REQUESTS are billed by."""
        rows = requests.select(pl.col("provider", "model").cast(pl.String), "region").unique()
        keys = (PriceKey(provider, model, None, None, at) for provider, model, at in rows.rows())
        return cls(frozenset(keys), frozenset(_units(requests)))


def unused_entries(parts: Iterable[Billed], user: Overlay) -> tuple[str, ...]:
    """Return a sentence for each entry whose provider, models or unit no call has.

    The days of an entry do not matter: a list of earlier prices is no mistake. Each sentence names
    a similar provider or model of the log if no other entry of the kind matches it.
    """
    every = list(parts)
    keys = frozenset().union(*(one.keys for one in every))
    units = frozenset().union(*(one.units for one in every))
    names = set(chain.from_iterable(names_of(key, user) for key in keys))
    logged = {(key.provider or "", key.model or "") for key in keys}
    found = []
    for kind in _KINDS:
        entries: tuple[Entry, ...] = getattr(user, kind)
        known = logged if kind in ("alias", "unit") else names
        left = {one for one in known if not any(entry.names(*one) for entry in entries)}
        for number, entry in enumerate(entries, 1):
            bills = not isinstance(entry, UnitPrice) or entry.unit in units
            if not bills or not any(entry.names(*one) for one in known):
                found.append(_sentence(f"[[{kind}]] {number}", entry, left))
    if len(found) <= _MOST + 1:
        return tuple(found)
    return (*found[:_MOST], f"{len(found) - _MOST:,} more entries of your prices match no call.")


def _units(requests: pl.DataFrame) -> set[str]:
    """Return the units that calls are billed for."""
    if "billed_units" not in requests.columns:
        return set()
    units = column(requests, "billed_units").drop_nulls().explode().drop_nulls()
    return set(units.struct.field("unit").cast(pl.String).unique()) if len(units) else set()


def _sentence(place: str, entry: Entry, left: set[Name]) -> str:
    models = ", ".join(f'"{name}"' for name in entry.models)
    told = [
        *([f'unit = "{entry.unit}"'] if isinstance(entry, UnitPrice) else ()),
        *([f'provider = "{entry.provider}"'] if entry.provider != "*" else ()),
        *([f"models = [{models}]"] if entry.models != ("*",) else ()),
    ]
    named = f"{place} ({', '.join(told)})" if told else place
    similar = next(_similar(entry, left), "")
    if similar:
        return f"No call of this log matches {named}; did you mean {similar}?"
    return f"No call of this log matches {named}."


def _similar(entry: Entry, left: set[Name]) -> Iterator[str]:
    """Yield the log's names that are spelled nearly like those that the entry has."""
    for place, wanted in ((0, (entry.provider,)), (1, entry.models)):
        known = {one[place].lower(): one[place] for one in sorted(left) if one[place]}
        for name in wanted:
            close = get_close_matches(name.strip().lower(), list(known), 1, _SIMILAR)
            yield from (known[one] for one in close if known[one] != name)
