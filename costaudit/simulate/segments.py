"""Every prompt's segments as flat arrays, in the order of the requests."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.run_dir import column

ROLES = ("tools", "system", "user", "assistant", "tool")
MARKERS = ("", "5m", "1h", "30m", "12h")
OTHER = -1  # a role or marker that is not in the list above

Ints = NDArray[np.int64]
Small = NDArray[np.int32]
Codes = NDArray[np.int8]
Whole = Ints | Small


@dataclass(frozen=True)
class Segments:
    """Segments of all requests, one after another; request i owns offsets[i]:offsets[i + 1]."""

    offsets: Ints  # requests + 1
    content: Small  # per segment: equal where role, kind and block are equal
    block: Small  # per segment: row of BLOCKS; -1 where the block is not there
    role: Codes  # index into ROLES
    marker: Codes  # index into MARKERS
    kind: NDArray[np.int16]  # index into `kinds`
    tokens: Small  # scaled to what was billed; -1 where it is not known
    kinds: tuple[str, ...]
    contents: int  # distinct values of `content`


SLICE = 500_000  # segments that are unpacked at once: nested rows take ten times their codes


def flat_segments(requests: pl.DataFrame, blocks: pl.DataFrame, at_once: int = SLICE) -> Segments:
    """Lay the segments of `requests` out flat, with blocks as row numbers of `blocks`."""
    lists = requests["segments"]
    sizes = sizes_of(lists)
    flat = Layout(sizes, blocks["block_id"])
    first = 0
    while first < len(sizes):
        begin = flat.offsets[first] + at_once
        last = max(int(np.searchsorted(flat.offsets, begin, "right")) - 1, first + 1)
        flat.add(first, lists.slice(first, last - first))
        first = last
    return flat.segments(at_once)


def sizes_of(lists: pl.Series) -> Ints:
    """Return the number of segments of each prompt."""
    return lists.list.len().fill_null(0).to_numpy().astype(np.int64)


class Layout:
    """The columns of all segments, filled slice by slice.

    `sizes` are the prompts' numbers of segments; `known` are the keys of BLOCKS.
    """

    def __init__(self, sizes: Ints, known: "pl.Series | Rows") -> None:
        self.offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        count = int(self.offsets[-1])
        self.block = np.empty(count, np.int32)
        self.role = np.empty(count, np.int8)
        self.marker = np.empty(count, np.int8)
        self.tokens = np.empty(count, np.int32)
        self._kind = np.empty(count, np.int16)
        self._kinds: dict[str, int] = {}
        self.known = known if isinstance(known, Rows) else Rows(known)
        self._unknown: list[pl.Series] = []  # ids that are no block's, in order

    def add(self, first: int, lists: pl.Series) -> None:
        """Fill in the segments of some requests, from the request `first` on."""
        at = int(self.offsets[first])
        flat = lists.filter(lists.list.len().fill_null(0) > 0).explode(empty_as_null=False)
        inner = flat.struct.unnest()
        here = slice(at, at + len(inner))
        self.role[here] = codes_of(inner["role"], ROLES)
        self.marker[here] = codes_of(inner["cache_marker"].fill_null(""), MARKERS)
        self.tokens[here] = inner["tokens"].fill_null(-1).to_numpy()
        kinds = inner["kind"].fill_null("")
        for name in kinds.unique().to_list():
            self._kinds.setdefault(name, len(self._kinds))
        self._kind[here] = codes_of(kinds, tuple(self._kinds))
        ids = inner["block_id"]
        ids = ids.fill_null("") if ids.dtype == pl.String else ids
        rows = self.known.of(ids)
        self.block[here] = rows
        self._unknown.append(ids.filter(pl.Series(rows < 0)))

    def segments(self, at_once: int = SLICE) -> Segments:
        """Return the segments, after all of them were added."""
        kind, kinds = self._sorted_kinds()
        content = _contents(self.names(), self.role, kind, len(kinds), at_once)
        return Segments(
            offsets=self.offsets,
            content=content,
            block=self.block,
            role=self.role,
            marker=self.marker,
            kind=kind,
            tokens=self.tokens,
            kinds=kinds,
            contents=int(content.max(initial=-1)) + 1,
        )

    def _sorted_kinds(self) -> tuple[NDArray[np.int16], tuple[str, ...]]:
        """Return the kind of each segment as an index into the sorted names, and those."""
        names = sorted(self._kinds)
        place = np.zeros(len(names) + 1, np.int16)
        place[[self._kinds[name] for name in names]] = np.arange(len(names))
        return place[self._kind], tuple(names)

    def names(self) -> Small:
        """Number the blocks; those that BLOCKS lacks come behind the others, by their ids."""
        unknown = self.block < 0
        if not unknown.any():
            return self.block
        found = self.block.copy()
        rank = pl.concat(self._unknown).rank("dense").cast(pl.Int64).to_numpy()
        found[unknown] = self.known.count - 1 + rank
        return found


class Rows:
    """Finds the rows of ids in a table, by 128-bit hashes; ids that are rows stay as they are."""

    def __init__(self, known: pl.Series) -> None:
        from costaudit.simulate.segment_kernels import hash_slots

        self.count = len(known)
        if known.dtype.is_integer():
            return
        self._keys = _hashes(known)
        self._slots = hash_slots(*self._keys)

    def of(self, ids: pl.Series) -> Small:
        """Return the first row of each id; -1 for an unknown one."""
        from costaudit.simulate.segment_kernels import find_rows

        if ids.dtype.is_integer():
            return ids.set(ids >= self.count, None).cast(pl.Int32).fill_null(-1).to_numpy()
        return find_rows(*self._keys, self._slots, *_hashes(ids))


def _hashes(ids: pl.Series) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    return ids.hash(0).to_numpy(), ids.hash(1).to_numpy()


def _contents(name: Small, role: Codes, kind: NDArray[np.int16], kinds: int, at_once: int) -> Small:
    """Number the distinct triples of block, role and kind, in this order."""
    forms = np.zeros((len(ROLES) + 1) * (kinds + 1), np.int64)
    slices = [slice(first, first + at_once) for first in range(0, len(name), at_once)]
    for here in slices:
        forms += np.bincount(_forms(role[here], kind[here], kinds), minlength=len(forms))
    place = np.cumsum(forms > 0) - 1  # of each form among those that occur
    width = int(place[-1]) + 1

    def mixed(here: slice) -> Ints:
        return name[here].astype(np.int64) * width + place[_forms(role[here], kind[here], kinds)]

    size = (int(name.max(initial=-1)) + 1) * width
    if size > 8 * len(name):  # few of the pairs are there
        return pl.Series(mixed(slice(None))).rank("dense").to_numpy().astype(np.int32) - 1
    present = np.zeros(size, np.bool_)
    for here in slices:
        present[mixed(here)] = True
    rank = np.cumsum(present, dtype=np.int32) - 1
    content = np.empty(len(name), np.int32)
    for here in slices:
        content[here] = rank[mixed(here)]
    return content


def _forms(role: Codes, kind: NDArray[np.int16], kinds: int) -> Ints:
    return (role.astype(np.int64) + 1) * (kinds + 1) + kind + 1


def owners(places: Ints, offsets: Ints) -> Ints:
    """Return the request that owns each segment in `places`."""
    return np.asarray(np.searchsorted(offsets, places, "right") - 1, np.int64)


def any_in(flags: NDArray[np.bool_], offsets: Ints) -> NDArray[np.bool_]:
    """Return which requests have a flagged segment."""
    return counts_in(flags, offsets) > 0


def counts_in(flags: NDArray[np.bool_], offsets: Ints) -> Ints:
    """Return the number of flagged segments of each request."""
    from costaudit.simulate.segment_kernels import sums_of

    return sums_of(offsets, flags)


def codes_of(values: pl.Series, names: tuple[str, ...]) -> NDArray[np.int16]:
    order = pl.Series(range(len(names)), dtype=pl.Int16)
    coded = values.replace_strict(list(names), order, default=OTHER, return_dtype=pl.Int16)
    return coded.fill_null(OTHER).to_numpy()


def numbered(columns: pl.DataFrame) -> tuple[pl.DataFrame, Small]:
    """Return the distinct rows of columns without nulls, sorted, and the number of each row.

    The work grows with the rows, and with their distinct values for each column.
    """
    code: Ints | None = None
    for name in columns.columns:
        values = columns.select(pl.col(name).unique().sort()).to_series()
        if len(values) < 2:
            continue
        place = values.search_sorted(column(columns, name)).to_numpy()
        code = place.astype(np.int64) if code is None else code * len(values) + place
        if code.max() >= 2**62 // len(columns):  # the next column could exceed 64 bits
            code = _ranks(code)
    if code is None:
        return columns[:1], np.zeros(len(columns), np.int32)
    number = _ranks(code)
    first = np.empty(int(number.max()) + 1, np.int64)
    first[number[::-1]] = np.arange(len(number) - 1, -1, -1)
    return columns[first], number.astype(np.int32)


def _ranks(code: Ints) -> Ints:
    """Return the place of each code among the distinct ones, in their order."""
    if code.max() < 4 * len(code):  # without sorting
        return (np.cumsum(np.bincount(code) > 0) - 1)[code]
    distinct = pl.Series(code).unique().sort()
    return distinct.search_sorted(pl.Series(code)).to_numpy().astype(np.int64)
