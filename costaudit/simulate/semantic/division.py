"""Decide a sweep's segments: one after the other here, or in partitions by an engine's workers.

No entry of a segment can serve the requests of another one, so the decisions don't depend on where
a segment is decided, nor on the partitions.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np

from costaudit.contracts.policies import SemanticPolicy
from costaudit.engine.engine import engine_named
from costaudit.engine.pool import single_products
from costaudit.simulate.semantic.decisions import (
    Arrivals,
    PairGuard,
    arrivals_of,
    decide_segment,
)
from costaudit.simulate.semantic.inverted_file import Cells
from costaudit.simulate.semantic.pairs import Bounds, PairFinder, Sizes
from costaudit.simulate.semantic.stream import Nodes, Segment, Stream

_PARTS = 4  # for each worker, so that all end together
_PART_BYTES = 64 << 20  # of vectors, so that those on their way to workers need little memory


@dataclass(frozen=True)
class Search:
    """How similar entries are looked for."""

    cells: Cells | None = None  # look among a part of the texts: decisions are no longer exact
    bounds: Bounds | None = None  # of the same vectors, if made before; None: made here
    sizes: Sizes = field(default_factory=Sizes)


FULL = Search()


@dataclass(frozen=True)
class Division:
    """Where the segments of a sweep with many pairs are decided."""

    engine: str = "local"  # local, pool, ray or ray://HOST:PORT
    workers: int = 1


HERE = Division()


@dataclass(frozen=True)
class Part:
    """Segments, and what decides their requests."""

    nodes: Nodes  # its `order` has places in the whole stream, its `text` rows of `vectors`
    vectors: np.ndarray  # float32 (m, d)
    bounds: Bounds
    policies: tuple[SemanticPolicy, ...]
    guard: PairGuard | None
    search: Search


@dataclass(frozen=True)
class Decided:
    """What some policies did with the requests of one segment."""

    order: np.ndarray  # int32 (r,), place in the stream
    settings: tuple[int, ...]  # places in the list of policies
    served: np.ndarray  # int32 (r, settings), place in `order` of the request served; < 0: none
    depths: np.ndarray  # int32 (r, settings)
    evicted: np.ndarray | None  # int32 (r,), place in `order` of the evicted request; -1: none


@runtime_checkable
class DivisibleGuard(Protocol):
    """A guard that can leave the texts of other partitions out."""

    def __call__(self, asked: np.ndarray, held: np.ndarray, /) -> np.ndarray: ...

    def of(self, rows: np.ndarray, /) -> PairGuard:
        """Return the guard of some of the texts."""


@dataclass(frozen=True)
class _Rows:
    """A guard that is asked by places in `rows`."""

    guard: PairGuard
    rows: np.ndarray

    def __call__(self, asked: np.ndarray, held: np.ndarray) -> np.ndarray:
        return self.guard(self.rows[asked], self.rows[held])


def decided(whole: Part, stream: Stream, division: Division) -> Iterator[Decided]:
    """Yield the decisions of all segments, in any order."""
    pairs = np.array([_pairs(whole.nodes, one) for one in whole.nodes.segments])
    sizes = whole.search.sizes
    if division.engine == "local" or not _is_worth_it(whole, pairs):
        every = (arrivals_of(stream, whole.nodes, one) for one in whole.nodes.segments)
        yield from _decided(whole, every)
        return
    with closing(engine_named(division.engine, division.workers)) as engine:
        few = max(_PARTS * engine.workers, whole.vectors.nbytes // _PART_BYTES)
        most = float(pairs.sum()) / (sizes.parts or few)
        tasks = (_task(whole, stream, each) for each in _groups(whole.nodes, pairs, most))
        for found in engine.map(_decided_there, tasks):
            yield from found


def _is_worth_it(whole: Part, pairs: np.ndarray) -> bool:
    """Return whether workers can help, and enough. An accelerator is this machine's."""
    if len(pairs) < 2 or whole.bounds.device:
        return False
    return bool(pairs.sum() >= whole.search.sizes.divided_pairs)


def _pairs(nodes: Nodes, segment: Segment) -> float:
    """Return how many pairs of nodes could serve each other."""
    sizes = np.unique(nodes.partition[segment.nodes], return_counts=True)[1].astype(np.float64)
    return float((sizes * (sizes - 1)).sum() / 2)


def _groups(nodes: Nodes, pairs: np.ndarray, most: float) -> Iterator[list[Segment]]:
    """Yield groups of segments with up to `most` pairs, large segments first, alone if larger."""
    group: list[int] = []
    work = 0.0
    for place in np.argsort(-pairs, kind="stable").tolist():
        if group and work + pairs[place] > most:
            yield [nodes.segments[one] for one in sorted(group)]
            group, work = [], 0.0
        group.append(place)
        work += pairs[place]
    yield [nodes.segments[one] for one in sorted(group)]


def _task(
    whole: Part, stream: Stream, segments: Sequence[Segment]
) -> tuple[Part, tuple[Arrivals, ...]]:
    """Return what a worker needs to decide some segments."""
    every = tuple(arrivals_of(stream, whole.nodes, one) for one in segments)
    nodes = whole.nodes.of(segments)
    rows, text = np.unique(nodes.text, return_inverse=True)
    vectors = whole.vectors[rows]
    same = whole.bounds.vectors is whole.vectors
    search, guard = whole.search, whole.guard
    if guard is not None:
        guard = guard.of(rows) if isinstance(guard, DivisibleGuard) else _Rows(guard, rows)
    part = Part(
        nodes=replace(nodes, text=text.astype(np.int32)),
        vectors=vectors,
        bounds=replace(whole.bounds, vectors=vectors) if same else whole.bounds.of(rows),
        policies=whole.policies,
        guard=guard,
        search=Search(
            cells=None if search.cells is None else search.cells.of(rows),
            sizes=replace(search.sizes, threads=1),
        ),
    )
    return part, every


def _decided_there(task: tuple[Part, tuple[Arrivals, ...]]) -> list[Decided]:
    with single_products():
        return list(_decided(*task))


def _decided(part: Part, every: Iterable[Arrivals]) -> Iterator[Decided]:
    nodes, search = part.nodes, part.search
    finder = PairFinder(nodes, part.vectors, part.bounds, search.cells, search.sizes)
    for segment, arrivals in zip(nodes.segments, every, strict=True):
        order = nodes.order[segment.requests]
        for one in decide_segment(arrivals, nodes, segment, finder, part.policies, part.guard):
            yield Decided(order, one.settings, one.served, one.depths, one.evicted)
