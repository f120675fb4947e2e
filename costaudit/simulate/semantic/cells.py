"""An inverted file: texts in cells, and the few cells in which each text is looked for.

With it a sweep misses some similar pairs, and is quicker the more texts there are.
"""

import importlib.util
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from costaudit.contracts.policies import SemanticPolicy
from costaudit.simulate.semantic.stream import Stream

_LEAST_TEXTS = 20_000  # below it an exact sweep is as quick
_PROBES = 16
_ROUNDS = 10  # of k-means
_CHECKED = 20_000  # requests that the error is measured on
_BLOCK = 65_536
PairGuard = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Cells:
    """Where each text is kept, and where its neighbours are looked for."""

    cell: np.ndarray  # int32 (m,)
    probes: np.ndarray  # int32 (m, probes), nearest first
    count: int

    def of(self, rows: np.ndarray) -> "Cells":
        """Keep some texts."""
        return replace(self, cell=self.cell[rows], probes=self.probes[rows])

    def tiles(self, rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """Pair up places: rows that look into a cell, and columns kept in it; both texts rising.

        rows, columns: int (r,), (c,), rows of the texts. Yields places in them.
        """
        kept = np.argsort(self.cell[columns], kind="stable")
        kept_starts = np.searchsorted(self.cell[columns[kept]], np.arange(self.count + 1))
        probed = self.probes[rows].ravel()
        asked = np.argsort(probed, kind="stable")
        asked_starts = np.searchsorted(probed[asked], np.arange(self.count + 1))
        looking = asked // self.probes.shape[1]
        for one in np.flatnonzero((np.diff(kept_starts) > 0) & (np.diff(asked_starts) > 0)):
            yield (
                looking[asked_starts[one] : asked_starts[one + 1]],
                kept[kept_starts[one] : kept_starts[one + 1]],
            )


def why_exact(texts: int) -> str:
    """Say why a sweep over so many texts is better not approximate; empty where it may be."""
    if texts < _LEAST_TEXTS:
        return (
            f"The sweep is exact: --approx is quicker from {_LEAST_TEXTS:,} distinct texts on, "
            f"and there are {texts:,}."
        )
    if importlib.util.find_spec("faiss") is None:
        return "The sweep is exact: --approx needs faiss; run `pip install faiss-cpu`."
    return ""


def make_cells(
    vectors: np.ndarray, *, count: int | None = None, probes: int = _PROBES, seed: int = 0
) -> Cells:
    """Cut float32 (m, d) unit vectors into cells, by default the square root of their number."""
    import faiss

    count = min(len(vectors), count or max(1, round(math.sqrt(len(vectors)))))
    means = faiss.Kmeans(
        vectors.shape[1],
        count,
        niter=_ROUNDS,
        seed=seed,
        spherical=True,
        min_points_per_centroid=1,
    )
    means.train(np.ascontiguousarray(vectors, dtype=np.float32))
    near = [
        means.index.search(vectors[start : start + _BLOCK], min(probes, count))[1]
        for start in range(0, len(vectors), _BLOCK)
    ]
    found = np.concatenate(near).astype(np.int32)
    return Cells(cell=found[:, 0].copy(), probes=found, count=count)


def approximation_errors(
    stream: Stream,
    vectors: np.ndarray,
    policies: Sequence[SemanticPolicy],
    cells: Cells,
    guard: PairGuard | None = None,
) -> tuple[int, tuple[float, ...]]:
    """Measure how far hit shares are off on the first requests, and how many these are.

    They are decided exactly and with the cells; gives approximate less exact shares of the eligible
    ones, by policy.
    """
    from costaudit.simulate.semantic.sweep import sweep

    part, rows = first_requests(stream, _CHECKED)
    near = vectors[rows]

    def part_guard(asked: np.ndarray, held: np.ndarray) -> np.ndarray:
        return guard(rows[asked], rows[held]) if guard else np.zeros(len(asked), dtype=bool)

    only = part_guard if guard else None
    exact = (sweep(part, near, policies, only).served >= 0).sum(axis=1)
    quick = (sweep(part, near, policies, only, cells=cells.of(rows)).served >= 0).sum(axis=1)
    eligible = max(1, int((part.text >= 0).sum()))
    return len(part.text), tuple(((quick - exact) / eligible).tolist())


def first_requests(stream: Stream, count: int) -> tuple[Stream, np.ndarray]:
    """Keep the first requests, and their texts; also gives the texts' rows."""
    places = slice(0, count)
    text = stream.text[places]
    rows = np.unique(text[text >= 0])
    part = Stream(
        texts=stream.texts[rows],
        text=np.where(text >= 0, np.searchsorted(rows, text), -1).astype(np.int32),
        partition=stream.partition[places],
        pool=stream.pool[places],
        ts_s=stream.ts_s[places],
        ready_s=stream.ready_s[places],
        bypass=stream.bypass[places],
        timed=stream.timed,
    )
    return part, rows
