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


def flat_segments(requests: pl.DataFrame, blocks: pl.DataFrame) -> Segments:
    """Lay the segments of `requests` out flat, with blocks as row numbers of `blocks`."""
    lists = requests["segments"].rechunk()
    sizes = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    flat = lists.filter(pl.Series(sizes > 0)).explode(empty_as_null=False)
    inner = flat.struct.unnest()
    kinds = inner["kind"].fill_null("").unique().sort()
    role = _codes(inner["role"], ROLES)
    kind = _codes(inner["kind"].fill_null(""), tuple(kinds.to_list())).astype(np.int32)
    ids = inner["block_id"].fill_null("")
    block = _rows(ids, blocks["block_id"])
    content = _contents(ids, block, role.astype(np.int64) * (len(kinds) + 1) + kind)
    return Segments(
        offsets=offsets,
        content=content,
        block=block,
        role=role,
        marker=_codes(inner["cache_marker"].fill_null(""), MARKERS),
        kind=kind,
        tokens=inner["tokens"].fill_null(-1).to_numpy().astype(np.int64),
        kinds=tuple(kinds.to_list()),
        contents=int(content.max(initial=-1)) + 1,
    )


def _contents(ids: pl.Series, block: NDArray[np.int32], form: Ints) -> NDArray[np.int32]:
    """Number the distinct pairs of block and form (role and kind)."""
    name = block.astype(np.int64)
    if (block < 0).any():
        name = ids.rank("dense").to_numpy().astype(np.int64)
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
