"""Distinct contents cut into pieces where two of them part, so that beginnings can be shared."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.simulate.segments import Ints, Segments

MIN_PIECE_BYTES = 16  # shorter shared beginnings are not cut off: about four tokens


@dataclass(frozen=True)
class Contents:
    """The distinct contents of a log (role, kind and block), and the pieces that they share."""

    offsets: Ints  # content c owns pieces offsets[c]:offsets[c + 1]
    piece: NDArray[np.int32]  # equal where the beginnings up to and with the piece are equal
    end: Ints  # bytes up to and with the piece
    sizes: Ints  # bytes of each content
    starts: Ints  # of each content's text in `data`
    data: NDArray[np.uint8]  # UTF-8 of all texts; a content without text has size 0
    block: Ints  # row of BLOCKS of each content; -1 where the block is not there
    role: NDArray[np.int8]
    kind: NDArray[np.int32]


def cut_contents(segments: Segments, blocks: pl.DataFrame) -> Contents:
    """Cut every distinct content where it parts from another of the same role and kind."""
    from costaudit.simulate.prefix.tree_kernels import (
        common_heads,
        fill_pieces,
        kept_ancestors,
        piece_counts,
        shared_intervals,
    )

    first = np.zeros(segments.contents, np.int64)
    first[segments.content[::-1]] = np.arange(len(segments.content) - 1, -1, -1)
    block = segments.block[first].astype(np.int64)
    texts = _texts(blocks, block)
    group = segments.role[first].astype(np.int64) * (len(segments.kinds) + 1) + segments.kind[first]
    data, starts, sizes = _utf8(texts)
    order = _sorted(texts, group)
    shared = common_heads(data, starts, sizes, order, group)
    leaf_in_order, parent, length = shared_intervals(shared)
    leaf = np.empty_like(leaf_in_order)
    leaf[order] = leaf_in_order
    by_length = np.argsort(length, kind="stable")
    kept = kept_ancestors(parent, length, by_length, MIN_PIECE_BYTES)
    counts = piece_counts(leaf, kept, parent)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    piece, end = fill_pieces(leaf, kept, parent, length, sizes, offsets)
    return Contents(
        offsets, piece, end, sizes, starts, data, block, segments.role[first], segments.kind[first]
    )


def _texts(blocks: pl.DataFrame, rows: Ints) -> pl.Series:
    picked = blocks["text"].gather(pl.Series(np.maximum(rows, 0)))
    return picked.zip_with(pl.Series(rows >= 0), pl.Series([""])).fill_null("").rechunk()


def _sorted(texts: pl.Series, group: Ints) -> Ints:
    """Order the texts within each group."""
    parts = [np.zeros(0, np.int64)]
    for number in np.unique(group):
        mine = np.flatnonzero(group == number)
        parts.append(mine[texts.gather(mine).arg_sort().to_numpy()])
    return np.concatenate(parts)


def _utf8(texts: pl.Series) -> tuple[NDArray[np.uint8], Ints, Ints]:
    """Lay the texts' bytes one after another."""
    column = texts.to_arrow(compat_level=pl.CompatLevel.oldest())  # as large_string
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return raw, bounds[:-1].copy(), np.diff(bounds)
