"""An inverted file: each text is kept in one cell, and compared with the texts of a few cells.

A sweep with an inverted file misses some similar pairs. It saves more time the more texts there
are.
"""

import importlib.util
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

LEAST_TEXTS = 20_000  # with fewer texts an exact sweep is as quick
_PROBES = 16
_ROUNDS = 10  # k-means rounds
_BLOCK = 65_536


@dataclass(frozen=True)
class Cells:
    """The cell that keeps each text, and the cells to search for its neighbours."""

    cell: np.ndarray  # int32 (m,)
    probes: np.ndarray  # int32 (m, probes), nearest first
    count: int

    def of(self, rows: np.ndarray) -> "Cells":
        """Return the cells of some texts."""
        return replace(self, cell=self.cell[rows], probes=self.probes[rows])

    def tiles(self, rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
        """Yield pairs of place arrays: rows that search a cell, and columns that the cell keeps.

        rows, columns: int (r,), (c,), rows of the texts. The places rise in both arrays.
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


def why_exact(texts: int, least: int = LEAST_TEXTS) -> str:
    """Return why a sweep over `texts` texts is exact; "" if it may be approximate."""
    if texts < least:
        return (
            f"The sweep is exact: --approx is quicker from {least:,} distinct texts on, "
            f"and there are {texts:,}."
        )
    if importlib.util.find_spec("faiss") is None:
        return "The sweep is exact: --approx needs faiss; run `pip install faiss-cpu`."
    return ""


def make_cells(
    vectors: np.ndarray, *, count: int | None = None, probes: int = _PROBES, seed: int = 0
) -> Cells:
    """Group float32 (m, d) unit vectors into `count` cells, by default the square root of m."""
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
