"""The decisions of one segment: the similar pairs that each block needs, and their verdicts."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from costaudit.contracts.policies import SemanticPolicy
from costaudit.progress import Progress
from costaudit.simulate.semantic.nodes import Nodes, Segment
from costaudit.simulate.semantic.packing import COLUMN_MASK, MAX_ROWS
from costaudit.simulate.semantic.pairs import Neighbours, PairFinder
from costaudit.simulate.semantic.states import (
    Arrivals,
    Block,
    State,
    limit_of,
    states_for,
)
from costaudit.simulate.semantic.stream import Stream

PairGuard = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Refuse pairs: int32 rows of texts asked for, int32 rows of texts held → bool (pairs,)."""

_LISTED_PAIRS = 24_000_000  # more are not kept but found anew for each block
_BLOCK = 4_096  # requests decided between two questions to a guard
_LOOK_AHEAD = 8_192  # requests searched for a block's worth of distinct nodes
_PASS, _REFUSE = 1, 2
_NOT_LIVE = -2


def decide_segment(
    stream: Stream,
    nodes: Nodes,
    segment: Segment,
    finder: PairFinder,
    policies: Sequence[SemanticPolicy],
    guard: PairGuard | None,
    progress: Progress,
) -> list[State]:
    """Decide the requests of a segment under all policies; the results stand in the states."""
    order = nodes.order[segment.requests]
    first = segment.nodes.start
    arrivals = Arrivals(
        node=nodes.node[segment.requests] - np.int32(first),
        pool=nodes.pool[segment.requests],
        ts_s=stream.ts_s[order],
        ready_s=stream.ready_s[order],
        nodes=segment.nodes.stop - first,
    )
    states = states_for(policies, arrivals, guarded=guard is not None)
    lowest = max(limit_of(policy) for policy in policies)
    verdicts = Verdicts(guard, nodes.text[segment.nodes])
    if (
        arrivals.nodes**2 <= _LISTED_PAIRS
        or finder.expected(first, segment.nodes.stop, lowest) <= _LISTED_PAIRS
    ):
        blocks = _listed(finder, segment, arrivals, lowest, verdicts)
    else:
        blocks = _streamed(finder, segment, arrivals, lowest, verdicts, states)
    for block in blocks:
        for state in states:
            verdicts.settle(state, block)
        progress.advance(block.stop - block.start)
    return states


def _listed(
    finder: PairFinder, segment: Segment, arrivals: Arrivals, lowest: int, verdicts: "Verdicts"
) -> Iterator[Block]:
    """Find all pairs first: best where texts recur and pairs are few."""
    lists = finder.neighbours(segment.nodes.start, segment.nodes.stop, lowest)
    row_of = np.arange(arrivals.nodes, dtype=np.int32)
    known = verdicts.unknown(lists)
    count = len(arrivals.node)
    size = _BLOCK if verdicts.guarded else count
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
    """Compare each block with what is live anywhere, at the lowest threshold it is live for.

    Entries that are live at high thresholds only need few comparisons, and those that are live at
    low ones are far apart, so that the pairs don't grow with the square of a dense cluster.
    """
    row_of = np.zeros(arrivals.nodes, dtype=np.int32)
    base = segment.nodes.start
    start = 0
    while start < len(arrivals.node):
        ahead = arrivals.node[start : start + _LOOK_AHEAD]
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
    """A guard's verdicts on pairs, asked for only when a decision hangs on them."""

    def __init__(self, guard: PairGuard | None, text: np.ndarray) -> None:
        self._guard = guard
        self._text = text  # int32 (nodes,), row of the stream's texts
        self._known: dict[tuple[int, int], bool] = {}

    @property
    def guarded(self) -> bool:
        """Tell whether there is a guard at all."""
        return self._guard is not None

    def unknown(self, lists: Neighbours) -> np.ndarray:
        """Give room for the verdicts on all pairs of `lists`."""
        return np.zeros(len(lists.packed) if self.guarded else 0, dtype=np.uint8)

    def settle(self, state: State, block: Block) -> None:
        """Decide a block, again while a pair that it took for harmless turns out to be refused."""
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
        """Fill in the verdicts on pairs, and tell whether any of them is a refusal."""
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
