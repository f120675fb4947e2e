"""Simulate the block cache of a self-hosted server (vLLM, SGLang) for every capacity at once."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.prefix import CapacityPoint
from costaudit.simulate.prefix.caches.replay import in_order
from costaudit.simulate.prefix.tree.prompts import Prompts
from costaudit.simulate.segments import Ints


@dataclass(frozen=True)
class BlockTrace:
    """Requests as sequences of blocks, in order of time; equal ids are equal prefixes."""

    offsets: Ints  # request i owns blocks offsets[i]:offsets[i + 1]
    block: Ints  # ids from 0
    block_tokens: int
    input_tokens: Ints  # per request

    @property
    def distinct(self) -> int:
        """Return the number of distinct blocks."""
        return int(self.block.max(initial=-1)) + 1


def prompt_blocks(prompts: Prompts, block_tokens: int) -> BlockTrace:
    """Return a log's prompts as whole blocks; incomplete blocks at their ends are never cached."""
    from costaudit.simulate.prefix.caches.share_kernels import block_counts, fill_blocks

    order = in_order(prompts, prompts.sendable)
    starts = block_counts(prompts.offsets, prompts.tokens, order, block_tokens)
    ends_in, number = fill_blocks(
        prompts.offsets, prompts.node, prompts.tokens, order, block_tokens, starts
    )
    ids = pl.DataFrame({"node": ends_in, "number": number}).select(
        pl.struct("node", "number").rank("dense")
    )
    block = ids.to_series().to_numpy().astype(np.int64) - 1
    return BlockTrace(starts, block, block_tokens, prompts.billed[order])


def trace_blocks(prompts: Prompts, block_tokens: int) -> BlockTrace:
    """Return each segment as one block, for a log of block hashes without text."""
    order = in_order(prompts, prompts.sendable)
    offsets = prompts.segments.offsets
    sizes = (offsets[1:] - offsets[:-1])[order]
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    rows = np.repeat(offsets[order] - starts[:-1], sizes) + np.arange(starts[-1])
    content = np.unique(prompts.segments.content[rows], return_inverse=True)[1]
    return BlockTrace(starts, content.astype(np.int64), block_tokens, prompts.billed[order])


def capacity_curve(
    trace: BlockTrace, capacities: tuple[int, ...] | None = None
) -> tuple[CapacityPoint, ...]:
    """Return the hit shares at capacities (in blocks) and without a limit, in one pass.

    `capacities` is by default the powers of two up to the number of distinct blocks.
    """
    from costaudit.simulate.prefix.caches.share_kernels import NEVER, prefix_distances

    if capacities is None:
        capacities = tuple(2**power for power in range(trace.distinct.bit_length()))
    distances = prefix_distances(trace.offsets, trace.block, trace.distinct)
    owner = np.repeat(np.arange(len(trace.input_tokens)), np.diff(trace.offsets))
    position = np.arange(len(distances)) - trace.offsets[owner]
    tokens = np.clip(
        trace.input_tokens[owner] - position * trace.block_tokens, 0, trace.block_tokens
    )
    order = np.argsort(distances, kind="stable")
    blocks_below = np.searchsorted(distances[order], [*capacities, NEVER], side="left")
    tokens_below = np.concatenate([np.zeros(1, np.int64), np.cumsum(tokens[order])])
    total = max(int(trace.input_tokens.sum()), 1)
    return tuple(
        CapacityPoint(capacity, float(count) / max(len(distances), 1),
                      float(tokens_below[count]) / total)
        for capacity, count in zip([*capacities, None], blocks_below, strict=True)
    )  # fmt: skip
