"""The distinct (partition, text) pairs of a stream, and the runs of them that can be done apart."""

from dataclasses import dataclass

import numpy as np

from costaudit.simulate.semantic.stream import Stream

_SMALL = 2_048  # nodes: small pools are done together up to here


@dataclass(frozen=True)
class Segment:
    """Whole capacity pools that stand side by side; nothing outside can serve their requests."""

    requests: slice  # of Nodes.order
    nodes: slice  # of Nodes.text


@dataclass(frozen=True)
class Nodes:
    """Eligible requests by pool and time, and their nodes by pool, partition, first appearance."""

    order: np.ndarray  # int64 (r,), place in the stream
    node: np.ndarray  # int32 (r,)
    pool: np.ndarray  # int32 (r,)
    text: np.ndarray  # int32 (m,)
    partition: np.ndarray  # int32 (m,), numbered anew so that it rises
    first: np.ndarray  # int64 (m,), place in the stream of the first request
    last: np.ndarray  # int64 (m,), and of the last
    segments: tuple[Segment, ...]


def nodes_of(stream: Stream) -> Nodes:
    """Collapse identical texts of a partition, and cut the stream where nothing crosses."""
    eligible = np.flatnonzero(stream.text >= 0)
    order = eligible[np.argsort(stream.pool[eligible], kind="stable")]
    identity = stream.partition[order].astype(np.int64) * (len(stream.texts) + 1)
    identity += stream.text[order]
    _, index, inverse = np.unique(identity, return_index=True, return_inverse=True)
    places = order[index]
    rank = np.lexsort((index, stream.partition[places], stream.pool[places]))
    number = np.empty(len(rank), dtype=np.int32)
    number[rank] = np.arange(len(rank), dtype=np.int32)
    node = number[inverse]
    last = np.empty(len(rank), dtype=np.int64)
    last[node] = order  # assigned in order within a pool: the last request stays
    first = places[rank]
    pool = stream.pool[order]
    node_pool, partition = stream.pool[first], stream.partition[first]
    changed = (np.diff(node_pool) != 0) | (np.diff(partition) != 0)
    return Nodes(
        order=order,
        node=node,
        pool=pool,
        text=stream.text[first],
        partition=np.concatenate([[0], np.cumsum(changed)])[: len(first)].astype(np.int32),
        first=first,
        last=last,
        segments=_segments(pool, node_pool),
    )


def _segments(request_pool: np.ndarray, node_pool: np.ndarray) -> tuple[Segment, ...]:
    """Join neighbouring small pools; both arrays rise."""
    if not len(node_pool):
        return ()
    ends = np.append(np.flatnonzero(np.diff(node_pool)) + 1, len(node_pool))
    request_ends = np.append(np.flatnonzero(np.diff(request_pool)) + 1, len(request_pool))
    segments = []
    node_start = request_start = 0
    for place, end in enumerate(ends):
        following = ends[place + 1] if place + 1 < len(ends) else None
        if following is None or following - node_start > _SMALL:
            segments.append(
                Segment(slice(request_start, int(request_ends[place])), slice(node_start, int(end)))
            )
            node_start, request_start = int(end), int(request_ends[place])
    return tuple(segments)
