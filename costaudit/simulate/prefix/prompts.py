"""The prompts of a log as paths in one tree of shared beginnings."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.requests import INPUT_CLASSES, ORDER
from costaudit.simulate.prefix.pieces import Contents, cut_contents
from costaudit.simulate.segments import Codes, Ints, Segments, flat_segments

_RUNS = ("tool_use", "tool_result")  # kinds of which a run counts as one position
NO_TIME = -1  # microseconds: the log has none


@dataclass(frozen=True)
class Prompts:
    """Every prompt as a path of nodes; two prompts share a node iff they are equal up to it.

    Only prompts of one cache scope (provider, model, region, batch or not) share nodes.
    """

    segments: Segments
    contents: Contents
    offsets: Ints  # request i owns nodes offsets[i]:offsets[i + 1]
    node: NDArray[np.int32]  # after each piece
    tokens: NDArray[np.int32]  # billed input up to and with each piece
    end: Ints  # per segment: index of its last piece in `node`
    nodes: int
    scope: NDArray[np.int32]  # per request
    order: Ints  # requests by time, file and offset
    start: Ints  # microseconds; NO_TIME
    first_byte: Ints  # microseconds: when the answer began, or ended if that is all that is known
    last_byte: Ints
    billed: Ints  # input tokens, all classes
    sendable: NDArray[np.bool_]  # a chat request with a prompt that reached a provider

    @cached_property
    def segment_node(self) -> NDArray[np.int32]:
        """Give the node after each segment."""
        return self.node[self.end]

    @cached_property
    def segment_tokens(self) -> NDArray[np.int32]:
        """Give the billed input up to and with each segment."""
        return self.tokens[self.end]

    @cached_property
    def runs(self) -> Codes:
        """Tell of which run each segment can be a part: 1 of tool uses, 2 of results, 0 of none."""
        kinds = self.segments.kinds
        table = [_RUNS.index(kind) + 1 if kind in _RUNS else 0 for kind in kinds]
        return np.array([*table, 0], np.int8)[self.segments.kind]


def read_prompts(requests: pl.DataFrame, blocks: pl.DataFrame) -> Prompts:
    """Find what the prompts of a log share; the cost grows with segments, not with their length."""
    from costaudit.simulate.prefix.tree_kernels import grow_tree, piece_tokens, prompt_pieces

    segments = flat_segments(requests, blocks)
    contents = cut_contents(segments, blocks)
    scope = _numbered(requests.select("provider", "model", "region", "is_batch"))
    order = requests.with_row_index("row").sort(*ORDER, nulls_last=True, maintain_order=True)["row"]
    billed = requests.select(pl.sum_horizontal(INPUT_CLASSES).fill_null(0)).to_series().to_numpy()
    offsets, end = prompt_pieces(segments.offsets, segments.content, contents.offsets)
    in_order = order.to_numpy().astype(np.int64)
    node, nodes = grow_tree(
        in_order, scope, int(scope.max(initial=-1)) + 1, segments.offsets, segments.content,
        contents.offsets, contents.piece, offsets,
    )  # fmt: skip
    tokens = piece_tokens(
        segments.offsets, segments.content, _segment_tokens(segments, contents, blocks), billed,
        contents.offsets, contents.end, contents.sizes, offsets,
    )  # fmt: skip
    start, first_byte, last_byte = _times(requests)
    return Prompts(
        segments=segments,
        contents=contents,
        offsets=offsets,
        node=node,
        tokens=tokens,
        end=end,
        nodes=nodes,
        scope=scope,
        order=in_order,
        start=start,
        first_byte=first_byte,
        last_byte=last_byte,
        billed=billed,
        sendable=_sendable(requests, segments) & (billed > 0),
    )


def _numbered(columns: pl.DataFrame) -> NDArray[np.int32]:
    """Number the distinct rows."""
    rows = columns.with_columns(pl.all().cast(pl.String).fill_null(""))
    number = rows.select(pl.struct(pl.all()).rank("dense")).to_series()
    return number.to_numpy().astype(np.int32) - 1


def _segment_tokens(segments: Segments, contents: Contents, blocks: pl.DataFrame) -> Ints:
    """Fill in what the log lacks: the block's own count, else a quarter of its bytes."""
    known = blocks["tokens"].fill_null(-1).to_numpy().astype(np.int64)
    if len(known) == 0:
        known = np.zeros(1, np.int64)
    of_block = np.where(segments.block >= 0, known[segments.block], -1)
    of_text = (contents.sizes[segments.content] + 3) // 4
    guess = np.where(of_block > 0, of_block, of_text)
    return np.where(segments.tokens >= 0, segments.tokens, guess)


def _times(requests: pl.DataFrame) -> tuple[Ints, Ints, Ints]:
    start = requests["ts"].dt.epoch("us").fill_null(NO_TIME).to_numpy().astype(np.int64)
    latency = requests["latency_ms"].fill_null(0.0).fill_nan(0.0).to_numpy()
    to_first = requests["ttft_ms"].fill_nan(None).fill_null(pl.Series(latency)).to_numpy()
    first = start + np.maximum(1, (to_first * 1000).astype(np.int64))
    last = start + np.maximum(1, (latency * 1000).astype(np.int64))
    return start, first, np.maximum(first, last)


def _sendable(requests: pl.DataFrame, segments: Segments) -> NDArray[np.bool_]:
    reached = requests.select(
        (pl.col("served_by").fill_null("provider") != "gateway_cache")
        & (pl.col("kind").fill_null("chat") == "chat")
        & (pl.col("status").fill_null("ok") == "ok")
    ).to_series()
    return reached.to_numpy() & (np.diff(segments.offsets) > 0)
