"""Which rules treat which request."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.simulate.prefix.prompts import Prompts
from costaudit.simulate.prefix.rules import Rules, named_rules, rules_date, rules_for
from costaudit.simulate.segments import MARKERS, Codes, Ints, any_in

MICROSECONDS = 1_000_000


@dataclass(frozen=True)
class Assigned:
    """The rules in use, and per request the index of its own."""

    rules: tuple[Rules, ...]
    index: Ints

    def each(self, value: Callable[[Rules], int]) -> Ints:
        """Give a property of its rules to each request."""
        return np.array([value(rules) for rules in self.rules], np.int64)[self.index]

    def matching(self, name: str) -> NDArray[np.bool_]:
        """Tell which requests are matched this way."""
        return np.array([rules.matching == name for rules in self.rules], np.bool_)[self.index]

    def is_marked(self, name: str) -> NDArray[np.bool_]:
        """Tell which requests are written where markers of this kind stand."""
        return np.array(
            [rules.matching == "breakpoints" and rules.markers == name for rules in self.rules],
            np.bool_,
        )[self.index]

    @cached_property
    def ttl_microseconds(self) -> Ints:
        """Give the lifetime by request and marker code; column 0 is the default's."""
        table = [
            [rules.ttl_seconds(marker or rules.default_ttl) for marker in MARKERS]
            for rules in self.rules
        ]
        return np.array(table, np.int64).reshape(-1, len(MARKERS))[self.index] * MICROSECONDS

    @property
    def longest_microseconds(self) -> Ints:
        """Give each request the longest lifetime that its provider can be asked for."""
        longest = [
            max((rules.ttl_seconds(marker) for marker in rules.write_ttls), default=0)
            for rules in self.rules
        ]
        return np.array(longest, np.int64)[self.index] * MICROSECONDS

    @cached_property
    def granted_codes(self) -> Codes:
        """Give, by request and marker code, the code of the lifetime that its provider grants."""
        table = [
            [MARKERS.index(rules.granted(marker)) for marker in MARKERS] for rules in self.rules
        ]
        return np.array(table, np.int8).reshape(-1, len(MARKERS))[self.index]

    def used(self) -> tuple[Rules, ...]:
        """List the rules that treat at least one request."""
        return tuple(self.rules[index] for index in np.unique(self.index))


def assign_rules(requests: pl.DataFrame, prompts: Prompts, name: str = "own") -> Assigned:
    """Give each request its provider's rules of its day, or the named ones.

    A request without a time is treated by the rules of the last day of the log, or of the day
    of which the rules are.
    """
    day = requests["ts"].dt.date()
    last = day.max()
    today = last if isinstance(last, datetime.date) else rules_date()
    keys = requests.select(
        pl.col("provider").fill_null(""),
        pl.col("model").fill_null(""),
        batch=pl.col("is_batch").fill_null(False),
        day=day.fill_null(today),
        marked=pl.Series(any_in(prompts.segments.marker > 0, prompts.segments.offsets)),
    )
    keys = keys.with_columns(key=pl.struct(pl.all()).rank("dense"))
    distinct = keys.unique("key").sort("key")
    rules: dict[Rules, int] = {}
    index = []
    for row in distinct.iter_rows(named=True):
        if name == "own":
            found = rules_for(
                row["provider"], row["model"], row["day"], row["batch"], row["marked"]
            )
        else:
            found = named_rules(name, row["model"], row["day"])
        index.append(rules.setdefault(found, len(rules)))
    return Assigned(tuple(rules), np.array(index, np.int64)[keys["key"].to_numpy() - 1])
