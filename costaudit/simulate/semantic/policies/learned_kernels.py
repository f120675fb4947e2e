"""Compiled decisions of a cache whose entries learn how similar a question must be.

Each entry weighs the cells of a grid: a midpoint and a slope of the curve that says how likely its
answer is right at a similarity. An observation (a similarity, and whether the answer was right)
multiplies each cell's weight by its likelihood.
"""

import numpy as np
from numba import njit

from costaudit.simulate.semantic.packing import (
    COLUMN_BITS,
    COLUMN_MASK,
    ONE_BITS,
    SIMILARITY_MASK,
)

MISS = -1
WRONG, RIGHT = 0, 1  # verdicts; a negative one teaches nothing


@njit(cache=True, nogil=True)
def decide_learned(  # type: ignore[no-untyped-def]  # compiled
    node, pool, ts, ready, arriving, starts, packed, limit, bound, least, draws, similarities,
    midpoint, slope, known, verdicts, owner, listed, seen, weights, compared, matched, lacking,
    served, depths,
):  # fmt: skip
    """Decide all requests in order, and return how many verdicts were lacking.

    node, pool: int32 (n,), each request's node and pool. ts, ready: float64 (n,). arriving: int64
    (n,), requests by pool and ready time. starts, packed: each node's similar nodes, nearest first.
    limit: the deepest similarity that is compared. bound: the share of wrong answers. least: the
    observations that an entry needs before it serves. draws: float64 (n,), between 0 and 1.
    similarities: float64 (pairs,). midpoint, slope: float64 (cells,). known, verdicts: int64 and
    int8 (k,), sorted pairs (request * n + matched request) and their verdicts. owner: int32 (m,),
    the request whose answer the cache has for a node, or -1. listed: bool (m,), whether the node
    serves similar questions. seen, weights: int64 (m,) and float64 (m, cells), the observations and
    the logarithms of the weights. compared, matched: int64 (n,), the pair and the request that a
    called request is compared with, or -1. lacking: bool (n,), whether its verdict is unknown.
    served, depths: int32 (n,), the results.
    """
    arrived = missing = 0
    for r in range(node.shape[0]):
        while arrived < len(arriving):
            one = arriving[arrived]
            if pool[one] > pool[r] or (pool[one] == pool[r] and (one >= r or ready[one] > ts[r])):
                break
            arrived += 1
            if pool[one] == pool[r] and served[one] == MISS:
                missing += store(
                    one, node, packed, similarities, midpoint, slope, known, verdicts, owner,
                    listed, seen, weights, compared, matched, lacking,
                )  # fmt: skip
        here = node[r]
        served[r], depths[r], compared[r], matched[r] = MISS, ONE_BITS, -1, -1
        lacking[r] = False
        if owner[here] >= 0:
            served[r], depths[r] = owner[here], 0
            continue
        place = nearest_listed(starts[here], starts[here + 1], limit, packed, owner, listed)
        if place < 0:
            continue
        other = packed[place] & COLUMN_MASK
        alike = similarities[place]
        if seen[other] >= least and draws[r] * (
            1 - likely_right(alike, midpoint, slope, weights[other])
        ) < bound:  # fmt: skip
            served[r] = owner[other]
            depths[r] = (packed[place] >> COLUMN_BITS) & SIMILARITY_MASK
        else:
            compared[r], matched[r] = place, owner[other]
    return missing


@njit(cache=True, nogil=True)
def nearest_listed(place, end, limit, packed, owner, listed):  # type: ignore[no-untyped-def]  # compiled
    """Return the place of the most similar node that serves similar questions (ties: the newest).

    It is -1 where there is none down to the limit.
    """
    best, depth = -1, limit
    while place < end:
        found = (packed[place] >> COLUMN_BITS) & SIMILARITY_MASK
        if found > depth:
            break
        other = packed[place] & COLUMN_MASK
        if listed[other] and (best < 0 or owner[other] > owner[packed[best] & COLUMN_MASK]):
            best, depth = place, found
        place += 1
    return best


@njit(cache=True, nogil=True)
def likely_right(alike, midpoint, slope, weights):  # type: ignore[no-untyped-def]  # compiled
    """Return the probability that an entry's answer is right at a similarity."""
    top = weights.max()
    total = right = 0.0
    for k in range(len(weights)):
        weight = np.exp(weights[k] - top)
        total += weight
        right += weight / (1 + np.exp(slope[k] * (midpoint[k] - alike)))
    return right / total


@njit(cache=True, nogil=True)
def store(  # type: ignore[no-untyped-def]  # compiled
    one, node, packed, similarities, midpoint, slope, known, verdicts, owner, listed, seen,
    weights, compared, matched, lacking,
):  # fmt: skip
    """Keep an answer that arrives, and learn from it; return 1 if its verdict is lacking, else 0.

    It serves similar questions too, unless the entry that it is compared with was right. A lacking
    verdict is guessed by what the entry has learned.
    """
    here, place = node[one], compared[one]
    if owner[here] < 0:
        owner[here] = one
    if place < 0:
        listed[here] = True
        return 0
    other = packed[place] & COLUMN_MASK
    pair = np.int64(one) * len(node) + matched[one]
    row = np.searchsorted(known, pair)
    lacking[one] = row == len(known) or known[row] != pair
    if lacking[one]:
        likely = likely_right(similarities[place], midpoint, slope, weights[other])
        verdict = RIGHT if likely > 0.5 else WRONG
    else:
        verdict = verdicts[row]
    if verdict != RIGHT:
        listed[here] = True
    if verdict >= WRONG:
        sign = 1.0 if verdict == RIGHT else -1.0
        for k in range(len(midpoint)):
            away = sign * slope[k] * (similarities[place] - midpoint[k])
            weights[other, k] -= np.log1p(np.exp(-away))
        seen[other] += 1
    return int(lacking[one])
