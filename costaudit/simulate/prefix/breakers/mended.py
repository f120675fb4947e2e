"""Repair prompts: move their moving parts behind the parts that stay the same."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.simulate.prefix.caches.static_share import HEAD_PARTS, PARTS, Parts
from costaudit.simulate.prefix.tree.prompts import Groups, Prompts, Texts, rebuilt
from costaudit.simulate.prefix.tree.unseen import KIND as UNSEEN
from costaudit.simulate.segments import Ints, Small, owners

SAME_SHARE = 0.5  # share of the longer text; contents that share so much are versions of one
NEARLY_ALL_SHARE = 0.9  # share at both ends above which the middle is not compared
FRESH_SHARE = 0.2  # share of distinct contents at a place above which it always changes
FRESH_CONTENTS = 8
MIN_MESSAGE_BYTES = 1024  # minimum size of a text in the first user message that is worth sharing
MAX_FORMS = 2_000  # maximum number of pairs of texts that are compared word by word
MEDIA = ("image", "document", "file")
TOOLS_DEPTH = -1  # means the order of all tools
Places = frozenset[tuple[int, int]]  # (index of a template, depth in its prompts)


@dataclass(frozen=True)
class Heads:
    """Segments that may be the same for every request, in order of time.

    They are tools, system prompt and examples, and long texts of the first user message.
    """

    segment: Small  # index into Segments
    request: Small
    content: Small
    base: Small  # content at the same place of the template's previous request; -1 for none
    same: Small  # bytes that content and base share (see _same_bytes)
    is_new: NDArray[np.bool_]  # the content is new for the template
    in_message: NDArray[np.bool_]  # in the first user message


def read_heads(blocks: pl.DataFrame, prompts: Prompts, groups: Groups, parts: Parts) -> Heads:
    """Return the head segments, with the previous request's content at their place."""
    offsets = prompts.segments.offsets
    in_message = _in_first_message(prompts, parts)
    kinds = prompts.segments.kinds
    unseen = np.array([*(kind == UNSEEN for kind in kinds), False])[prompts.segments.kind]
    chosen = np.flatnonzero(
        ((parts.part < HEAD_PARTS) | in_message) & groups.owns(offsets) & ~unseen
    )  # fmt: skip
    place = np.empty(len(offsets) - 1, np.int32)
    place[prompts.order] = np.arange(len(place))
    chosen = chosen[np.argsort(place[owners(chosen, offsets)], kind="stable")]
    owner = owners(chosen, offsets)
    content = prompts.segments.content[chosen]
    base = _previous(content, groups.index[owner], chosen - offsets[owner])
    every = groups.index[owner] * prompts.segments.contents + content
    is_new = pl.Series(every).is_first_distinct().to_numpy()
    return Heads(
        segment=chosen.astype(np.int32),
        request=owner.astype(np.int32),
        content=content,
        base=base,
        same=_same(blocks, prompts, content, base, is_new),
        is_new=is_new,
        in_message=in_message[chosen],
    )


def _previous(content: Small, group: Ints, depth: Ints) -> Small:
    """Return the previous content at each one's template and depth; -1 for none."""
    place = group * (int(depth.max(initial=0)) + 1) + depth
    order = np.argsort(place, kind="stable")
    place = place[order]
    follows = place[1:] == place[:-1]
    found = np.full(len(content), -1, np.int32)
    found[order[1:][follows]] = content[order[:-1][follows]]
    return found


def _same(
    blocks: pl.DataFrame, prompts: Prompts, content: Small, base: Small, is_new: NDArray[np.bool_]
) -> Small:
    """Return the bytes that each new content shares with its base; 0 without another base."""
    found = np.zeros(len(content), np.int32)
    rows = np.flatnonzero(is_new & (base >= 0) & (base != content))
    pairs = pl.DataFrame({"content": content[rows], "base": base[rows]})
    distinct = pairs.unique(maintain_order=True)
    texts = Texts(prompts.contents, blocks)
    known = distinct.with_columns(same=_same_bytes(texts, distinct))
    told = pairs.join(known, on=["content", "base"], how="left", maintain_order="left")
    found[rows] = told["same"].to_numpy()
    return found


def _in_first_message(prompts: Prompts, parts: Parts) -> NDArray[np.bool_]:
    """Return flags of long texts and images in each prompt's first user message.

    Shorter texts are questions: moving a word to their end saves nothing.
    """
    from costaudit.simulate.prefix.caches.share_kernels import first_messages

    segments = prompts.segments
    is_long = (prompts.contents.sizes >= MIN_MESSAGE_BYTES)[segments.content]
    media = np.array([*(kind in MEDIA for kind in segments.kinds), False])[segments.kind]
    first = first_messages(segments.offsets, segments.role)
    return np.asarray(first & (parts.part >= HEAD_PARTS) & (is_long | media), np.bool_)


def _same_bytes(texts: Texts, pairs: pl.DataFrame) -> Ints:
    """Return the number of bytes that pairs of contents share.

    They are counted at both ends, or by chunks if the ends leave much out. If contents differ only
    in white space or in the order of JSON keys, all of the shorter one counts.
    """
    from costaudit.simulate.prefix.tree.tree_kernels import common_ends, shared_chunks

    both = pairs.select("content", "base").to_numpy()
    compared, place = np.unique(both, return_inverse=True)
    left, right = place.reshape(both.shape).T
    data, starts, sizes = texts.bytes_of(compared)
    head, tail = common_ends(data, starts, sizes, left, right)
    same = head + tail
    rest = np.flatnonzero(same < NEARLY_ALL_SHARE * sizes[left])
    inside = shared_chunks(data, starts, sizes, left[rest], right[rest])
    same[rest] = np.maximum(same[rest], inside)
    shorter, longer = np.minimum(sizes[left], sizes[right]), np.maximum(sizes[left], sizes[right])
    for pair in np.flatnonzero((2 * shorter >= longer) & (same < longer))[:MAX_FORMS]:
        if texts.same_form(*both[pair].tolist()):
            same[pair] = longer[pair]
    return same


@dataclass(frozen=True)
class Mender:
    """Builds repaired prompts."""

    blocks: pl.DataFrame
    prompts: Prompts
    groups: Groups
    parts: Parts
    heads: Heads

    def mend(self, places: Places | None = None) -> Prompts:
        """Return prompts with one content for all variants of a text, and tools in one order.

        Variants share SAME_SHARE of their text; variants of a tool also have its name. Their
        differences, and contents that always change, are removed from the head; behind the static
        parts, they still cost money. `places` limits this to pairs of a template's index and a
        depth; at depth TOOLS_DEPTH, tools are put in order.
        """
        prompts, parts, heads = self.prompts, self.parts, self.heads
        chosen = self._chosen(places)
        family, moved_share = _families(self, chosen)
        content = prompts.segments.content.copy()
        rows = np.flatnonzero(chosen)
        content[heads.segment[rows]] = family[heads.content[rows]]
        tokens = parts.tokens.copy()
        segment = heads.segment[rows]
        share = moved_share[heads.content[rows]]
        tokens[segment] -= np.ceil(tokens[segment] * share).astype(np.int32)
        sorted_in = None if places is None else {group for group, at in places if at == TOOLS_DEPTH}
        if sorted_in is None or sorted_in:
            content, tokens = _tools_in_order(self, content, tokens, sorted_in)
        if np.array_equal(content, prompts.segments.content) and not share.any():
            return prompts  # nothing moves
        return rebuilt(prompts, content, tokens)

    def _chosen(self, places: Places | None) -> NDArray[np.bool_]:
        if places is None:
            return np.ones(len(self.heads.segment), np.bool_)
        group = self.groups.index[self.heads.request]
        depth = self.heads.segment - self.prompts.segments.offsets[self.heads.request]
        asked = pl.DataFrame(sorted(places), schema=["group", "depth"], orient="row")
        rows = pl.DataFrame({"group": group, "depth": depth}).with_row_index("row")
        found = np.zeros(len(group), np.bool_)
        if len(asked):
            found[rows.join(asked, on=["group", "depth"], how="semi")["row"].to_numpy()] = True
        return found


def left_alone(
    prompts: Prompts, mended: Prompts, parts: Parts, alone: NDArray[np.bool_]
) -> Prompts:
    """Return the requests in `alone` as they are, and the others repaired."""
    theirs = np.repeat(alone, np.diff(prompts.segments.offsets))
    content = np.where(theirs, prompts.segments.content, mended.segments.content)
    tokens = np.where(theirs, parts.tokens, mended.segments.tokens)
    return rebuilt(prompts, content, tokens)


def _families(source: Mender, chosen: NDArray[np.bool_]) -> tuple[Small, NDArray[np.float64]]:
    """Return the content that represents each content, and the share of it that moves."""
    prompts, groups, heads = source.prompts, source.groups, source.heads
    sizes = prompts.contents.sizes
    family = np.arange(len(sizes), dtype=np.int32)
    moved = np.zeros(len(sizes))
    fresh = _fresh_places(prompts, groups, heads)
    standing: dict[tuple[int, int], int] = {}
    texts = Texts(prompts.contents, source.blocks)
    for row in np.flatnonzero(heads.is_new & (heads.base >= 0) & chosen):
        content, base = int(heads.content[row]), int(heads.base[row])
        if family[content] != content or content == base:
            continue
        longer = max(int(sizes[content]), int(sizes[base]), 1)
        same = int(heads.same[row])
        if same >= SAME_SHARE * longer and texts.same_tool(content, base):
            family[content] = family[base]
            moved[content] = max(0.0, 1 - same / max(int(sizes[content]), 1))
        elif fresh[row]:
            place = (int(groups.index[heads.request[row]]), _depth(prompts, heads, int(row)))
            family[content] = standing.setdefault(place, int(family[base]))
            moved[content] = 1.0
    return family, moved


def _depth(prompts: Prompts, heads: Heads, row: int) -> int:
    return int(heads.segment[row] - prompts.segments.offsets[heads.request[row]])


def _fresh_places(prompts: Prompts, groups: Groups, heads: Heads) -> NDArray[np.bool_]:
    """Return, per head segment, whether the content at its place always changes.

    In the first user message, its last part is excluded: it can't move.
    """
    depth = heads.segment - prompts.segments.offsets[heads.request]
    rows = pl.DataFrame(
        {
            "group": groups.index[heads.request],
            "depth": depth,
            "content": heads.content,
            "movable": ~heads.in_message | _is_followed(prompts, heads),
        }
    )
    distinct = pl.col("content").n_unique().over("group", "depth")
    often = pl.len().over("group", "depth")
    fresh = (distinct >= FRESH_CONTENTS) & (distinct >= FRESH_SHARE * often) & pl.col("movable")
    return rows.select(fresh).to_series().to_numpy()


def _is_followed(prompts: Prompts, heads: Heads) -> NDArray[np.bool_]:
    """Return whether long enough text of the same message follows a segment."""
    offsets, role = prompts.segments.offsets, prompts.segments.role
    following = np.minimum(heads.segment + 1, len(role) - 1)
    inside = heads.segment + 1 < offsets[heads.request + 1]
    size = prompts.contents.sizes[prompts.segments.content[following]]
    same = role[following] == role[heads.segment]
    return np.asarray(inside & same & (size >= MIN_MESSAGE_BYTES))


def _tools_in_order(
    source: Mender, content: Small, tokens: Small, templates: set[int] | None
) -> tuple[Small, Small]:
    """Return contents and tokens with each prompt's tools in one order."""
    tools = np.flatnonzero(source.parts.part == PARTS.index("tools"))
    owner = owners(tools, source.prompts.segments.offsets)
    if templates is not None:
        chosen = np.isin(source.groups.index[owner], sorted(templates))
        tools, owner = tools[chosen], owner[chosen]
    order = tools[np.lexsort((content[tools], owner))]
    content, tokens = content.copy(), tokens.copy()
    content[tools], tokens[tools] = content[order], tokens[order]
    return content, tokens
