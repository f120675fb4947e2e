"""Find the linked rows: those that other rows may change.

A row that shares no key with another one is a call of its own, whatever the rules in `identity`
say. These rules are applied to the linked rows only, which are a superset of those that they change
or compare. So two rows with equal keys may still be different calls.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.ingest.assembly.identity import DAY_US, MANY, MINUTE_US
from costaudit.ingest.assembly.keys import COUNTED, HALF, NO_TIME, SESSION, UNCOUNTED, Keys
from costaudit.ingest.assembly.spans import DEEPEST
from costaudit.ingest.staging.pieces import Ints

Mask = npt.NDArray[np.bool_]


def linked_rows(keys: Keys, links: Callable[[], pl.DataFrame]) -> Mask:
    """Return which rows are linked.

    `links` returns `span` and `within` of records that are not calls.
    """
    flags = keys.column("flags")
    found = (flags & (HALF | SESSION)) > 0
    for name in ("id", "name", "start"):
        if name != "name" or keys.has(name):
            found |= _repeated(keys.column(name))
    if len({source for _, source in keys.groups}) > 1:
        found |= _seen_by_several(keys)
    if keys.has("within"):
        found |= _nested(keys.column("span"), keys.column("within"), links())
    return found | _of_uncounted_groups(keys.column("group"), flags, found)


def _repeated(values: Ints) -> Mask:
    """Return which values occur more than once; 0 means no value."""
    known = np.sort(values[values != 0])
    return is_among(values, known[1:][known[1:] == known[:-1]])


def is_among(values: Ints, some: Ints) -> Mask:
    """Return which values are among some others; 0 means no value."""
    some = np.unique(some[some != 0])
    if not len(some):
        return np.zeros(len(values), bool)
    places = np.searchsorted(some, values)
    places[places == len(some)] = 0
    return np.asarray(some[places] == values)


def _seen_by_several(keys: Keys) -> Mask:
    """Return the rows whose prompt also is in a row of another source."""
    _, numbers = np.unique([source for _, source in keys.groups], return_inverse=True)
    sources, prompts = numbers[keys.column("group")], keys.column("prompt")
    each = [np.unique(prompts[sources == number]) for number in range(numbers.max() + 1)]
    several = np.sort(np.concatenate(each))
    return is_among(prompts, several[1:][several[1:] == several[:-1]])


def _nested(span: Ints, within: Ints, links: pl.DataFrame) -> Mask:
    """Return the rows that contain spans, and those inside of the spans of rows."""
    inner, outer = links["span"].to_numpy(), links["within"].to_numpy()
    contains = is_among(span, np.concatenate([within, outer]))
    found, above = contains.copy(), span[contains]
    for _ in range(DEEPEST):
        if not len(above):
            break
        rows = is_among(within, above)
        below = np.concatenate([span[rows & ~found], inner[is_among(outer, above)]])
        found |= rows
        above = below
    return found


def _of_uncounted_groups(group: Ints, flags: Ints, linked: Mask) -> Mask:
    """Return the rows of files and sources in which no other row is surely counted."""
    if not (flags & UNCOUNTED).any():
        return np.zeros(len(group), bool)
    size = int(group.max()) + 1
    counted = np.bincount(group[~linked & ((flags & COUNTED) > 0)], minlength=size) > 0
    uncounted = np.bincount(group[(flags & UNCOUNTED) > 0], minlength=size) > 0
    return np.asarray((uncounted & ~counted)[group])


def times_of(keys: Keys, linked: Mask) -> Callable[[list[str]], pl.DataFrame]:
    """Return a function that returns times of the rows of some files that are not linked.

    They are some that are not dates or whole minutes, if there are, and up to MANY different ones.
    """

    def times(files: list[str]) -> pl.DataFrame:
        ts, group, numbers = keys.column("ts"), keys.column("group"), keys.files()
        parts = [pl.DataFrame(schema={"source_file": pl.String, "ts_us": pl.Int64})]
        for file in files:
            own = np.unique(ts[~linked & np.isin(group, numbers[file])])
            known = own[own != NO_TIME]
            telling = [known[known % unit != 0][:1] for unit in (DAY_US, MINUTE_US)]
            some = pl.Series(np.concatenate([own[:MANY], *telling]), dtype=pl.Int64)
            told = pl.col("ts_us").replace(NO_TIME, None)
            parts.append(pl.DataFrame({"ts_us": some}).select(source_file=pl.lit(file), ts_us=told))
        return pl.concat(parts)

    return times
