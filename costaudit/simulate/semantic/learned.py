"""A cache whose entries learn how similar a question must be, within a bound on wrong answers.

It follows vCache (Schroeder et al. 2025, "vCache: Verified Semantic Prompt Caching"). Requests are
decided in order:
 1. Identical text is served, as by every other policy.
 2. Otherwise the most similar entry whose answer has arrived decides, ties going to the newest.
    The entry has observations: how similar earlier questions were, and whether its answer would
    have been right. Its answer is right with a probability p that rises with similarity along a
    curve (a logistic function), which is weighed over a grid of midpoints and slopes. It is served
    with probability min(1, bound / (1 - p)), so that its expected error is at most the bound, and
    never before the entry has LEAST observations.
 3. Otherwise the model is called. When its answer arrives, it is compared with the entry's answer,
    which is an observation of that entry. It is kept for identical text. It becomes an entry for
    similar text only if the other entry was not right, so that observations gather at few entries.
There is no TTL, no size limit and no guard.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from costaudit.engine.pool import single_products
from costaudit.simulate.semantic.packing import COLUMN_BITS, SIMILARITY_MASK, depth, from_depth
from costaudit.simulate.semantic.pairs import PairFinder, upper_bounds
from costaudit.simulate.semantic.stream import Nodes, Segment, Stream, nodes_of
from costaudit.simulate.semantic.sweep import BYPASS, MISS, Search

LEAST = 4  # observations that an entry needs before it serves similar questions
MIDPOINTS = np.linspace(0.6, 1.1, 26)  # similarity at which half of the answers are right
SLOPES = np.array([10.0, 20.0, 40.0, 80.0])
MOST = 200_000  # eligible requests; every round of `_Part.decide` takes about 6 µs for each

PairVerdicts = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Judge pairs: requests that asked, requests matched → int8 (pairs,): 1, 0, or -1 if unknown."""


@dataclass(frozen=True)
class Rule:
    """What the learning cache may do."""

    min_similarity: float  # less similar questions are never compared
    max_wrong_share: float  # expected share of wrong answers among the questions it compares
    seed: int = 0


@dataclass(frozen=True)
class Learned:
    """What the cache did with each request of a stream."""

    served: np.ndarray  # int32 (n,): the request whose answer is served, MISS or BYPASS
    similarity: np.ndarray  # float32 (n,): 1.0 for identical text; NaN unless served
    compared: np.ndarray  # int32 (n,): the request that a called one was compared with; -1: none
    entries: int  # texts with an answer at the end


def learn(
    stream: Stream,
    vectors: np.ndarray,
    rule: Rule,
    judge: PairVerdicts,
    search: Search,
) -> Learned | None:
    """Decide every request of a stream; None if there are too many requests or similar pairs.

    vectors: float32 (m, d) of unit length, aligned with stream.texts.
    """
    nodes = nodes_of(stream)
    if len(nodes.order) > MOST:
        return None
    served = np.full(len(stream.text), MISS, dtype=np.int32)
    served[stream.text < 0] = BYPASS
    similarity = np.full(len(served), np.nan, dtype=np.float32)
    compared = np.full(len(served), -1, dtype=np.int32)
    draws = np.random.default_rng(rule.seed).random(len(served))
    limit = int(depth(np.array([rule.min_similarity], dtype=np.float32))[0])
    entries = 0
    with single_products():
        bounds = search.bounds or upper_bounds(vectors, rule.min_similarity, search.sizes)
        finder = PairFinder(nodes, vectors, bounds, search.cells, search.sizes)
        for segment in nodes.segments:
            first, stop = segment.nodes.start, segment.nodes.stop
            most = search.sizes.listed_pairs
            if (stop - first) ** 2 > most and finder.expected(first, stop, limit) > most:
                return None
            lists = finder.neighbours(first, stop, limit)
            part = _Part(stream, nodes, segment, draws, rule.max_wrong_share, limit)
            entries += part.decide(lists.packed, lists.starts, judge)
            order = part.order
            hit = part.served >= 0
            served[order] = np.where(hit, order[np.maximum(part.served, 0)], MISS)
            similarity[order[hit]] = from_depth(part.depths[hit])
            known = part.matched >= 0
            compared[order[known]] = order[part.matched[known]]
    return Learned(served, similarity, compared, entries)


class _Part:
    """The requests of one segment, and what was decided about them."""

    def __init__(
        self,
        stream: Stream,
        nodes: Nodes,
        segment: Segment,
        draws: np.ndarray,
        bound: float,
        limit: int,
    ) -> None:
        self.order = order = nodes.order[segment.requests]
        count = len(order)
        self._node = nodes.node[segment.requests] - np.int32(segment.nodes.start)
        self._nodes = segment.nodes.stop - segment.nodes.start
        self._pool = nodes.pool[segment.requests]
        self._ts, self._ready = stream.ts_s[order], stream.ready_s[order]
        by_arrival = np.lexsort((np.arange(count), self._ready, self._pool))
        self._arriving = by_arrival.astype(np.int64)
        self._draws, self._bound, self._limit = draws[order], bound, limit
        self.served = np.empty(count, dtype=np.int32)
        self.depths = np.empty(count, dtype=np.int32)
        self.matched = np.empty(count, dtype=np.int64)

    def decide(self, packed: np.ndarray, starts: np.ndarray, judge: PairVerdicts) -> int:
        """Decide all requests, and return the number of texts with an answer.

        A verdict may change all later decisions, and with them which verdicts are needed. So all
        requests are decided again until no verdict is lacking; each time at least one more of the
        needed ones is known.
        """
        from costaudit.simulate.semantic.learned_kernels import decide_learned

        similarities = from_depth((packed >> COLUMN_BITS) & SIMILARITY_MASK)
        similarities = similarities.astype(np.float64)
        midpoint, slope = (part.ravel() for part in np.meshgrid(MIDPOINTS, SLOPES))
        count = len(self.order)
        known, verdicts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int8)
        while True:
            owner = np.full(self._nodes, -1, dtype=np.int32)
            lacking = np.zeros(count, dtype=np.bool_)
            missing = decide_learned(
                self._node, self._pool, self._ts, self._ready, self._arriving, starts, packed,
                self._limit, self._bound, LEAST, self._draws, similarities, midpoint, slope,
                known, verdicts, owner, np.zeros(self._nodes, dtype=np.bool_),
                np.zeros(self._nodes, dtype=np.int64), np.zeros((self._nodes, len(midpoint))),
                np.empty(count, dtype=np.int64), self.matched, lacking, self.served, self.depths,
            )  # fmt: skip
            if not missing:
                return len(np.unique(self._node[self.served == MISS]))
            asked = np.flatnonzero(lacking)
            matched = self.matched[asked]
            found = judge(self.order[asked], self.order[matched])
            known = np.concatenate([known, asked * count + matched])
            rank = np.argsort(known)
            known, verdicts = known[rank], np.concatenate([verdicts, found])[rank]
