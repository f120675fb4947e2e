"""Arrange the prompts of a log as paths in one prefix tree, grouped by template."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.requests import INPUT_CLASSES, SENT_TO_PROVIDER, time_order
from costaudit.contracts.run_dir import column
from costaudit.simulate.moving_text import same_words
from costaudit.simulate.prefix.tree.settings import SettingName, Settings, request_settings
from costaudit.simulate.prefix.tree.unseen import with_unseen_heads
from costaudit.simulate.segments import ROLES, Codes, Ints, Segments, Small, flat_segments, numbered

MIN_PIECE_BYTES = 16  # shorter common beginnings get no piece: about four tokens


@dataclass(frozen=True)
class Contents:
    """The distinct contents of a log (role, kind and block), and their shared pieces."""

    offsets: Ints  # content c owns pieces offsets[c]:offsets[c + 1]
    piece: NDArray[np.int32]  # equal if the beginnings, including the piece, are equal
    end: Small  # bytes up to the piece's end
    sizes: Small  # bytes of each content; 0 without text
    block: Small  # row of BLOCKS of each content; -1 if the block is missing
    role: NDArray[np.int8]
    kind: NDArray[np.int16]


def cut_contents(segments: Segments, blocks: pl.DataFrame) -> Contents:
    """Cut every distinct content where it diverges from others of the same role and kind."""
    from costaudit.simulate.prefix.tree.tree_kernels import (
        common_heads,
        fill_pieces,
        kept_ancestors,
        piece_counts,
        shared_intervals,
    )

    first = np.zeros(segments.contents, np.int64)
    first[segments.content[::-1]] = np.arange(len(segments.content) - 1, -1, -1)
    block = segments.block[first]
    texts = _texts(blocks["text"], block)
    group = segments.role[first].astype(np.int64) * (len(segments.kinds) + 1) + segments.kind[first]
    data, starts, sizes = _utf8(texts)
    order = _sorted(texts, group)
    shared = common_heads(data, starts, sizes, order, group)
    leaf_in_order, parent, length = shared_intervals(shared)
    leaf = np.empty_like(leaf_in_order)
    leaf[order] = leaf_in_order
    kept = kept_ancestors(parent, length, np.argsort(length, kind="stable"), MIN_PIECE_BYTES)
    counts = piece_counts(leaf, kept, parent)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    piece, end = fill_pieces(leaf, kept, parent, length, sizes, offsets)
    return Contents(offsets, piece, end.astype(np.int32), sizes.astype(np.int32), block,
                    segments.role[first], segments.kind[first])  # fmt: skip


def _texts(texts: pl.Series, rows: Small) -> pl.Series:
    picked = texts.gather(pl.Series(np.maximum(rows, 0)))
    if (rows < 0).any():
        picked = picked.zip_with(pl.Series(rows >= 0), pl.Series([""]))
    return picked.fill_null("").rechunk()


def _sorted(texts: pl.Series, group: Ints) -> Ints:
    """Return the order of texts within each group."""
    frame = pl.DataFrame({"group": group, "text": texts})
    return frame.select(pl.arg_sort_by("group", "text")).to_series().to_numpy().astype(np.int64)


def _utf8(texts: pl.Series) -> tuple[NDArray[np.uint8], Ints, Ints]:
    """Return the texts' concatenated bytes, with starts and sizes."""
    column = texts.to_arrow(compat_level=pl.CompatLevel.oldest())  # as large_string
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return raw, bounds[:-1].copy(), np.diff(bounds)


_TOOLS = ROLES.index("tools")


class Texts:
    """Looks up the text of a content, and the tool that it defines."""

    def __init__(self, contents: Contents, blocks: pl.DataFrame) -> None:
        self._contents = contents
        self._texts = blocks["text"]

    def text(self, content: int) -> str:
        """Return the text of a content; "" if the log has none, or for -1."""
        row = int(self._contents.block[content]) if content >= 0 else -1
        return (self._texts[row] or "") if row >= 0 else ""

    def bytes_of(self, contents: Small) -> tuple[NDArray[np.uint8], Ints, Ints]:
        """Return the concatenated UTF-8 of contents, and where each begins and its size."""
        return _utf8(_texts(self._texts, self._contents.block[contents]))

    def same_form(self, one: int, other: int) -> bool:
        """Return whether two contents differ only in white space or order of JSON keys."""
        left, right = self.text(one), self.text(other)
        if left[:1] in "{[" and right[:1] in "{[" and left[:1]:
            try:
                return bool(json.loads(left) == json.loads(right))
            except ValueError:
                pass
        return bool(left) and same_words(left, right)

    def same_tool(self, one: int, other: int) -> bool:
        """Return whether two contents may be versions of one thing; tools need the same name."""
        if self._contents.role[one] != _TOOLS:
            return True
        return tool_name(self.text(one)) == tool_name(self.text(other))


def tool_name(text: str) -> str:
    """Return the name in a tool's definition; "" if it has none."""
    try:
        tool = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(tool, dict):
        return ""
    for holder in (tool, tool.get("function"), tool.get("toolSpec")):
        if isinstance(holder, dict) and isinstance(holder.get("name"), str):
            return str(holder["name"])
    return ""


_RUNS = ("tool_use", "tool_result")  # kinds of which a run counts as one position
NO_TIME = -1  # instead of microseconds, if the log has no time


@dataclass(frozen=True)
class Prompts:
    """Every prompt as a path of nodes; prompts share exactly the nodes up to which they are equal.

    Only prompts of one cache scope (see SCOPE) share nodes, and only after equal settings.
    """

    segments: Segments
    contents: Contents
    offsets: Ints  # request i owns nodes offsets[i]:offsets[i + 1]
    node: NDArray[np.int32]  # after each piece
    tokens: NDArray[np.int32]  # billed input up to each piece's end
    end: Small  # per segment: index of its last piece in `node`
    nodes: int
    scope: NDArray[np.int32]  # per request
    settings: Settings
    warm: Small  # per request: segment that a call before the log wrote; -1 for none
    order: Ints  # requests by time, file and offset
    start: Ints  # microseconds; NO_TIME
    first_byte: Ints  # microseconds: when the answer began or, if unknown, ended
    last_byte: Ints
    billed: Ints  # input tokens, all classes
    sendable: NDArray[np.bool_]  # a chat request with a prompt that reached a provider
    cut: NDArray[np.bool_]  # the exporter left out a part of the prompt

    @property
    def segment_node(self) -> NDArray[np.int32]:
        """Return the node after each segment; laid out anew, as it takes much memory."""
        return self.node[self.end]

    @property
    def segment_tokens(self) -> NDArray[np.int32]:
        """Return the billed input up to each segment's end."""
        return self.tokens[self.end]

    @cached_property
    def class_type(self) -> type[np.signedinteger[Any]]:
        """The integers that hold each request's input tokens: of 32 bits, if those are enough."""
        return np.int32 if self.billed.max(initial=0) < 2**31 else np.int64

    @cached_property
    def runs(self) -> Codes:
        """Return each segment's kind of run: 1 for tool uses, 2 for results, 0 for none."""
        kinds = self.segments.kinds
        table = [_RUNS.index(kind) + 1 if kind in _RUNS else 0 for kind in kinds]
        return np.array([*table, 0], np.int8)[self.segments.kind]


SCOPE = ("provider", "model", "region", "is_batch", "account", "cache_key")


def read_prompts(
    requests: pl.DataFrame, blocks: pl.DataFrame, segments: Segments | None = None
) -> Prompts:
    """Return a log's prompts in one tree; the work grows with segments, not their length.

    `segments` are the requests' segments, if they were laid out before.
    """
    from costaudit.simulate.prefix.tree.tree_kernels import grow_tree, piece_tokens, prompt_pieces

    unseen = with_unseen_heads(requests, blocks, segments or flat_segments(requests, blocks))
    segments = unseen.segments
    contents = cut_contents(segments, blocks)
    _, scope = numbered(requests.select(pl.col(SCOPE).cast(pl.String).fill_null("")))
    settings = request_settings(requests)
    order = time_order(requests)
    billed = requests.select(pl.sum_horizontal(INPUT_CLASSES).fill_null(0)).to_series().to_numpy()
    offsets, end = prompt_pieces(segments.offsets, segments.content, contents.offsets)
    in_order = order.to_numpy().astype(np.int64)
    node, nodes = grow_tree(
        in_order, scope, int(scope.max(initial=-1)) + 1, segments.offsets, segments.content,
        contents.offsets, contents.piece, offsets, segments.role, settings.hops(),
    )  # fmt: skip
    tokens = piece_tokens(
        segments.offsets, segments.content, _segment_tokens(segments, contents, blocks), billed,
        contents.offsets, contents.end, contents.sizes, offsets,
    )  # fmt: skip
    start, first_byte, last_byte = _times(requests)
    sendable = _sendable(requests, segments) & (billed > 0)
    cut = pl.col("truncated") & pl.col("answer_kind").ne_missing("missing")  # else: the answer
    return Prompts(
        segments=segments,
        contents=contents,
        offsets=offsets,
        node=node,
        tokens=tokens,
        end=end,
        nodes=nodes,
        scope=scope,
        settings=settings,
        warm=unseen.warm,
        order=in_order,
        start=start,
        first_byte=first_byte,
        last_byte=last_byte,
        billed=billed,
        sendable=sendable,
        cut=requests.select(cut.fill_null(False)).to_series().to_numpy() & sendable,
    )


def rebuilt(prompts: Prompts, content: Small, tokens: Small) -> Prompts:
    """Return the prompts with new contents and tokens per segment."""
    from costaudit.simulate.prefix.tree.tree_kernels import grow_tree, piece_tokens, prompt_pieces
    from costaudit.simulate.segment_kernels import sums_of

    segments, pieces = prompts.segments, prompts.contents
    billed = sums_of(segments.offsets, tokens)
    offsets, end = prompt_pieces(segments.offsets, content, pieces.offsets)
    node, nodes = grow_tree(
        prompts.order, prompts.scope, int(prompts.scope.max(initial=-1)) + 1, segments.offsets,
        content, pieces.offsets, pieces.piece, offsets, segments.role, prompts.settings.hops(),
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


def without_settings(prompts: Prompts, fields: tuple[SettingName, ...]) -> Prompts:
    """Return the prompts as if these settings never changed."""
    from costaudit.simulate.prefix.tree.tree_kernels import grow_tree

    segments, pieces = prompts.segments, prompts.contents
    node, nodes = grow_tree(
        prompts.order, prompts.scope, int(prompts.scope.max(initial=-1)) + 1, segments.offsets,
        segments.content, pieces.offsets, pieces.piece, prompts.offsets, segments.role,
        prompts.settings.hops(fields),
    )  # fmt: skip
    return replace(prompts, node=node, nodes=nodes)


def _segment_tokens(segments: Segments, contents: Contents, blocks: pl.DataFrame) -> Small:
    """Return tokens per segment, or else the block's count, or a quarter of its bytes."""
    unknown = np.flatnonzero(segments.tokens < 0)
    if not len(unknown):
        return segments.tokens
    known = np.append(blocks["tokens"].fill_null(-1).to_numpy(), -1)  # the last: of no block
    of_block = known[segments.block[unknown]]
    of_text = (contents.sizes[segments.content[unknown]] + 3) // 4
    tokens = segments.tokens.copy()
    tokens[unknown] = np.where(of_block > 0, of_block, of_text)
    return tokens


def _times(requests: pl.DataFrame) -> tuple[Ints, Ints, Ints]:
    start = column(requests, "ts").dt.epoch("us").fill_null(NO_TIME).to_numpy().astype(np.int64)
    latency = column(requests, "latency_ms").fill_null(0.0).fill_nan(0.0).to_numpy()
    to_first = column(requests, "ttft_ms").fill_nan(None).fill_null(pl.Series(latency)).to_numpy()
    first = start + np.maximum(1, (to_first * 1000).astype(np.int64))
    last = start + np.maximum(1, (latency * 1000).astype(np.int64))
    return start, first, np.maximum(first, last)


def _sendable(requests: pl.DataFrame, segments: Segments) -> NDArray[np.bool_]:
    reached = requests.select(
        SENT_TO_PROVIDER
        & (pl.col("kind").fill_null("chat") == "chat")
        & (pl.col("status").fill_null("ok") == "ok")
    ).to_series()
    return reached.to_numpy() & (np.diff(segments.offsets) > 0)


MIN_SHARE = 0.05  # share of an endpoint and model's requests; rarer skeletons are merged
KEYS = ("endpoint", "provider", "model")


@dataclass(frozen=True)
class Group:
    """One prompt template."""

    template_id: str  # equal for equal endpoint, provider, model and skeleton
    endpoint: str
    provider: str
    model: str
    requests: int


@dataclass(frozen=True)
class Groups:
    """The templates, most input first, and the template of each request."""

    groups: tuple[Group, ...]
    index: Ints  # per request; -1 if it can't be simulated

    @cached_property
    def rows(self) -> list[Small]:
        """The row numbers of each template's requests."""
        order = np.argsort(self.index, kind="stable")
        bounds = np.searchsorted(self.index[order], np.arange(len(self.groups) + 1))
        rows = order.astype(np.int32)
        return [rows[first:last] for first, last in pairwise(bounds)]

    def owns(self, offsets: Ints) -> NDArray[np.bool_]:
        """Return flags of the segments of requests that have a template."""
        return np.repeat(self.index >= 0, np.diff(offsets))


def group_requests(requests: pl.DataFrame, prompts: Prompts, skeletons: pl.Series) -> Groups:
    """Group simulated requests by endpoint, provider, model and skeleton of the system prompt.

    Skeletons with less than MIN_SHARE of an endpoint's requests are one template; otherwise, each
    system prompt with a document would be its own.
    """
    kinds, kind = numbered(
        requests.select(
            pl.col(KEYS).cast(pl.String).fill_null(""), skeleton=skeletons.cast(pl.Int64)
        )
    )
    chosen = np.flatnonzero(prompts.sendable)
    sums = pl.DataFrame(
        {
            "kind": kind[chosen],
            "tokens": prompts.billed[chosen],
            "order": _positions(prompts.order)[chosen],
        }
    )
    sums = sums.group_by("kind").agg(
        requests=pl.len(), tokens=pl.col("tokens").sum(), first=pl.col("order").min()
    )
    rows = kinds.with_row_index("kind").join(sums.cast({"kind": pl.UInt32}), on="kind")
    often = pl.col("requests") >= MIN_SHARE * pl.col("requests").sum().over(*KEYS)
    rows = rows.with_columns(skeleton=pl.when(often).then("skeleton").otherwise(-1))
    found = (
        rows.group_by(*KEYS, "skeleton")
        .agg(pl.col("requests", "tokens").sum(), pl.col("first").min())
        .sort("tokens", "first", descending=[True, False])
        .with_row_index("group")
    )
    names = found.with_columns(rank=pl.col("first").rank("dense").over(*KEYS) - 1)
    joined = rows.join(found.select(*KEYS, "skeleton", "group"), on=[*KEYS, "skeleton"])
    of_kind = np.full(len(kinds), -1, np.int64)
    of_kind[joined["kind"].to_numpy()] = joined["group"].to_numpy()
    index = np.where(prompts.sendable, of_kind[kind], -1)
    return Groups(tuple(_group(row) for row in names.iter_rows(named=True)), index)


def _group(row: dict[str, object]) -> Group:
    label = "\0".join(str(row[key]) for key in (*KEYS, "rank"))
    digest = hashlib.sha256(label.encode()).hexdigest()[:8]
    return Group(
        template_id=digest,
        endpoint=str(row["endpoint"]),
        provider=str(row["provider"]),
        model=str(row["model"]),
        requests=int(str(row["requests"])),
    )


def _positions(order: Ints) -> Ints:
    positions = np.empty_like(order)
    positions[order] = np.arange(len(order))
    return positions
