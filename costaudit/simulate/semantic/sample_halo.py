"""Which texts a sample embeds: a random core, and the texts that may have answered it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from costaudit.simulate.semantic.stream import Stream

_CHEAP_SHARE = 0.5  # of the cheap embedding in the likely similarity; the rest is the learned map
_RIDGE = 1.0
_LISTED = 256  # likely neighbours kept of each core text
_BLOCK_CELLS = 1 << 25  # of a block of similarities

Embed = Callable[[np.ndarray], np.ndarray]
"""Embed rows of the stream's texts: int64 (n,) → float32 (n, d) of unit length."""


@dataclass(frozen=True)
class Frame:
    """The (partition, text) pairs of a stream that something similar could answer."""

    text: np.ndarray  # int64 (m,), by partition
    first: np.ndarray  # int64 (m,), place of the first request
    last: np.ndarray  # int64 (m,)
    starts: np.ndarray  # int64 (partitions + 1,)

    @property
    def texts(self) -> np.ndarray:
        """List the texts, rising: none outside can hit or answer, but by identical text."""
        return np.unique(self.text)


def frame_of(stream: Stream) -> Frame:
    """Leave out what stands alone in its partition."""
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


def halo_of(
    frame: Frame, cheap: np.ndarray, core: np.ndarray, known: np.ndarray, most: int
) -> np.ndarray:
    """List up to `most` texts outside the core, the likeliest neighbours of core texts first.

    known: float32 (c, d), vectors of the core texts. A text counts as a neighbour only where it
    shares a partition with the core text and was there before the core text's last request. All
    core texts get their nearest before any gets its second.
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
    frame: Frame, cheap: np.ndarray, core: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """List the likely neighbours of each core text, nearest first, and their likely similarity.

    A ridge regression on the core turns cheap vectors into likely real ones; the likely similarity
    is a mean of the cheap one and that to the likely vector.
    """
    near = cheap[core].astype(np.float64)
    moments = near.T @ near + _RIDGE * np.eye(near.shape[1])
    weights = np.linalg.solve(moments, near.T @ known).astype(np.float32)
    lengths = np.concatenate(
        [np.linalg.norm(rows @ weights, axis=1) for rows in np.array_split(cheap, 64)]
    )
    back = (known @ weights.T) * np.float32(1 - _CHEAP_SHARE)
    nodes = _nodes_of(frame, core)
    most = min(_LISTED, len(cheap))
    lists, similarities = [], []
    height = max(1, _BLOCK_CELLS // len(cheap))
    for start in range(0, len(core), height):
        rows = slice(start, min(start + height, len(core)))
        likely = back[rows] @ cheap.T / np.maximum(lengths, 1e-9)
        likely += np.float32(_CHEAP_SHARE) * (cheap[core[rows]] @ cheap.T)
        for row, line in enumerate(likely, start):
            line[~_reachable(frame, nodes[row], len(cheap))] = -np.inf
            line[core[row]] = -np.inf
        place = np.argpartition(-likely, most - 1, axis=1)[:, :most]
        place.sort(axis=1)
        found = np.take_along_axis(likely, place, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        lists.append(np.take_along_axis(place, order, axis=1))
        similarities.append(np.take_along_axis(found, order, axis=1))
    return np.concatenate(lists), np.concatenate(similarities)


def _nodes_of(frame: Frame, core: np.ndarray) -> list[np.ndarray]:
    """List the places in the frame of each core text."""
    order = np.argsort(frame.text, kind="stable")
    rising = frame.text[order]
    starts, stops = np.searchsorted(rising, core), np.searchsorted(rising, core, "right")
    return [order[start:stop] for start, stop in zip(starts, stops, strict=True)]


def _reachable(frame: Frame, nodes: np.ndarray, texts: int) -> np.ndarray:
    """Mask the texts that were there when a text was asked for, in the same partition."""
    mask = np.zeros(texts, dtype=bool)
    for node in nodes:
        partition = np.searchsorted(frame.starts, node, "right") - 1
        members = slice(frame.starts[partition], frame.starts[partition + 1])
        mask[frame.text[members][frame.first[members] < frame.last[node]]] = True
    return mask
