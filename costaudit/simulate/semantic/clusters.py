"""Topics among the distinct texts of a log, named by their own terms."""

import math
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
import xxhash

_ROUNDS = 20  # k-means rounds
_TRIED_TEXTS, _TRIES = 10_000, 5  # texts times tries stays within this
_TERMS = 3  # per label
_TEXT_CHARS = 2_000  # how much of each text is read for labels
_WORD = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True)
class Clusters:
    """Topics, in falling order of cost."""

    cluster: np.ndarray  # int32 (m,), the topic of each text
    ids: tuple[str, ...]  # equal sets of texts have equal ids
    labels: tuple[str, ...]  # terms that are frequent here and rare elsewhere
    usd: np.ndarray  # float64 (k,), the cost of each topic
    tightness: np.ndarray  # float64 (k,), mean similarity to the centre
    medoid: np.ndarray  # int32 (k,), the text nearest to the centre


def cluster_texts(
    texts: pl.DataFrame,
    vectors: np.ndarray,
    usd: np.ndarray,
    *,
    count: int | None = None,
    seed: int = 0,
) -> Clusters:
    """Group texts (text_id, text) by spherical k-means on their vectors, float32 (m, d).

    usd: (m,), what the requests for each text cost. `count` is the number of topics to look for,
    by default the square root of the number of texts. Topics without a text are left out.
    """
    if not len(texts):
        nothing = np.empty(0)
        return Clusters(np.empty(0, np.int32), (), (), nothing, nothing, np.empty(0, np.int32))
    found, similarity = _k_means(vectors, count or round(math.sqrt(len(texts))), seed)
    _, found = np.unique(found, return_inverse=True)
    total = np.bincount(found, weights=usd)
    first = np.full(len(total), len(found))
    np.minimum.at(first, found, np.arange(len(found)))
    order = np.lexsort((first, -total))
    number = np.empty(len(order), dtype=np.int32)
    number[order] = np.arange(len(order))
    cluster = number[found]
    members = [np.flatnonzero(cluster == one) for one in range(len(order))]
    text_ids = texts["text_id"].to_list()
    return Clusters(
        cluster=cluster,
        ids=tuple(_identity([text_ids[row] for row in rows]) for rows in members),
        labels=_labels(texts["text"].to_list(), members),
        usd=total[order],
        tightness=np.array([similarity[rows].mean() for rows in members]),
        medoid=np.array([rows[np.argmax(similarity[rows])] for rows in members], dtype=np.int32),
    )


def _k_means(vectors: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each text's nearest centre, and the similarity between the two."""
    import faiss

    count = max(1, min(count, len(vectors)))
    means = faiss.Kmeans(
        vectors.shape[1],
        count,
        niter=_ROUNDS,
        nredo=max(1, min(_TRIES, _TRIED_TEXTS // len(vectors))),
        seed=seed,
        spherical=True,
        min_points_per_centroid=1,
    )
    means.train(np.ascontiguousarray(vectors, dtype=np.float32))
    similarity, nearest = means.index.search(vectors, 1)
    return nearest[:, 0], similarity[:, 0].astype(np.float64)


def _identity(text_ids: list[str]) -> str:
    return xxhash.xxh3_64_hexdigest("".join(sorted(text_ids)).encode())[:8]


def _labels(texts: list[str], members: list[np.ndarray]) -> tuple[str, ...]:
    """Name each cluster by its heaviest terms: number of texts with the term x log of rarity."""
    within = [Counter(term for row in rows for term in set(_terms(texts[row]))) for rows in members]
    overall: Counter[str] = Counter()
    for counts in within:
        overall.update(counts)
    total = len(texts)
    labels = []
    for counts in within:
        weight = {term: n * math.log(1 + total / overall[term]) for term, n in counts.items()}
        best = sorted(weight, key=lambda term: (-weight[term], term))[:_TERMS]
        labels.append(", ".join(best))
    return tuple(labels)


def _terms(text: str) -> list[str]:
    return _WORD.findall(text[:_TEXT_CHARS].lower())
