"""Read providers' prompt-caching rules by model and date, and find each request's rules."""

import datetime
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.requests import IN_BATCH
from costaudit.contracts.run_dir import column
from costaudit.errors import UsageError
from costaudit.simulate.prefix.tree.prompts import Prompts
from costaudit.simulate.segments import MARKERS, Codes, Ints, any_in, numbered

TTLS = ("5m", "1h", "30m", "12h")


@dataclass(frozen=True)
class Rules:
    """The rules of one prompt cache for one model on one day."""

    name: str  # of the rule set
    label: str  # for people
    matching: Literal["breakpoints", "tokens", "none"]
    min_tokens: int  # length of the shortest cached prefix
    ttl_s: tuple[tuple[str, int], ...]  # lifetime of an unused entry in seconds, by marker
    default_ttl: str  # of a marker without a lifetime
    write_ttls: tuple[str, ...]  # lifetimes that a marker can request; () if caching is automatic
    markers: Literal["explicit", "implicit", "none"]  # implicit: the provider sets one
    max_markers: int  # cache writes in one request
    automatic: bool  # a request can ask for a marker at its end
    lookback_positions: int  # content blocks searched back from a marker; 0: markers only
    lookback_endings: int  # message endings searched back; implicit markers only
    first_markers: int  # first markers at which a read may end; implicit markers only
    latest_markers: int  # the same for the last markers
    granularity: int  # reported reads are rounded down to a multiple of this many tokens
    interval_tokens: int  # prefixes are stored at multiples of this many tokens
    persisted_units: bool  # stored at ends of prompts and at divergence points
    visible_after: Literal["first_byte", "response_end"]
    best_effort: bool  # the provider promises nothing: a simulation is an upper bound
    read_mult: str  # decimal: price of a read / price of uncached input
    write_mult: tuple[tuple[str, str], ...]  # decimal, by marker; () if writes are free
    storage_usd: str  # decimal, of a million tokens for an hour in a cache that an application
    # creates itself; "" where there is none
    sources: tuple[str, ...]
    unconfirmed: tuple[str, ...]  # sentences: what no vendor document confirms

    def granted(self, marker: str) -> str:
        """Return the lifetime that the provider applies for a marker: its own, or the default."""
        if not self.write_ttls:
            return ""
        return marker if marker in self.write_ttls else self.default_ttl

    def ttl_seconds(self, marker: str) -> int:
        """Return a marker's lifetime, or the default's if the provider does not offer it."""
        table = dict(self.ttl_s)
        return table.get(marker) or table.get(self.default_ttl) or max(table.values(), default=0)


_CHOOSING = {"providers", "models", "since", "until", "batch", "needs_markers"}  # and not a rule
_BY_MODEL = ("min_tokens_by_model", "read_mult_by_model", "write_ttls_by_model",
             "storage_usd_by_model")  # fmt: skip


@cache
def _document() -> dict[str, Any]:
    document = tomllib.loads(files(__package__).joinpath("rules.toml").read_text("utf-8"))
    for entry in document["rules"]:
        check_keys(entry)
    return document


def check_keys(entry: dict[str, Any]) -> None:
    """Raise ValueError if a rule set has a key that nothing reads, such as a misspelt one."""
    unknown = set(entry) - {one.name for one in fields(Rules)} - _CHOOSING - {*_BY_MODEL}
    if unknown:
        raise ValueError(f"rules.toml: {entry['name']} has unknown keys: {sorted(unknown)}")


def load_rules() -> tuple[dict[str, Any], ...]:
    """Return the rule sets, in the order in which they are tried."""
    return tuple(_document()["rules"])


def rules_date() -> datetime.date:
    """Return the day of the rule sets' last check."""
    date = _document()["as_of"]
    assert isinstance(date, datetime.date)
    return date


@cache
def rules_for(
    provider: str, model: str, date: datetime.date, batch: bool = False, marked: bool = True
) -> Rules:
    """Return the rules of a provider's model on a day; `none` if no rule set matches.

    `marked` is whether the request sets markers, which may choose between two caches.
    """
    for entry in load_rules():
        if _applies(entry, provider, model, date) and _fits(entry, batch, marked):
            return _rules(entry, model, date)
    return _rules({"name": "none", "label": "No prompt cache known", "matching": "none"}, "", date)


@cache
def named_rules(name: str, model: str, date: datetime.date) -> Rules:
    """Return the rules of a named rule set for a model; raises UsageError for an unknown name.

    The rule set's defaults apply to a model that it does not know.
    """
    for entry in load_rules():
        if entry["name"] == name:
            return _rules(entry, model, date)
    names = ", ".join(entry["name"] for entry in load_rules())
    raise UsageError(f"There is no rule set {name!r}.", hint=f"Choose from own, {names}.")


def _applies(entry: dict[str, Any], provider: str, model: str, date: datetime.date) -> bool:
    return (
        provider in entry["providers"]
        and _names(entry["models"], model)
        and _in_period(entry, date)
    )


@cache
def _names(pattern: str, model: str) -> bool:
    """Return whether a pattern matches a name, or the part after its path.

    Platforms write a path, a region or a maker before it: `eu/gpt-5`, `openai.gpt-5`.
    """
    whole = model.lower()
    tail = whole.rpartition("/")[2]
    return any(re.search(pattern, name) for name in (whole, tail, tail.removeprefix("openai.")))


def _in_period(entry: dict[str, Any], date: datetime.date) -> bool:
    return bool(
        entry.get("since", datetime.date.min) <= date < entry.get("until", datetime.date.max)
    )


def _fits(entry: dict[str, Any], batch: bool, marked: bool) -> bool:
    return (batch or not entry.get("batch")) and (marked or not entry.get("needs_markers"))


def _by_model(entry: dict[str, Any], key: str, model: str, date: datetime.date) -> dict[str, Any]:
    for special in entry.get(key, ()):
        if _names(special["models"], model) and _in_period(special, date):
            return dict(special)
    return {}


def _rules(entry: dict[str, Any], model: str, date: datetime.date) -> Rules:
    minimum, read, ttls, storage = (_by_model(entry, key, model, date) for key in _BY_MODEL)
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
        automatic=entry.get("automatic", False),
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
        storage_usd=storage.get("usd", ""),
        sources=tuple(entry.get("sources", ())),
        unconfirmed=tuple(unconfirmed),
    )


MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Assigned:
    """The used rules, and each request's index into them."""

    rules: tuple[Rules, ...]
    index: NDArray[np.int16]

    def table(self, value: Callable[[Rules], int]) -> Ints:
        """Return a property of the rules, in their order."""
        return np.array([value(rules) for rules in self.rules], np.int64)

    def each(self, value: Callable[[Rules], int]) -> NDArray[np.int32]:
        """Return a property of each request's rules."""
        return self.table(value).astype(np.int32)[self.index]

    def matching(self, name: str) -> NDArray[np.bool_]:
        """Return which requests have rules with this kind of matching."""
        return np.array([rules.matching == name for rules in self.rules], np.bool_)[self.index]

    def is_marked(self, name: str) -> NDArray[np.bool_]:
        """Return which requests have rules with this kind of markers."""
        return np.array(
            [rules.matching == "breakpoints" and rules.markers == name for rules in self.rules],
            np.bool_,
        )[self.index]

    @cached_property
    def ttl_microseconds(self) -> Ints:
        """Return lifetimes by rules and marker code; column 0 is the default's."""
        table = [
            [rules.ttl_seconds(marker or rules.default_ttl) for marker in MARKERS]
            for rules in self.rules
        ]
        return np.array(table, np.int64).reshape(-1, len(MARKERS)) * MICROSECONDS

    @property
    def default_microseconds(self) -> Ints:
        """Return the default lifetime of each request's rules."""
        return np.asarray(self.ttl_microseconds[self.index, 0])

    @property
    def longest_microseconds(self) -> Ints:
        """Return the longest lifetime that each request's provider offers."""
        longest = [
            max((rules.ttl_seconds(marker) for marker in rules.write_ttls), default=0)
            for rules in self.rules
        ]
        return np.array(longest, np.int64)[self.index] * MICROSECONDS

    @property
    def longest_codes(self) -> Codes:
        """Return, by request, the marker code of the longest lifetime that its provider offers."""
        codes = [
            MARKERS.index(max(rules.write_ttls, key=rules.ttl_seconds, default=""))
            for rules in self.rules
        ]
        return np.array(codes, np.int8)[self.index]

    @cached_property
    def granted_codes(self) -> Codes:
        """Return, by rules and marker code, the code of the lifetime that the provider sets."""
        table = [
            [MARKERS.index(rules.granted(marker)) for marker in MARKERS] for rules in self.rules
        ]
        return np.array(table, np.int8).reshape(-1, len(MARKERS))

    def used(self) -> tuple[Rules, ...]:
        """Return the rules that apply to at least one request."""
        return tuple(self.rules[index] for index in np.unique(self.index))


def assign_rules(requests: pl.DataFrame, prompts: Prompts, name: str = "own") -> Assigned:
    """Return each request's rules of its provider and day, or the named ones.

    A request without a time gets the rules of the log's last day, or else of the rules' own day.
    """
    day = column(requests, "ts").dt.date()
    last = day.max()
    today = last if isinstance(last, datetime.date) else rules_date()
    keys = requests.select(
        pl.col("provider").fill_null(""),
        pl.col("model").fill_null(""),
        batch=IN_BATCH,
        day=day.fill_null(today),
        marked=pl.Series(any_in(prompts.segments.marker != 0, prompts.segments.offsets))
        | column(requests, "auto_cache_ttl").is_not_null(),
    )
    distinct, key = numbered(keys)
    rules: dict[Rules, int] = {}
    index = []
    for provider, model, batch, on, marked in distinct.iter_rows():
        found = (
            rules_for(provider, model, on, batch, marked)
            if name == "own"
            else named_rules(name, model, on)
        )
        index.append(rules.setdefault(found, len(rules)))
    return Assigned(tuple(rules), np.array(index, np.int16)[key])
