"""The decisions of one segment of a stream, and what each cache holds between segments."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from costaudit.contracts.policies import SemanticPolicy
from costaudit.simulate.semantic.packing import COLUMN_MASK, MAX_ROWS, depth
from costaudit.simulate.semantic.pairs import Neighbours, PairFinder
from costaudit.simulate.semantic.stream import Nodes, Segment, Stream

_TOGETHER = 62  # settings in one bit mask
_EVICTIONS = ("fifo", "lru", "lfu")


@dataclass(frozen=True)
class Arrivals:
    """The requests of one segment, in the order in which they are decided."""

    node: np.ndarray  # int32 (r,), from the segment's first node
    pool: np.ndarray  # int32 (r,)
    ts_s: np.ndarray  # float64 (r,)
    ready_s: np.ndarray  # float64 (r,)
    nodes: int
    checked: np.ndarray  # int32 (r,), equal where the fields of scope_after are equal


@dataclass(frozen=True)
class Block:
    """Successive arrivals, with the similar nodes of every node that they ask for."""

    start: int
    stop: int
    neighbours: Neighbours
    row_of: np.ndarray  # int32 (nodes,), row of neighbours
    node_of: np.ndarray  # int (rows,), node of a row
    verdicts: np.ndarray  # uint8 (pairs,): 0 unknown, 1 pass, 2 refuse


class State(ABC):
    """The state of caches that decide block by block; served and depths hold the results."""

    settings: tuple[int, ...]  # places in the list of policies
    served: np.ndarray  # int32 (r, settings), place of the request served; < 0: none
    depths: np.ndarray  # int32 (r, settings)
    evicted: np.ndarray | None = None  # int32 (r,), place of the evicted request; -1: none

    @abstractmethod
    def decide(self, block: Block, asked: np.ndarray) -> int:
        """Decide a block; list in `asked` the pairs without verdict, and return their number."""

    @abstractmethod
    def lowest_live(self, now: float, deepest: np.ndarray) -> None:
        """Raise `deepest` (nodes,) to the lowest similarity at which each live entry can serve."""

    @abstractmethod
    def parts(self) -> Sequence[np.ndarray]:
        """Return the arrays that a block changes, results aside."""

    def save(self) -> list[np.ndarray]:
        """Return a copy of the arrays that a block changes."""
        return [part.copy() for part in self.parts()]

    def restore(self, saved: list[np.ndarray]) -> None:
        """Put the saved arrays back."""
        for mine, theirs in zip(self.parts(), saved, strict=True):
            mine[:] = theirs


def limit_of(policy: SemanticPolicy) -> int:
    """Return the deepest similarity that hits at the threshold; -1 if only equal text may hit."""
    if policy.min_similarity > 1:
        return -1
    return int(depth(np.array([policy.min_similarity], dtype=np.float32))[0])


def states_for(
    policies: Sequence[SemanticPolicy], arrivals: Arrivals, *, guarded: bool
) -> Iterator[State]:
    """Yield the states: one for all policies without a size limit, one per other policy.

    Policies that match identical text only gain nothing by one state: each has its own.
    """
    if policies[0].scope_after:
        for place, policy in enumerate(policies):
            yield CheckedState(policy, place, arrivals)
        return
    unlimited = [place for place, policy in enumerate(policies) if policy.max_entries is None]
    unlimited.sort(key=lambda place: (-limit_of(policies[place]), place))
    similar = any(limit_of(policies[place]) >= 0 for place in unlimited)
    together = _TOGETHER if similar else 1
    for start in range(0, len(unlimited), together):
        yield UnlimitedState(policies, unlimited[start : start + together], arrivals, guarded)
    for place, policy in enumerate(policies):
        if policy.max_entries is not None:
            yield LimitedState(policy, place, arrivals, guarded)


class UnlimitedState(State):
    """Caches that lose entries only by their TTL; each has one bit of a mask."""

    def __init__(
        self,
        policies: Sequence[SemanticPolicy],
        places: Sequence[int],
        arrivals: Arrivals,
        guarded: bool,
    ) -> None:
        self.settings = tuple(places)
        chosen = [policies[place] for place in places]
        self._limits = np.array([limit_of(policy) for policy in chosen], dtype=np.int64)
        self._ttls = np.array([_ttl(policy) for policy in chosen])
        self._sliding = sum(1 << k for k, one in enumerate(chosen) if one.ttl_kind == "sliding")
        self._guarded = (1 << len(chosen)) - 1 if guarded else 0
        self._arrivals = arrivals
        self._live = np.zeros(arrivals.nodes, dtype=np.int64)
        self._owner = np.full((arrivals.nodes, len(chosen)), -1, dtype=np.int32)
        self._used = np.full((arrivals.nodes, len(chosen)), -1, dtype=np.int32)
        self.served = np.empty((len(arrivals.node), len(chosen)), dtype=np.int32)
        self.depths = np.empty((len(arrivals.node), len(chosen)), dtype=np.int32)

    def decide(self, block: Block, asked: np.ndarray) -> int:
        """Decide a block; list in `asked` the pairs without verdict, and return their number."""
        from costaudit.simulate.semantic.decision_kernels import decide

        arrivals, lists = self._arrivals, block.neighbours
        return int(
            decide(
                block.start, block.stop, arrivals.node, arrivals.ts_s, arrivals.ready_s,
                lists.starts, block.row_of, lists.packed, block.verdicts, asked,
                self._limits, self._ttls, self._sliding, self._guarded,
                self._live, self._owner, self._used, self.served, self.depths,
            )
        )  # fmt: skip

    def lowest_live(self, now: float, deepest: np.ndarray) -> None:
        """Raise `deepest` (nodes,) to the lowest similarity at which each live entry can serve."""
        from costaudit.simulate.semantic.decision_kernels import lowest_live

        lowest_live(
            now, self._arrivals.ts_s, self._limits, self._ttls, self._live, self._used, deepest
        )

    def parts(self) -> Sequence[np.ndarray]:
        """Return the arrays that a block changes, results aside."""
        return self._live, self._owner, self._used


class LimitedState(State):
    """One cache that holds at most max_entries in each pool."""

    def __init__(
        self, policy: SemanticPolicy, place: int, arrivals: Arrivals, guarded: bool
    ) -> None:
        self.settings = (place,)
        self._limit = limit_of(policy)
        self._ttl = _ttl(policy)
        self._sliding = policy.ttl_kind == "sliding"
        self._guarded = guarded
        self._capacity = policy.max_entries
        self._eviction = _EVICTIONS.index(policy.eviction)
        self._arrivals = arrivals
        count = len(arrivals.node)
        self._owner = np.full(arrivals.nodes, -1, dtype=np.int32)
        self._used = np.full(arrivals.nodes, -1, dtype=np.int32)
        self._rank = np.zeros(arrivals.nodes, dtype=np.int64)
        self._heap_keys = np.zeros(count, dtype=np.int64)
        self._heap_nodes = np.zeros(count, dtype=np.int32)
        self._queue = np.zeros(count, dtype=np.int32)
        self._counters = np.zeros(4, dtype=np.int64)
        self.served = np.empty((count, 1), dtype=np.int32)
        self.depths = np.empty((count, 1), dtype=np.int32)
        self._evicted = np.full(count, -1, dtype=np.int32)
        self.evicted = self._evicted

    def decide(self, block: Block, asked: np.ndarray) -> int:
        """Decide a block; list in `asked` the pairs without verdict, and return their number."""
        from costaudit.simulate.semantic.bounded_kernels import decide_bounded

        arrivals, lists = self._arrivals, block.neighbours
        return int(
            decide_bounded(
                block.start, block.stop, arrivals.node, arrivals.pool,
                arrivals.ts_s, arrivals.ready_s,
                lists.starts, block.row_of, lists.packed, block.verdicts, asked,
                self._limit, self._ttl, self._sliding, self._guarded,
                self._capacity, self._eviction,
                self._owner, self._used, self._rank, self._heap_keys, self._heap_nodes,
                self._queue, self._counters,
                self.served[:, 0], self.depths[:, 0], self._evicted,
            )
        )  # fmt: skip

    def lowest_live(self, now: float, deepest: np.ndarray) -> None:
        """Raise `deepest` (nodes,) to the lowest similarity at which each live entry can serve."""
        held = self._owner >= 0
        deepest[held] = np.maximum(deepest[held], self._limit)

    def parts(self) -> Sequence[np.ndarray]:
        """Return the arrays that a block changes, results aside."""
        return (
            self._owner, self._used, self._rank, self._heap_keys, self._heap_nodes,
            self._queue, self._counters, self._evicted,
        )  # fmt: skip


class CheckedState(State):
    """One cache that compares the fields of scope_after with the nearest entry only."""

    def __init__(self, policy: SemanticPolicy, place: int, arrivals: Arrivals) -> None:
        self.settings = (place,)
        self._limit = limit_of(policy)
        self._ttl = _ttl(policy)
        self._sliding = policy.ttl_kind == "sliding"
        self._arrivals = arrivals
        count = len(arrivals.node)
        order = (np.arange(count), arrivals.ready_s, arrivals.pool)
        self._arriving = np.lexsort(order).astype(np.int64)
        self._owner = np.full(arrivals.nodes, -1, dtype=np.int32)
        self._used = np.full(arrivals.nodes, -1, dtype=np.int32)
        self._stores = np.zeros(count, dtype=np.bool_)
        self._counters = np.zeros(1, dtype=np.int64)
        self.served = np.empty((count, 1), dtype=np.int32)
        self.depths = np.empty((count, 1), dtype=np.int32)

    def decide(self, block: Block, asked: np.ndarray) -> int:
        """Decide a block; no pair lacks a verdict, because this policy has no guard."""
        from costaudit.simulate.semantic.checked_kernels import decide_checked

        arrivals, lists = self._arrivals, block.neighbours
        decide_checked(
            block.start, block.stop, arrivals.node, arrivals.pool, arrivals.checked,
            arrivals.ts_s, arrivals.ready_s, self._arriving,
            lists.starts, block.row_of, lists.packed,
            self._limit, self._ttl, self._sliding,
            self._owner, self._used, self._stores, self._counters,
            self.served[:, 0], self.depths[:, 0],
        )  # fmt: skip
        return 0

    def lowest_live(self, now: float, deepest: np.ndarray) -> None:
        """Raise `deepest` (nodes,) to the limit where there is, or will be, an entry."""
        held = self._owner >= 0
        held[self._arrivals.node[self._stores]] = True
        deepest[held] = np.maximum(deepest[held], self._limit)

    def parts(self) -> Sequence[np.ndarray]:
        """Return the arrays that a block changes, results aside."""
        return self._owner, self._used, self._stores, self._counters


def _ttl(policy: SemanticPolicy) -> float:
    return float("inf") if policy.ttl_s is None else policy.ttl_s


PairGuard = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Refuse pairs: int32 rows of texts asked for, int32 rows of texts held → bool (pairs,)."""

_PASS, _REFUSE = 1, 2
_NOT_LIVE = -2


def arrivals_of(stream: Stream, nodes: Nodes, segment: Segment) -> Arrivals:
    """Return the requests of a segment."""
    order = nodes.order[segment.requests]
    first, pool = segment.nodes.start, nodes.pool[segment.requests]
    return Arrivals(
        node=nodes.node[segment.requests] - np.int32(first),
        pool=pool,
        ts_s=stream.ts_s[order],
        ready_s=stream.ready_s[order],
        nodes=segment.nodes.stop - first,
        checked=pool if stream.checked is None else stream.checked[order],
    )


def decide_segment(
    arrivals: Arrivals,
    nodes: Nodes,
    segment: Segment,
    finder: PairFinder,
    policies: Sequence[SemanticPolicy],
    guard: PairGuard | None,
) -> Iterator[State]:
    """Decide the requests of a segment under all policies; the states hold the results.

    Where all pairs are found first, one state after another is made and decided.
    """
    first = segment.nodes.start
    states: Iterable[State] = states_for(policies, arrivals, guarded=guard is not None)
    lowest = max(limit_of(policy) for policy in policies)
    verdicts = Verdicts(guard, nodes.text[segment.nodes])
    most = finder.sizes.listed_pairs
    if arrivals.nodes**2 <= most or finder.expected(first, segment.nodes.stop, lowest) <= most:
        blocks = list(_listed(finder, segment, arrivals, lowest, verdicts))
    else:
        states = list(states)
        for block in _streamed(finder, segment, arrivals, lowest, verdicts, states):
            for state in states:
                verdicts.settle(state, block)
        blocks = []
    for state in states:
        for block in blocks:
            verdicts.settle(state, block)
        yield state


def _listed(
    finder: PairFinder, segment: Segment, arrivals: Arrivals, lowest: int, verdicts: "Verdicts"
) -> Iterator[Block]:
    """Yield blocks after all pairs were found: best if texts recur and pairs are few."""
    lists = finder.neighbours(segment.nodes.start, segment.nodes.stop, lowest)
    row_of = np.arange(arrivals.nodes, dtype=np.int32)
    known = verdicts.unknown(lists)
    count = len(arrivals.node)
    size = finder.sizes.block if verdicts.guarded else count
    for start in range(0, count, size):
        yield Block(start, min(start + size, count), lists, row_of, row_of, known)


def _streamed(
    finder: PairFinder,
    segment: Segment,
    arrivals: Arrivals,
    lowest: int,
    verdicts: "Verdicts",
    states: Sequence[State],
) -> Iterator[Block]:
    """Yield blocks, each compared with all live entries at their lowest live thresholds.

    Entries that are live only at high thresholds need few comparisons. Entries that are live at
    low thresholds are far apart. So the number of pairs doesn't grow with the square of a cluster.
    """
    row_of = np.zeros(arrivals.nodes, dtype=np.int32)
    base = segment.nodes.start
    start = 0
    while start < len(arrivals.node):
        ahead = arrivals.node[start : start + finder.sizes.look_ahead]
        fresh = np.sort(np.unique(ahead, return_index=True)[1])
        stop = start + (int(fresh[MAX_ROWS]) if len(fresh) > MAX_ROWS else len(ahead))
        inside = np.unique(arrivals.node[start:stop])
        deepest = np.full(arrivals.nodes, _NOT_LIVE, dtype=np.int64)
        for state in states:
            state.lowest_live(float(arrivals.ts_s[start]), deepest)
        deepest[inside] = _NOT_LIVE
        others = np.flatnonzero(deepest >= 0)
        lists = finder.block(inside + base, others + base, deepest[others], lowest, base)
        row_of[inside] = np.arange(len(inside), dtype=np.int32)
        yield Block(start, stop, lists, row_of, inside, verdicts.unknown(lists))
        start = stop


class Verdicts:
    """A guard's verdicts on pairs; the guard is asked only when a decision depends on it."""

    def __init__(self, guard: PairGuard | None, text: np.ndarray) -> None:
        self._guard = guard
        self._text = text  # int32 (nodes,), row of the stream's texts
        self._known: dict[tuple[int, int], bool] = {}

    @property
    def guarded(self) -> bool:
        """Return whether there is a guard."""
        return self._guard is not None

    def unknown(self, lists: Neighbours) -> np.ndarray:
        """Return an array for the verdicts on all pairs of `lists`."""
        return np.zeros(len(lists.packed) if self.guarded else 0, dtype=np.uint8)

    def settle(self, state: State, block: Block) -> None:
        """Decide a block; repeat while the guard refuses a pair that the decisions relied on."""
        settings = len(state.settings)
        room = settings * (block.stop - block.start) if self.guarded else 0
        asked = np.empty(room, dtype=np.int64)
        while True:
            saved = state.save() if self.guarded else []
            lacking = state.decide(block, asked)
            if not lacking or not self._refused(block, np.unique(asked[:lacking])):
                return
            state.restore(saved)

    def _refused(self, block: Block, pairs: np.ndarray) -> bool:
        """Fill in the verdicts on pairs, and return whether the guard refused any pair."""
        rows = np.searchsorted(block.neighbours.starts, pairs, "right") - 1
        asked_for = self._text[block.node_of[rows]]
        held = self._text[block.neighbours.packed[pairs] & COLUMN_MASK]
        keys = list(zip(asked_for.tolist(), held.tolist(), strict=True))
        new = sorted({key for key in keys if key not in self._known})
        if new and self._guard is not None:
            wanted, found = np.array(new, dtype=np.int32).T
            self._known.update(zip(new, self._guard(wanted, found).tolist(), strict=True))
        refused = np.array([self._known[key] for key in keys])
        block.verdicts[pairs] = np.where(refused, _REFUSE, _PASS)
        return bool(refused.any())
