"""Compiled loops for block caches of any capacity in one pass."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Small = NDArray[np.int32]

NEVER = 2**62  # distance of a block that was not seen before


@njit(cache=True, nogil=True)
def _add(tree: Small, place: int, change: int) -> None:
    while place < len(tree):
        tree[place] += change
        place += place & -place


@njit(cache=True, nogil=True)
def _sum(tree: Small, place: int) -> int:
    total = 0
    while place > 0:
        total += tree[place]
        place -= place & -place
    return total


@njit(cache=True, nogil=True)
def prefix_distances(offsets: Ints, block: Ints, blocks: int) -> Ints:
    """Find the capacity above which each block of a prefix is hit in an LRU cache.

    The stack distance of a block counts the distinct blocks used since its last use (by a Fenwick
    tree over uses, Olken 1981); a block of a prefix is hit only if those before it are, so that
    its distance is the largest so far. NEVER where some block was not seen before.
    """
    tree = np.zeros(len(block) + 1, np.int32)
    last = np.zeros(blocks, np.int64)  # use after which a block was not used again, from 1
    result = np.zeros(len(block), np.int64)
    for request in range(len(offsets) - 1):
        longest = 0
        for use in range(offsets[request], offsets[request + 1]):
            here = block[use]
            distance = NEVER
            if last[here] > 0:
                distance = _sum(tree, use) - _sum(tree, last[here])
                _add(tree, last[here], -1)
            longest = max(longest, distance)
            result[use] = longest
            last[here] = use + 1
            _add(tree, use + 1, 1)
    return result


@njit(cache=True, nogil=True)
def block_counts(offsets: Ints, tokens: Small, order: Ints, size: int) -> Ints:
    """Count the whole blocks of each prompt, in the given order."""
    counts = np.zeros(len(order) + 1, np.int64)
    for place in range(len(order)):
        request = order[place]
        last = offsets[request + 1] - 1
        total = tokens[last] if last >= offsets[request] else 0
        counts[place + 1] = counts[place] + total // size
    return counts


@njit(cache=True, nogil=True)
def fill_blocks(
    offsets: Ints, node: Small, tokens: Small, order: Ints, size: int, starts: Ints
) -> tuple[Ints, Ints]:
    """Name each whole block by the node in which it ends and by its number in the prompt."""
    ends_in = np.zeros(starts[-1], np.int64)
    number = np.zeros(starts[-1], np.int64)
    for place in range(len(order)):
        request = order[place]
        at = offsets[request]
        for block in range(starts[place + 1] - starts[place]):
            while tokens[at] < (block + 1) * size:
                at += 1
            ends_in[starts[place] + block] = node[at]
            number[starts[place] + block] = block
    return ends_in, number
