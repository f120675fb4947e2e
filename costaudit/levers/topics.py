"""Group questions into topics by their words: fast, and equal on every machine."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy import sparse

Floats = npt.NDArray[np.float64]
_WORD = re.compile(r"[^\W_]+")
_ROUNDS = 12
_MOST_WORDS = 4_000  # of the vocabulary
_LEAST_TEXTS = 2  # minimum number of texts that contain a word of the vocabulary
_NAMED_BY = 3  # words that name a topic
_READ_CHARS = 2_000  # of a text
_STOPS = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "can",
        "could",
        "de",
        "del",
        "did",
        "do",
        "does",
        "el",
        "en",
        "es",
        "for",
        "from",
        "have",
        "how",
        "i",
        "in",
        "is",
        "it",
        "la",
        "las",
        "lo",
        "los",
        "me",
        "mi",
        "my",
        "no",
        "o",
        "of",
        "on",
        "or",
        "para",
        "por",
        "que",
        "qué",
        "se",
        "si",
        "that",
        "the",
        "this",
        "to",
        "un",
        "una",
        "was",
        "we",
        "what",
        "when",
        "where",
        "which",
        "who",
        "why",
        "will",
        "with",
        "would",
        "y",
        "you",
        "your",
        "yo",
        "con",
        "como",
        "cómo",
        "please",
    ]
)


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without stop words."""
    return [word for word in _WORD.findall(text[:_READ_CHARS].lower()) if word not in _STOPS]


@dataclass(frozen=True)
class Topics:
    """A partition of distinct texts."""

    of: npt.NDArray[np.int32]  # topic of each text
    names: tuple[str, ...]  # by topic: its most typical words


@dataclass(frozen=True)
class Words:
    """Texts as bags of words, each of unit length."""

    vocabulary: tuple[str, ...]
    rows: "sparse.csr_matrix"  # float64 (texts, vocabulary)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Words":
        """Return texts with words weighted by rarity (tf-idf)."""
        from scipy import sparse

        bags = [Counter(words_of(text)) for text in texts]
        held: Counter[str] = Counter()
        for bag in bags:
            held.update(bag.keys())
        common = sorted((-n, word) for word, n in held.items() if n >= _LEAST_TEXTS)
        vocabulary = tuple(word for _, word in common[:_MOST_WORDS])
        place = {word: i for i, word in enumerate(vocabulary)}
        rarity = np.log((1 + len(texts)) / (1 + np.array([held[w] for w in vocabulary]))) + 1
        at = [(i, place[w], n) for i, bag in enumerate(bags) for w, n in bag.items() if w in place]
        row, column, count = np.array(at, np.int64).reshape(-1, 3).T
        weight = (1 + np.log(np.maximum(count, 1))) * rarity[column]
        shape = (len(texts), len(vocabulary))
        matrix = sparse.csr_matrix((weight, (row, column)), shape=shape)
        length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        scale = sparse.diags(1 / np.where(length > 0, length, 1.0))
        return cls(vocabulary, (scale @ matrix).tocsr())


def topics_of(texts: Sequence[str], most: int, seed: int = 0) -> Topics:
    """Divide distinct texts into at most `most` topics by spherical k-means on their words."""
    words = Words.of(texts)
    if most <= 1 or len(texts) < 2 or not words.vocabulary:
        return Topics(np.zeros(len(texts), np.int32), (_named(words, np.arange(len(texts))),))
    centres = _first_centres(words.rows, min(most, len(texts)), np.random.default_rng(seed))
    topic = np.zeros(len(texts), np.int32)
    for turn in range(_ROUNDS):
        nearest = np.asarray((words.rows @ centres.T).argmax(axis=1)).ravel().astype(np.int32)
        if turn and (nearest == topic).all():
            break
        topic = nearest
        centres = _means(words.rows, topic, len(centres), centres)
    topic = np.unique(topic, return_inverse=True)[1].reshape(-1).astype(np.int32)
    names = tuple(
        _named(words, np.flatnonzero(topic == one)) for one in range(int(topic.max()) + 1)
    )
    return Topics(topic, names)


def _first_centres(rows: "sparse.csr_matrix", most: int, rng: np.random.Generator) -> Floats:
    """Return texts that are far from one another (k-means++ on the cosine distance)."""
    chosen = [int(rng.integers(rows.shape[0]))]
    near = np.asarray((rows @ rows[chosen[0]].T).todense()).ravel()
    while len(chosen) < most:
        far = np.clip(1 - near, 0, None) ** 2
        if far.sum() <= 1e-9:
            break
        chosen.append(int(rng.choice(len(far), p=far / far.sum())))
        near = np.maximum(near, np.asarray((rows @ rows[chosen[-1]].T).todense()).ravel())
    return np.asarray(rows[chosen].todense())


def _means(
    rows: "sparse.csr_matrix", topic: npt.NDArray[np.int32], many: int, before: Floats
) -> Floats:
    from scipy import sparse

    member = sparse.csr_matrix(
        (np.ones(len(topic)), (topic, np.arange(len(topic)))), shape=(many, len(topic))
    )
    sums = np.asarray((member @ rows).todense())
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.where(length > 0, sums / np.where(length > 0, length, 1.0), before)


def _named(words: Words, members: npt.NDArray[np.int64]) -> str:
    """Return a topic's name: the words with the most weight, compared with all texts."""
    if not words.vocabulary or not len(members):
        return ""
    own = np.asarray(words.rows[members].mean(axis=0)).ravel()
    gain = own - 0.5 * np.asarray(words.rows.mean(axis=0)).ravel()
    order = np.argsort(-gain, kind="stable")[:_NAMED_BY]
    return " ".join(words.vocabulary[i] for i in order if own[i] > 0)
