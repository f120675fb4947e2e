"""List the likely neighbours of core texts: the halo of a sample."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from costaudit.simulate.semantic.stream import Stream

_CHEAP_SHARE = 0.5  # of the cheap embedding in the likely similarity; the rest is the learned map
_RIDGE = 1.0
_LISTED = 256  # likely neighbours kept of each core text
_ROOM = 4 * _LISTED  # of a list, before it is cut
_SLICE = 8_192  # texts whose similarities to the core are computed at once,
_ROWS = 1_024  # and core texts


@dataclass(frozen=True)
class Frame:
    """The (partition, text) pairs of a stream that something similar could answer."""

    text: np.ndarray  # int64 (m,), by partition, rising in each
    first: np.ndarray  # int64 (m,), place of the first request
    last: np.ndarray  # int64 (m,)
    starts: np.ndarray  # int64 (partitions + 1,)

    @property
    def texts(self) -> np.ndarray:
        """Return the texts, rising; all other texts can only match identical text."""
        return np.unique(self.text)


def frame_of(stream: Stream) -> Frame:
    """Return the frame of a stream, without texts that are alone in their partition."""
    order = np.flatnonzero(stream.text >= 0)
    identity = stream.partition[order].astype(np.int64) * len(stream.texts) + stream.text[order]
    pair, first = np.unique(identity, return_index=True)
    last = len(identity) - 1 - np.unique(identity[::-1], return_index=True)[1]
    partition, text = np.divmod(pair, len(stream.texts))
    _, place, size = np.unique(partition, return_inverse=True, return_counts=True)
    kept = size[place] > 1
    return Frame(
        text=text[kept],
        first=order[first[kept]],
        last=order[last[kept]],
        starts=np.concatenate([[0], np.cumsum(size[size > 1])]),
    )


class CheapVectors(Protocol):
    """Vectors of all texts: float32 (m, c), or what makes rows of them when asked."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


def halo_of(
    frame: Frame, cheap: CheapVectors, core: np.ndarray, known: np.ndarray, most: int
) -> np.ndarray:
    """List up to `most` texts outside the core, the likeliest neighbours of core texts first.

    core: int64 (c,), rising. known: float32 (c, d), vectors of the core texts. A text counts as a
    neighbour only where it shares a partition with the core text and was there before the core
    text's last request. The nearest text of every core text comes before the second nearest text
    of any.
    """
    near, similarity = _listed(frame, cheap, core, known)
    rank = np.broadcast_to(np.arange(near.shape[1]), near.shape)
    there = similarity > -np.inf
    order = np.lexsort((-similarity[there], rank[there]))
    rising = near[there][order]
    _, place = np.unique(rising, return_index=True)
    wanted = rising[np.sort(place)]
    return np.asarray(wanted[~np.isin(wanted, core)][:most])


def _listed(
    frame: Frame, cheap: CheapVectors, core: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """List the likely neighbours of each core text, nearest first, and their likely similarity.

    Only partitions with a core text are read, a slice at a time, so that memory grows with the
    core only.
    """
    from costaudit.simulate.semantic.halo.neighbour_kernels import keep_likeliest

    measure = _Measure.of(cheap[core], known)
    nodes = _Nodes.of(frame, core)
    several = np.bincount(nodes.core, minlength=len(core)) > 1
    texts = np.zeros((len(core), _ROOM), np.int32)
    likely = np.full((len(core), _ROOM), -np.inf, np.float32)
    held = np.zeros(len(core), np.int64)
    floors = np.full(len(core), -np.inf, np.float32)
    lists = (texts, likely, held, floors)
    for places, partition in nodes.slices(frame):
        columns = np.stack([frame.text[places], frame.first[places]])
        wide = measure.columns(cheap[columns[0]])
        for rows, low, high in nodes.blocks(partition):
            start, stop = int(low[0]), int(high[-1])
            of = nodes.core[rows]
            about = np.column_stack(
                [of, core[of], frame.last[nodes.place[rows]], low - start, high - start]
            )
            tile = measure.core[of] @ wide[start:stop].T
            here = np.ascontiguousarray(columns[:, start:stop])
            keep_likeliest(tile, about, here, several, _LISTED, *lists)
    order = np.argsort(-likely, axis=1, kind="stable")[:, :_LISTED]
    return np.take_along_axis(texts, order, axis=1), np.take_along_axis(likely, order, axis=1)


@dataclass(frozen=True)
class _Measure:
    """The likely similarity, as a product of a row for a core text and a row for any text.

    A ridge regression on the core predicts real vectors from cheap ones. The likely similarity is
    a mean of the similarity of cheap vectors and the similarity to the predicted vector.
    """

    core: np.ndarray  # float32 (c, 2 · dimensions)
    weights: np.ndarray  # float32 (dimensions, d)

    @classmethod
    def of(cls, cheap: np.ndarray, known: np.ndarray) -> "_Measure":
        drawn = cheap.astype(np.float64)
        moments = drawn.T @ drawn + _RIDGE * np.eye(drawn.shape[1])
        weights = np.linalg.solve(moments, drawn.T @ known).astype(np.float32)
        back = (known @ weights.T) * np.float32(1 - _CHEAP_SHARE)
        own = cheap.astype(np.float32) * np.float32(_CHEAP_SHARE)
        return cls(np.hstack([back, own], dtype=np.float32), weights)

    def columns(self, cheap: np.ndarray) -> np.ndarray:
        """Return float32 (n, 2 · dimensions) for the cheap vectors of texts."""
        predicted = cheap @ self.weights
        norms = np.sqrt(np.einsum("ij,ij->i", predicted, predicted))
        return np.hstack([cheap / np.maximum(norms, 1e-9)[:, None], cheap], dtype=np.float32)


@dataclass(frozen=True)
class _Nodes:
    """The places of core texts in the frame, rising."""

    place: np.ndarray  # int64 (nodes,)
    core: np.ndarray  # int64 (nodes,), which core text
    partition: np.ndarray  # int64 (nodes,), rising

    @classmethod
    def of(cls, frame: Frame, core: np.ndarray) -> "_Nodes":
        place = np.flatnonzero(np.isin(frame.text, core))
        partition = np.searchsorted(frame.starts, place, "right") - 1
        return cls(place, np.searchsorted(core, frame.text[place]), partition)

    def slices(self, frame: Frame) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield places of the frame that share a partition with a core text, and the partition."""
        counts = np.diff(frame.starts)
        wanted = np.zeros(len(counts), dtype=bool)
        wanted[self.partition] = True
        places = np.flatnonzero(np.repeat(wanted, counts))
        for start in range(0, len(places), _SLICE):
            here = places[start : start + _SLICE]
            yield here, np.searchsorted(frame.starts, here, "right") - 1

    def blocks(self, partition: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield core texts with their partition among those of a slice, and where it is there.

        partition: int64 (n,), rising. Yields rows of the nodes, and the first place and the end of
        each one's partition in the slice, int64 (rows,).
        """
        start = int(np.searchsorted(self.partition, partition[0]))
        stop = int(np.searchsorted(self.partition, partition[-1], "right"))
        for first in range(start, stop, _ROWS):
            rows = slice(first, min(first + _ROWS, stop))
            wanted = self.partition[rows]
            low = np.searchsorted(partition, wanted)
            yield rows, low, np.searchsorted(partition, wanted, "right")
