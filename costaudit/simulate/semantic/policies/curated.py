"""A cache with reviewed answers, and others that are verified against them (Krites).

It follows Krites (Singh et al. 2026, "Asynchronous Verified Semantic Caching for Tiered LLM
Architectures", arXiv:2602.13165). Reviewed answers to frequent questions never expire.
 1. If the most similar reviewed question is similar enough, its answer is served.
 2. Otherwise the cache below decides like any other: it serves an entry, or the model is called,
    whose answer becomes an entry.
 3. After a call, the model's answer is compared with that of the most similar reviewed question of
    at least the least similarity. If that answer would have been right, it replaces the new entry's
    own answer. So there are as many hits as without it, but more of them get a reviewed answer.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from costaudit.simulate.semantic.policies.learned import PairVerdicts
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import MISS

LEAST_ASKED = 2  # how often a question must have been asked to be reviewed


@dataclass(frozen=True)
class Reviewed:
    """Answers that were reviewed, and from when on they are served."""

    requests: np.ndarray  # int64, the requests whose answers they are
    start: int  # place of the first request that they are served to


@dataclass(frozen=True)
class Served:
    """What the cache did with each request of a stream."""

    served: np.ndarray  # int32 (n,): the request whose answer is served, or negative
    direct: np.ndarray  # bool (n,): its question is similar enough to a reviewed one
    verified: np.ndarray  # bool (n,): it was called, and compared with a reviewed answer
    promoted: np.ndarray  # int32 (n,): for a called request, the reviewed one it got; else -1


def most_asked(stream: Stream, start: int, most: int) -> Reviewed:
    """Review the questions asked most before `start`, each with the answer to its last request.

    Questions are different in each partition.
    """
    rows = np.flatnonzero(stream.text[:start] >= 0)
    key = stream.partition[rows].astype(np.int64) * max(len(stream.texts), 1) + stream.text[rows]
    _, first, where, asked = np.unique(
        key, return_index=True, return_inverse=True, return_counts=True
    )
    last = np.zeros(len(asked), np.int64)
    np.maximum.at(last, where.reshape(-1), rows)
    often = np.lexsort((first, -asked))[:most]
    return Reviewed(last[often[asked[often] >= LEAST_ASKED]], start)


def serve_curated(
    stream: Stream,
    vectors: np.ndarray,
    reviewed: Reviewed,
    limits: tuple[float, float],
    below: Callable[[Stream], np.ndarray],
    judge: PairVerdicts,
) -> Served:
    """Decide the requests of a stream.

    limits: the least similarity for a comparison, and the one from which a reviewed answer is
    served; above 1, only identical questions are. below: the decisions int32 (n,) of the cache
    below on a stream in which the requests that are served reviewed answers have no text.
    """
    lowest, threshold = limits
    nearest, similarity = _nearest(stream, vectors, reviewed.requests)
    known = (nearest >= 0) & (np.arange(len(nearest)) >= reviewed.start)
    same = known & (stream.text == stream.text[np.maximum(nearest, 0)])
    direct = known & (same | (similarity >= np.float32(threshold)))
    passed = replace(stream, text=np.where(direct, np.int32(-1), stream.text))
    served = np.where(direct, nearest, below(passed)).astype(np.int32)
    verified = known & (served == MISS) & (similarity >= np.float32(lowest))
    rows = np.flatnonzero(verified)
    right = judge(rows, nearest[rows]) == 1
    promoted = np.full(len(served), -1, np.int32)
    promoted[rows[right]] = nearest[rows[right]]
    better = np.where((served >= 0) & ~direct, promoted[np.maximum(served, 0)], -1)
    return Served(np.where(better >= 0, better, served), direct, verified, promoted)


def _nearest(
    stream: Stream, vectors: np.ndarray, reviewed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each request's most similar reviewed one in its partition, and the similarity.

    int32 (n,), -1 without one, and float32 (n,). Identical text comes first, then the newest.
    """
    nearest = np.full(len(stream.text), -1, np.int32)
    similarity = np.full(len(stream.text), np.nan, np.float32)
    newest = np.sort(reviewed)[::-1]
    for partition in np.unique(stream.partition[reviewed]):
        rows = np.flatnonzero((stream.partition == partition) & (stream.text >= 0))
        own = newest[stream.partition[newest] == partition]
        texts, where = np.unique(stream.text[rows], return_inverse=True)
        alike = vectors[texts].astype(np.float64) @ vectors[stream.text[own]].astype(np.float64).T
        alike = np.minimum(alike.astype(np.float32), np.float32(1.0))
        alike[texts[:, None] == stream.text[own]] = np.float32(2.0)
        best = alike.argmax(axis=1)
        top = np.minimum(alike[np.arange(len(texts)), best], np.float32(1.0))
        nearest[rows] = own[best][where.reshape(-1)]
        similarity[rows] = top[where.reshape(-1)]
    return nearest, similarity
