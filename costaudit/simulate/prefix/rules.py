"""Providers' prompt-caching rules, by model and date, as data."""

import datetime
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from costaudit.errors import UsageError

TTLS = ("5m", "1h", "30m", "12h")


@dataclass(frozen=True)
class Rules:
    """How one prompt cache treats one model on one day."""

    name: str  # of the rule set
    label: str  # for people
    matching: Literal["breakpoints", "tokens", "none"]
    min_tokens: int  # shortest prefix that is cached
    ttl_s: tuple[tuple[str, int], ...]  # seconds that an unused entry lives, by marker
    default_ttl: str  # of a marker that names none
    write_ttls: tuple[str, ...]  # markers that can be asked for; () where caching is automatic
    markers: Literal["explicit", "implicit", "none"]  # implicit: one is set by the provider
    max_markers: int  # cache writes in one request
    lookback_positions: int  # content blocks searched back from a marker; 0: markers only
    lookback_endings: int  # message endings searched back; implicit markers only
    first_markers: int  # markers from the first at which a read may land; implicit markers only
    latest_markers: int  # and from the last
    granularity: int  # reported reads are rounded down to a multiple of this many tokens
    interval_tokens: int  # prefixes are stored at multiples of this many tokens
    persisted_units: bool  # stored at ends of prompts and where two prompts were seen to part
    visible_after: Literal["first_byte", "response_end"]
    best_effort: bool  # the provider promises nothing: a simulation is an upper bound
    read_mult: str  # decimal: price of a read over that of uncached input
    write_mult: tuple[tuple[str, str], ...]  # decimal, by marker; () where writes are free
    sources: tuple[str, ...]
    unconfirmed: tuple[str, ...]  # sentences: what no vendor document confirms

    def granted(self, marker: str) -> str:
        """Name the lifetime that the provider grants for a marker: its own, or the default."""
        if not self.write_ttls:
            return ""
        return marker if marker in self.write_ttls else self.default_ttl

    def ttl_seconds(self, marker: str) -> int:
        """Give the lifetime that a marker asks for, of the default where it can't be had."""
        table = dict(self.ttl_s)
        return table.get(marker) or table.get(self.default_ttl) or max(table.values(), default=0)


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("rules.toml").read_text("utf-8"))


def load_rules() -> tuple[dict[str, Any], ...]:
    """Read the rule sets, in the order in which they are tried."""
    return tuple(_document()["rules"])


def rules_date() -> datetime.date:
    """Give the day up to which the rule sets are known."""
    date = _document()["as_of"]
    assert isinstance(date, datetime.date)
    return date


@cache
def rules_for(
    provider: str, model: str, date: datetime.date, batch: bool = False, marked: bool = True
) -> Rules:
    """Find the rules for a provider's model on a day; `none` where no rule set matches.

    `marked` tells whether the request sets markers, where that chooses between two caches.
    """
    for entry in load_rules():
        if _applies(entry, provider, model, date) and _fits(entry, batch, marked):
            return _rules(entry, model, date)
    return _rules({"name": "none", "label": "No prompt cache known", "matching": "none"}, "", date)


@cache
def named_rules(name: str, model: str, date: datetime.date) -> Rules:
    """Give a rule set by its name, as it would treat a model; raises UsageError for another name.

    A model that the rule set does not know is treated by its defaults.
    """
    for entry in load_rules():
        if entry["name"] == name:
            return _rules(entry, model, date)
    names = ", ".join(entry["name"] for entry in load_rules())
    raise UsageError(f"There is no rule set {name!r}.", hint=f"Choose from own, {names}.")


def _applies(entry: dict[str, Any], provider: str, model: str, date: datetime.date) -> bool:
    return (
        provider in entry["providers"]
        and re.search(entry["models"], model) is not None
        and _in_period(entry, date)
    )


def _in_period(entry: dict[str, Any], date: datetime.date) -> bool:
    return bool(
        entry.get("since", datetime.date.min) <= date < entry.get("until", datetime.date.max)
    )


def _fits(entry: dict[str, Any], batch: bool, marked: bool) -> bool:
    return (batch or not entry.get("batch")) and (marked or not entry.get("needs_markers"))


def _by_model(entry: dict[str, Any], key: str, model: str, date: datetime.date) -> dict[str, Any]:
    for special in entry.get(key, ()):
        if re.search(special["models"], model) and _in_period(special, date):
            return dict(special)
    return {}


def _rules(entry: dict[str, Any], model: str, date: datetime.date) -> Rules:
    minimum = _by_model(entry, "min_tokens_by_model", model, date)
    read = _by_model(entry, "read_mult_by_model", model, date)
    ttls = _by_model(entry, "write_ttls_by_model", model, date)
    unconfirmed = list(entry.get("unconfirmed", ()))
    if "unconfirmed" in minimum:
        unconfirmed.append(minimum["unconfirmed"])
    return Rules(
        name=entry["name"],
        label=entry["label"],
        matching=entry["matching"],
        min_tokens=minimum.get("tokens", entry.get("min_tokens", 0)),
        ttl_s=tuple(entry.get("ttl_s", {}).items()),
        default_ttl=entry.get("default_ttl", "any"),
        write_ttls=tuple(ttls.get("ttls", entry.get("write_ttls", ()))),
        markers=entry.get("markers", "none"),
        max_markers=entry.get("max_markers", 0),
        lookback_positions=entry.get("lookback_positions", 0),
        lookback_endings=entry.get("lookback_endings", 0),
        first_markers=entry.get("first_markers", 0),
        latest_markers=entry.get("latest_markers", 0),
        granularity=entry.get("granularity", 1),
        interval_tokens=entry.get("interval_tokens", 1),
        persisted_units=entry.get("persisted_units", False),
        visible_after=entry.get("visible_after", "first_byte"),
        best_effort=entry.get("best_effort", False),
        read_mult=read.get("mult", entry.get("read_mult", "1")),
        write_mult=tuple(entry.get("write_mult", {}).items()),
        sources=tuple(entry.get("sources", ())),
        unconfirmed=tuple(unconfirmed),
    )
