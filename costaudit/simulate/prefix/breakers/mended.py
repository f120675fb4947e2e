"""The same prompts with their moving parts moved behind what stands still."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.simulate.prefix.caches.static_share import HEAD_PARTS, PARTS, Parts
from costaudit.simulate.prefix.tree.prompts import Contents, Groups, Prompts, Texts
from costaudit.simulate.segments import Ints

SAME_SHARE = 0.5  # of the longer text: contents that share as much are one, changed
NEARLY_ALL_SHARE = 0.9  # shared at both ends: what is between them need not be looked at
FRESH_SHARE = 0.2  # of the requests at a place: with as many distinct contents it is ever new
FRESH_CONTENTS = 8


@dataclass(frozen=True)
class Heads:
    """Tools, system and example segments, in order of time."""

    segment: Ints  # index into Segments
    request: Ints
    content: Ints
    base: Ints  # content at the same place in the template's request before; -1 for none
    same: Ints  # bytes that content and base share: at both ends, or in equal lines and sentences
    is_new: NDArray[np.bool_]  # the template had this content nowhere before


def read_heads(prompts: Prompts, groups: Groups, parts: Parts) -> Heads:
    """List the head segments with what stood at their place one request before."""
    offsets = prompts.segments.offsets
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    chosen = np.flatnonzero((parts.part < HEAD_PARTS) & (groups.index[owner] >= 0))
    place = np.empty(len(offsets) - 1, np.int64)
    place[prompts.order] = np.arange(len(place))
    rows = pl.DataFrame(
        {
            "segment": chosen,
            "request": owner[chosen],
            "content": prompts.segments.content[chosen].astype(np.int64),
            "group": groups.index[owner[chosen]],
            "depth": chosen - offsets[owner[chosen]],
            "time": place[owner[chosen]],
        }
    ).sort("time", "segment")
    rows = rows.with_columns(
        base=pl.col("content").shift(1).over("group", "depth").fill_null(-1),
        is_new=pl.struct("group", "content").is_first_distinct(),
    )
    pairs = rows.filter(
        pl.col("is_new") & (pl.col("base") >= 0) & (pl.col("base") != pl.col("content"))
    ).unique(["content", "base"], maintain_order=True)
    same = pairs.select("content", "base").with_columns(same=_same_bytes(prompts.contents, pairs))
    rows = rows.join(same, on=["content", "base"], how="left", maintain_order="left")
    return Heads(
        segment=rows["segment"].to_numpy(),
        request=rows["request"].to_numpy(),
        content=rows["content"].to_numpy(),
        base=rows["base"].to_numpy(),
        same=rows["same"].fill_null(0).to_numpy(),
        is_new=rows["is_new"].to_numpy(),
    )


def _same_bytes(contents: Contents, pairs: pl.DataFrame) -> Ints:
    """Count what pairs of contents share; chunk by chunk where their ends leave much out."""
    from costaudit.simulate.prefix.tree.tree_kernels import common_ends, shared_chunks

    left, right = pairs["content"].to_numpy(), pairs["base"].to_numpy()
    head, tail = common_ends(contents.data, contents.starts, contents.sizes, left, right)
    same = head + tail
    rest = np.flatnonzero(same < NEARLY_ALL_SHARE * contents.sizes[left])
    inside = shared_chunks(
        contents.data, contents.starts, contents.sizes, left[rest], right[rest]
    )  # fmt: skip
    same[rest] = np.maximum(same[rest], inside)
    return same


def mend(
    blocks: pl.DataFrame, prompts: Prompts, groups: Groups, parts: Parts, heads: Heads
) -> Prompts:
    """Rebuild the prompts with one content for all variants of a text, and tools in one order.

    Variants share SAME_SHARE of their text; those of a tool have its name too. What differs
    between them, and contents that are ever new, are taken out of the head: moved behind the
    static parts they would still be paid for.
    """
    family, moved_share = _families(blocks, prompts, groups, heads)
    content = prompts.segments.content.copy()
    content[heads.segment] = family[heads.content]
    moved = np.zeros(len(content), np.int64)
    moved[heads.segment] = np.ceil(
        parts.tokens[heads.segment] * moved_share[heads.content]
    ).astype(np.int64)  # fmt: skip
    tokens = parts.tokens - moved
    return _rebuilt(prompts, *_tools_in_order(content, tokens, parts, prompts.segments.offsets))


def left_alone(
    prompts: Prompts, mended: Prompts, parts: Parts, alone: NDArray[np.bool_]
) -> Prompts:
    """Take the requests in `alone` as they are, and the others mended."""
    theirs = np.repeat(alone, np.diff(prompts.segments.offsets))
    content = np.where(theirs, prompts.segments.content, mended.segments.content)
    tokens = np.where(theirs, parts.tokens, mended.segments.tokens)
    return _rebuilt(prompts, content, tokens)


def _rebuilt(prompts: Prompts, content: NDArray[np.int32], tokens: Ints) -> Prompts:
    """Give the prompts other contents and tokens, segment by segment."""
    from costaudit.simulate.prefix.tree.tree_kernels import grow_tree, piece_tokens, prompt_pieces

    segments, pieces = prompts.segments, prompts.contents
    owner = np.repeat(np.arange(len(prompts.billed)), np.diff(segments.offsets))
    billed = np.bincount(owner, weights=tokens, minlength=len(prompts.billed)).astype(np.int64)
    offsets, end = prompt_pieces(segments.offsets, content, pieces.offsets)
    node, nodes = grow_tree(
        prompts.order, prompts.scope, int(prompts.scope.max(initial=-1)) + 1, segments.offsets,
        content, pieces.offsets, pieces.piece, offsets,
    )  # fmt: skip
    cumulative = piece_tokens(
        segments.offsets, content, tokens, billed, pieces.offsets, pieces.end, pieces.sizes,
        offsets,
    )  # fmt: skip
    changed = replace(segments, content=content, tokens=tokens)
    return replace(
        prompts, segments=changed, offsets=offsets, node=node, tokens=cumulative, end=end,
        nodes=nodes, billed=billed,
    )  # fmt: skip


def _families(
    blocks: pl.DataFrame, prompts: Prompts, groups: Groups, heads: Heads
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Give each content the one that stands for it, and the share of it that moves."""
    sizes = prompts.contents.sizes
    family = np.arange(len(sizes), dtype=np.int32)
    moved = np.zeros(len(sizes))
    fresh = _fresh_places(prompts, groups, heads)
    standing: dict[tuple[int, int], int] = {}
    texts = Texts(prompts.contents, blocks)
    for row in np.flatnonzero(heads.is_new & (heads.base >= 0)):
        content, base = int(heads.content[row]), int(heads.base[row])
        if family[content] != content or content == base:
            continue
        longer = max(int(sizes[content]), int(sizes[base]), 1)
        same = int(heads.same[row])
        if same >= SAME_SHARE * longer and texts.same_tool(content, base):
            family[content] = family[base]
            moved[content] = 1 - same / max(int(sizes[content]), 1)
        elif fresh[row]:
            place = (int(groups.index[heads.request[row]]), _depth(prompts, heads, int(row)))
            family[content] = standing.setdefault(place, int(family[base]))
            moved[content] = 1.0
    return family, moved


def _depth(prompts: Prompts, heads: Heads, row: int) -> int:
    return int(heads.segment[row] - prompts.segments.offsets[heads.request[row]])


def _fresh_places(prompts: Prompts, groups: Groups, heads: Heads) -> NDArray[np.bool_]:
    """Tell per head segment whether new contents keep coming at its place."""
    depth = heads.segment - prompts.segments.offsets[heads.request]
    rows = pl.DataFrame(
        {"group": groups.index[heads.request], "depth": depth, "content": heads.content}
    )
    distinct = pl.col("content").n_unique().over("group", "depth")
    often = pl.len().over("group", "depth")
    fresh = (distinct >= FRESH_CONTENTS) & (distinct >= FRESH_SHARE * often)
    return rows.select(fresh).to_series().to_numpy()


def _tools_in_order(
    content: NDArray[np.int32], tokens: Ints, parts: Parts, offsets: Ints
) -> tuple[NDArray[np.int32], Ints]:
    """Put the tools of each prompt into one order."""
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    is_tool = parts.part == PARTS.index("tools")
    tools = np.flatnonzero(is_tool)
    order = tools[np.lexsort((content[tools], owner[tools]))]
    content, tokens = content.copy(), tokens.copy()
    content[tools], tokens[tools] = content[order], tokens[order]
    return content, tokens
