"""Every prompt's segments as flat arrays, in the order of the requests."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

ROLES = ("tools", "system", "user", "assistant", "tool")
MARKERS = ("", "5m", "1h", "30m", "12h")
OTHER = -1  # a role or marker that is not in the list above

Ints = NDArray[np.int64]
Codes = NDArray[np.int8]


@dataclass(frozen=True)
class Segments:
    """Segments of all requests, one after another; request i owns offsets[i]:offsets[i + 1]."""

    offsets: Ints  # requests + 1
    content: NDArray[np.int32]  # per segment: equal where role, kind and block are equal
    block: NDArray[np.int32]  # per segment: row of BLOCKS; -1 where the block is not there
    role: Codes  # index into ROLES
    marker: Codes  # index into MARKERS
    kind: NDArray[np.int32]  # index into `kinds`
    tokens: Ints  # scaled to what was billed; -1 where it is not known
    kinds: tuple[str, ...]
    contents: int  # distinct values of `content`


SLICE = 4_000_000  # segments that are unpacked at once: nested rows take ten times their codes


def flat_segments(requests: pl.DataFrame, blocks: pl.DataFrame, at_once: int = SLICE) -> Segments:
    """Lay the segments of `requests` out flat, with blocks as row numbers of `blocks`."""
    lists = requests["segments"]
    sizes = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    flat = _Flat(int(offsets[-1]), blocks["block_id"])
    first = 0
    while first < len(sizes):
        last = max(int(np.searchsorted(offsets, offsets[first] + at_once, "right")) - 1, first + 1)
        flat.add(int(offsets[first]), lists.slice(first, last - first))
        first = last
    kind, kinds = flat.sorted_kinds()
    content = _contents(flat.names(), flat.role.astype(np.int64) * (len(kinds) + 1) + kind)
    return Segments(
        offsets=offsets,
        content=content,
        block=flat.block,
        role=flat.role,
        marker=flat.marker,
        kind=kind,
        tokens=flat.tokens,
        kinds=kinds,
        contents=int(content.max(initial=-1)) + 1,
    )


class _Flat:
    """The columns of all segments, filled slice by slice."""

    def __init__(self, count: int, known: pl.Series) -> None:
        self.block = np.empty(count, np.int32)
        self.role = np.empty(count, np.int8)
        self.marker = np.empty(count, np.int8)
        self.tokens = np.empty(count, np.int64)
        self._kind = np.empty(count, np.int32)
        self._kinds: dict[str, int] = {}
        self._known = known
        self._unknown: list[pl.Series] = []  # ids that are no block's, in order

    def add(self, at: int, lists: pl.Series) -> None:
        """Fill in the segments of some requests from place `at` on."""
        flat = lists.filter(lists.list.len().fill_null(0) > 0).explode(empty_as_null=False)
        inner = flat.struct.unnest()
        here = slice(at, at + len(inner))
        self.role[here] = _codes(inner["role"], ROLES)
        self.marker[here] = _codes(inner["cache_marker"].fill_null(""), MARKERS)
        self.tokens[here] = inner["tokens"].fill_null(-1).to_numpy()
        kinds = inner["kind"].fill_null("")
        for name in kinds.unique().to_list():
            self._kinds.setdefault(name, len(self._kinds))
        self._kind[here] = _codes(kinds, tuple(self._kinds))
        ids = inner["block_id"].fill_null("")
        rows = _rows(ids, self._known)
        self.block[here] = rows
        self._unknown.append(ids.filter(pl.Series(rows < 0)))

    def sorted_kinds(self) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """Return the kind of each segment as an index into the sorted names, and those."""
        names = sorted(self._kinds)
        place = np.zeros(len(names) + 1, np.int32)
        place[[self._kinds[name] for name in names]] = np.arange(len(names))
        return place[self._kind], tuple(names)

    def names(self) -> Ints:
        """Number the blocks; those that BLOCKS lacks come behind the others, by their ids."""
        found = self.block.astype(np.int64)
        unknown = found < 0
        if unknown.any():
            rank = pl.concat(self._unknown).rank("dense").cast(pl.Int64).to_numpy()
            found[unknown] = len(self._known) - 1 + rank
        return found


def _contents(name: Ints, form: Ints) -> NDArray[np.int32]:
    """Number the distinct pairs of block and form (role and kind)."""
    forms = np.flatnonzero(np.bincount(form - form.min(initial=0)))
    mixed = name * len(forms) + np.searchsorted(forms + form.min(initial=0), form)
    if len(mixed) == 0 or mixed.max() > 8 * len(mixed):
        return pl.Series(mixed).rank("dense").to_numpy().astype(np.int32) - 1
    present = np.zeros(int(mixed.max()) + 1, np.bool_)
    present[mixed] = True
    rank = np.cumsum(present, dtype=np.int32) - 1
    return np.asarray(rank[mixed], np.int32)


def any_in(flags: NDArray[np.bool_], offsets: Ints) -> NDArray[np.bool_]:
    """Return which requests have a flagged segment."""
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(flags)])
    return np.asarray(before[offsets[1:]] > before[offsets[:-1]])


def _codes(values: pl.Series, names: tuple[str, ...]) -> Codes:
    order = pl.Series(range(len(names)), dtype=pl.Int16)
    coded = values.replace_strict(list(names), order, default=OTHER, return_dtype=pl.Int16)
    return coded.fill_null(OTHER).to_numpy().astype(np.int8)


def _rows(ids: pl.Series, known: pl.Series) -> NDArray[np.int32]:
    table = pl.DataFrame({"id": known, "row": pl.Series(range(len(known)), dtype=pl.Int32)})
    found = pl.DataFrame({"id": ids}).join(
        table.unique("id", keep="first", maintain_order=True), on="id", how="left",
        maintain_order="left",
    )  # fmt: skip
    return found["row"].fill_null(-1).to_numpy().astype(np.int32)
