"""Measure each detector's false alarms by topic, because answers vary more on some topics.

A topic's share of false alarms is shrunk towards that of the whole log. It is shrunk more the fewer
repeats the topic has and the less topics differ: a beta-binomial model whose strength is estimated
by moments.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.logged import Ints, Logged

Floats = npt.NDArray[np.float64]

_PROMPTS = 6  # repeated prompts per topic, about
_ROUNDS = 15  # iterations of k-means
_MOST = 400  # maximum number of topics
_NEAR = 0.5  # minimum cosine of a question to its topic's centre
_STRENGTHS = (4.0, 10_000.0)  # least and most weight of the whole log's share, in pairs


@dataclass(frozen=True)
class Topics:
    """Questions grouped by their vectors; questions far from all groups are in the last one."""

    of_question: Ints  # topic of each distinct question; one more entry for no question (-1)
    count: int  # number of topics, including the last one


def topics_of(log: Logged, repeated: Ints) -> Topics:
    """Group the distinct questions of a log around those of the `repeated` requests."""
    asked = np.unique(log.question[repeated])
    asked = asked[asked >= 0]
    count = min(len(asked) // _PROMPTS, _MOST)
    if count < 2:
        return Topics(np.zeros(len(log.questions) + 1, np.int32), 1)
    import faiss

    vectors = np.ascontiguousarray(log.question_vectors, np.float32)
    means = faiss.Kmeans(
        vectors.shape[1], count, niter=_ROUNDS, seed=0, spherical=True, min_points_per_centroid=1
    )
    means.train(vectors[asked])
    similarity, nearest = means.index.search(vectors, 1)
    near = similarity[:, 0] >= _NEAR
    topic = np.where(near, nearest[:, 0], count).astype(np.int32)
    return Topics(np.append(topic, np.int32(count)), count + 1)


@dataclass(frozen=True)
class Alarms:
    """False alarms of one detector by topic."""

    fired: Floats  # (topics,), weighted pairs of repeats that it separates
    pairs: Floats  # (topics,), weighted pairs of repeats
    share: float  # share of false alarms in the whole log
    strength: float  # weight of the whole log's share, in pairs

    @classmethod
    def of(cls, topic: Ints, fired: Floats, weight: Floats, count: int, share: float) -> "Alarms":
        """Count the repeats of each topic; `share`: the share of false alarms in the whole log."""
        pairs: Floats = np.bincount(topic, weight, count).astype(np.float64)
        found: Floats = np.bincount(topic, weight * fired, count).astype(np.float64)
        return cls(found, pairs, share, _strength(found, pairs))

    def by_topic(self) -> Floats:
        """Return the share of false alarms of each topic, (topics,)."""
        lean = self.strength
        out: Floats = (self.fired + lean * self.share) / (self.pairs + lean)
        return out

    def without(self, topic: Ints, fired: Floats, weight: Floats) -> Floats:
        """Return the share of false alarms of each pair's topic without that pair, (pairs,)."""
        lean = self.strength
        out: Floats = (self.fired[topic] - weight * fired + lean * self.share) / (
            self.pairs[topic] - weight + lean
        )
        return np.maximum(out, 1e-9)


def _strength(fired: Floats, pairs: Floats) -> float:
    """Estimate by moments how much topics resemble each other, as a weight in pairs."""
    low, high = _STRENGTHS
    seen = pairs > 0
    fired, pairs = fired[seen], pairs[seen]
    total, many = float(pairs.sum()), len(pairs)
    if many < 2 or not 0 < fired.sum() < total:
        return high
    mean = float(fired.sum()) / total
    chance = mean * (1 - mean)
    spread = float((pairs * (fired / pairs - mean) ** 2).sum()) - (many - 1) * chance
    size = total - float((pairs**2).sum()) / total - (many - 1)
    if spread <= 0 or size <= 0:
        return high
    alike = min(spread / (chance * size), 1.0)
    return float(np.clip(1 / alike - 1, low, high))
