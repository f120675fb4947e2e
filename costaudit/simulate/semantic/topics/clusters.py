"""Topics among the distinct texts of a log, as many as the texts hold.

Average linkage joins the nearest groups first. Among the cuts of that tree, the coarsest one is
taken whose topics are about as well separated as the best (by the silhouette). Nothing is random,
and a topic is known by its central text, so it keeps its name as the log grows.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import polars as pl
import xxhash

_LINKED = 1_200  # most texts that are linked; other texts join the nearest topic
_DISTANCES = np.arange(0.15, 0.71, 0.05)  # cuts that are tried
_ABOUT = 0.95  # share of the best silhouette that is about as good
_ROUNDS = 3  # in which texts move to the nearest centre
_BLOCK = 16_384  # texts compared with all centres at once
_TERMS = 3  # per label
_TEXT_CHARS = 2_000  # how much of each text is read for labels
_WORD = re.compile(r"[^\W\d_]{3,}")
_STOPS = frozenset(re.findall(r"\S+", """
 about after all also and any are ask because been but can could did does for from get give
 got had has have hello help her him his how into its just know like make many may more most much
 need not now off one only other our out over please should some such tell than thank thanks that
 the their them then there these they this those too try use very want was way were what when where
 which while who why will with without would you your ahora algo algún alguna antes aquí así aún
 bien buenas buenos cada como cómo con cosa cual cuál cuando cuándo cuánto cuánta dar del desde
 donde dónde dos ella ellos entre era eres ese eso esta está están estas este esto estos estoy fue
 gracias hacer hago hasta hay hola las les los mas más mis mucho muy nada nos nuestra nuestro para
 pero podéis podría porque por poder puede puedes puedo que qué quería quien quién quiero saber
 sea ser sería sin sobre solo son soy sus tan también tener tengo tiene toda todo todos una uno
 unos usted vez"""))  # fmt: skip


@dataclass(frozen=True)
class Clusters:
    """Topics, in falling order of cost."""

    cluster: np.ndarray  # int32 (m,), the topic of each text
    ids: tuple[str, ...]  # derived from the medoids
    labels: tuple[str, ...]  # terms that are frequent here and rare elsewhere
    usd: np.ndarray  # float64 (k,), the cost of each topic
    tightness: np.ndarray  # float64 (k,), mean similarity to the centre
    medoid: np.ndarray  # int32 (k,), the text nearest to the centre
    centres: np.ndarray  # float32 (k, d), the mean of its texts' vectors, of length 1

    def nearest(self, vectors: np.ndarray) -> np.ndarray:
        """Return the topic with the nearest centre of each vector; float32 (n, d), int64 (n,)."""
        return _nearest(vectors, self.centres)[0]


def cluster_texts(texts: pl.DataFrame, vectors: np.ndarray, usd: np.ndarray) -> Clusters:
    """Group texts (text_id, text) by their vectors, unit rows, float32 (m, d).

    usd: (m,), what the requests for each text cost.
    """
    if not len(texts):
        nothing = np.empty(0)
        none = np.empty(0, np.int32)
        return Clusters(none, (), (), nothing, nothing, none, np.empty((0, 0), np.float32))
    found, similarity = _grouped(texts["text_id"].to_list(), vectors)
    _, found = np.unique(found, return_inverse=True)
    total = np.bincount(found, weights=usd)
    first = np.full(len(total), len(found))
    np.minimum.at(first, found, np.arange(len(found)))
    order = np.lexsort((first, -total))
    number = np.empty(len(order), dtype=np.int32)
    number[order] = np.arange(len(order))
    cluster = number[found]
    members = [np.flatnonzero(cluster == one) for one in range(len(order))]
    medoid = np.array([rows[np.argmax(similarity[rows])] for rows in members], dtype=np.int32)
    text_ids = texts["text_id"].to_list()
    return Clusters(
        cluster=cluster,
        ids=tuple(xxhash.xxh3_64_hexdigest(text_ids[row].encode())[:8] for row in medoid),
        labels=_labels(texts["text"].to_list(), members),
        usd=total[order],
        tightness=np.array([similarity[rows].mean() for rows in members]),
        medoid=medoid,
        centres=np.stack([_centre(vectors[rows]) for rows in members]),
    )


def _centre(vectors: np.ndarray) -> np.ndarray:
    mean = vectors.mean(axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)


def _grouped(text_ids: list[str], vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each text's topic, and its similarity to that topic's centre.

    Of many texts, those with the lowest hashes are linked: most of them stay the same when the log
    grows.
    """
    digest = np.array([xxhash.xxh3_64_intdigest(one.encode()) for one in text_ids], np.uint64)
    linked = np.argsort(digest, kind="stable")[:_LINKED]
    found = np.full(len(vectors), -1)
    found[linked] = _linked(np.asarray(vectors[linked], np.float64))
    similarity = np.empty(0)
    for _ in range(_ROUNDS):
        known = np.flatnonzero(found >= 0)
        centres = _sums(vectors, known, found[known])
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
        found, similarity = _nearest(vectors, centres)
    return found, similarity


def _sums(vectors: np.ndarray, rows: np.ndarray, topic: np.ndarray) -> np.ndarray:
    """Return the sum of each topic's vectors, added in the order of their rows."""
    from scipy.sparse import csr_array

    shape = (int(topic.max()) + 1, len(vectors))
    return np.asarray(
        csr_array((np.ones(len(rows), vectors.dtype), (topic, rows)), shape) @ vectors
    )


def _nearest(vectors: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nearest centre of each vector, and the similarity to it."""
    found, similarity = np.empty(len(vectors), np.int64), np.empty(len(vectors))
    for start in range(0, len(vectors), _BLOCK):  # products with many centres stay small
        block = slice(start, start + _BLOCK)
        alike = vectors[block] @ centres.T
        found[block] = alike.argmax(axis=1)
        similarity[block] = alike.max(axis=1)
    return found, similarity


def _linked(vectors: np.ndarray) -> np.ndarray:
    """Return the topic of each row by average linkage, numbered from 0."""
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(vectors) < 2:
        return np.zeros(len(vectors), np.int64)
    alike = vectors @ vectors.T
    upper = np.triu_indices(len(vectors), 1)
    tree = linkage(np.maximum(1 - alike[upper], 0.0), "average")
    cuts = [fcluster(tree, distance, "distance").astype(np.int64) - 1 for distance in _DISTANCES]
    squares = (vectors**2).sum(axis=1)
    quality = np.array([_silhouette(vectors, squares, cut) for cut in cuts])
    return np.asarray(cuts[int(np.flatnonzero(quality >= _ABOUT * quality.max())[-1])], np.int64)


def _silhouette(vectors: np.ndarray, squares: np.ndarray, topic: np.ndarray) -> float:
    """Return the mean silhouette by mean distances to topics; texts alone in a topic count as 0."""
    size = np.bincount(topic)
    if len(size) < 2:
        return 0.0
    rows = np.arange(len(topic))
    total = vectors @ _sums(vectors, rows, topic).T  # similarity to all texts of a topic
    own = 1 - (total[rows, topic] - squares) / np.maximum(size[topic] - 1, 1)
    mean = total / size
    mean[rows, topic] = -np.inf
    other = 1 - mean.max(axis=1)
    each = (other - own) / np.maximum(np.maximum(own, other), 1e-12)
    return float(np.where(size[topic] > 1, each, 0.0).mean())


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
    return [word for word in _WORD.findall(text[:_TEXT_CHARS].lower()) if word not in _STOPS]
