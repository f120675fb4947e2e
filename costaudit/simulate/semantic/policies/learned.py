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

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from costaudit.engine.pool import single_products
from costaudit.simulate.semantic.division import Search
from costaudit.simulate.semantic.packing import COLUMN_BITS, SIMILARITY_MASK, depth, from_depth
from costaudit.simulate.semantic.pairs import Neighbours, PairFinder, upper_bounds
from costaudit.simulate.semantic.stream import Nodes, Segment, Stream, nodes_of
from costaudit.simulate.semantic.sweep import BYPASS, MISS

LEAST = 4  # observations that an entry needs before it serves similar questions
MIDPOINTS = np.linspace(0.6, 1.1, 26)  # similarity at which half of the answers are right
SLOPES = np.array([10.0, 20.0, 40.0, 80.0])
MOST = 200_000  # eligible requests; a round of `_Part.decide` takes about 6 µs for each

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
    limit = int(depth(np.array([rule.min_similarity], dtype=np.float32))[0])
    draws = np.random.default_rng(rule.seed).random(len(stream.text))
    with single_products():
        bounds = search.bounds or upper_bounds(vectors, rule.min_similarity, search.sizes)
        finder = PairFinder(nodes, vectors, bounds, search.cells, search.sizes)
        found = _listed(finder, nodes, limit)
    if found is None:
        return None
    parts = [
        _Part(stream, nodes, segment, lists, draws)
        for segment, lists in zip(nodes.segments, found, strict=True)
    ]
    _settle(parts, rule.max_wrong_share, limit, judge)
    served = np.full(len(stream.text), MISS, dtype=np.int32)
    served[stream.text < 0] = BYPASS
    similarity = np.full(len(served), np.nan, dtype=np.float32)
    compared = np.full(len(served), -1, dtype=np.int32)
    for part in parts:
        order, hit, known = part.order, part.served >= 0, part.matched >= 0
        served[order[hit]] = order[part.served[hit]]
        similarity[order[hit]] = from_depth(part.depths[hit])
        compared[order[known]] = order[part.matched[known]]
    return Learned(served, similarity, compared, sum(part.entries for part in parts))


def _listed(finder: PairFinder, nodes: Nodes, limit: int) -> list[Neighbours] | None:
    """Return the similar nodes of each segment's nodes; None if there are too many to list."""
    lists: list[Neighbours] = []
    left = finder.sizes.listed_pairs
    for segment in nodes.segments:
        first, stop = segment.nodes.start, segment.nodes.stop
        if (stop - first) ** 2 > left and finder.expected(first, stop, limit) > left:
            return None
        lists.append(finder.neighbours(first, stop, limit))
        left -= len(lists[-1].packed)
    return lists


def _settle(parts: Sequence["_Part"], bound: float, limit: int, judge: PairVerdicts) -> None:
    """Decide the requests of all parts.

    A verdict may change all later decisions of its part, and with them which verdicts are needed.
    So a part is decided again until no verdict is lacking; each time at least one more of the
    needed ones is known.
    """
    while parts:
        parts = [part for part in parts if part.decide(bound, limit)]
        if parts:
            wanted = [part.wanted() for part in parts]
            asked, matched = (np.concatenate(side) for side in zip(*wanted, strict=True))
            found = judge(asked, matched)
            ends = np.cumsum([len(one) for one, _ in wanted])[:-1]
            for part, verdicts in zip(parts, np.split(found, ends), strict=True):
                part.add(verdicts)


class _Part:
    """The requests of one segment, and what was decided about them."""

    def __init__(
        self, stream: Stream, nodes: Nodes, segment: Segment, lists: Neighbours, draws: np.ndarray
    ) -> None:
        self.order = order = nodes.order[segment.requests]
        count = len(order)
        self._node = nodes.node[segment.requests] - np.int32(segment.nodes.start)
        self._nodes = segment.nodes.stop - segment.nodes.start
        self._pool = nodes.pool[segment.requests]
        self._ts, self._ready = stream.ts_s[order], stream.ready_s[order]
        by_arrival = np.lexsort((np.arange(count), self._ready, self._pool))
        self._arriving = by_arrival.astype(np.int64)
        self._lists, self._draws = lists, draws[order]
        alike = from_depth((lists.packed >> COLUMN_BITS) & SIMILARITY_MASK)
        self._similarities = alike.astype(np.float64)
        self._known, self._verdicts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int8)
        self._lacking = np.zeros(count, dtype=np.bool_)
        self.served = np.empty(count, dtype=np.int32)
        self.depths = np.empty(count, dtype=np.int32)
        self.matched = np.empty(count, dtype=np.int64)

    @property
    def entries(self) -> int:
        """The number of texts that the model was called for."""
        return len(np.unique(self._node[self.served == MISS]))

    def decide(self, bound: float, limit: int) -> bool:
        """Decide all requests, and return whether a verdict was lacking."""
        from costaudit.simulate.semantic.policies.learned_kernels import decide_learned

        midpoint, slope = (side.ravel() for side in np.meshgrid(MIDPOINTS, SLOPES))
        missing = decide_learned(
            self._node, self._pool, self._ts, self._ready, self._arriving, self._lists.starts,
            self._lists.packed, limit, bound, LEAST, self._draws, self._similarities,
            midpoint, slope, self._known, self._verdicts,
            np.full(self._nodes, -1, dtype=np.int32), np.zeros(self._nodes, dtype=np.bool_),
            np.zeros(self._nodes, dtype=np.int64), np.zeros((self._nodes, len(midpoint))),
            np.empty(len(self.order), dtype=np.int64), self.matched, self._lacking,
            self.served, self.depths,
        )  # fmt: skip
        return bool(missing)

    def wanted(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the requests whose verdict is lacking, and those they are compared with."""
        asked = np.flatnonzero(self._lacking)
        return self.order[asked], self.order[self.matched[asked]]

    def add(self, verdicts: np.ndarray) -> None:
        """Add the verdicts on the pairs that are wanted."""
        asked = np.flatnonzero(self._lacking)
        known = np.concatenate([self._known, asked * len(self.order) + self.matched[asked]])
        rank = np.argsort(known)
        self._known = known[rank]
        self._verdicts = np.concatenate([self._verdicts, verdicts])[rank]
