"""Measure how stable words are in answers to one prompt, and what a differing word tells.

If all answers to a prompt share a word (the section of the app, the plan's name) and the served
answer lacks it, the answers differ, whatever the word means. A word that only some repeats have
tells nothing.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.carried import Bools, carried_words
from costaudit.answers.logged import Ints, Logged
from costaudit.answers.repeats import Repeats
from costaudit.answers.word_matrix import word_matrix

Floats = npt.NDArray[np.float64]

_PRIOR = 3.0  # pseudo-pairs that pull a word's share of differing pairs towards that of all words
_WRONG = 0.9  # share of wrong pairs in which a word of one answer is missing in the other
_NEAR = 0.25  # quantile of gaps at which a pair weighs a quarter
_PART = 1 << 15  # pairs compared at a time


@dataclass(frozen=True)
class _Counts:
    """Weights of pairs by (request, word)."""

    key: npt.NDArray[np.int64]  # request and word in one number, ascending
    held: Floats  # weight of pairs with the word on either side
    differ: Floats  # weight of pairs with the word on one side only

    def of(self, key: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return the weights `held` and `differ` of each key; 0 if there are none."""
        if not len(self.key):
            return np.zeros(len(key)), np.zeros(len(key))
        at = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        found = self.key[at] == key
        return np.where(found, self.held[at], 0.0), np.where(found, self.differ[at], 0.0)


class Wording:
    """The words of a log's answers, and how stable they are between repeats."""

    def __init__(self, log: Logged, pairs: Repeats) -> None:
        self._row, self._words, echoes = word_matrix(log)
        self.echoes = echoes[self._row]  # by request: whether its answer repeats its question
        self._width = self._words.shape[1]
        self._requests = len(log)
        self._learn(pairs)
        read = np.flatnonzero((log.answer >= 0) & (log.question >= 0))
        self.by_time, self.by_user = carried_words(
            self._words[self._row[read]],
            log.whole_prompt[read].astype(np.int64),
            log.seconds[read],
            log.user[read].astype(np.int64),
        )

    def carried(self, first: Ints, second: Ints) -> tuple[Bools, Bools]:
        """Return whether answers differ in a word that depends on time, and in one on the user."""
        time, user = np.zeros(len(first), np.bool_), np.zeros(len(first), np.bool_)
        if not (self.by_time.any() or self.by_user.any()):
            return time, user
        for start in range(0, len(first), _PART):
            part = slice(start, min(start + _PART, len(first)))
            pair, word, both = self._differing(first[part], second[part])
            pair, word = pair[~both] + start, word[~both]
            time[pair[self.by_time[word]]] = True
            user[pair[self.by_user[word]]] = True
        return time, user

    def surprise(self, first: Ints, second: Ints) -> Floats:
        """Return the log likelihood ratio of the clearest differing word of each pair; 0 if none.

        Repeats that involve either request are left out, so that no pair is its own evidence.
        """
        out = np.zeros(len(first))
        for start in range(0, len(first), _PART):
            part = slice(start, min(start + _PART, len(first)))
            out[part] = self._surprise(first[part], second[part])
        return out

    def _surprise(self, first: Ints, second: Ints) -> Floats:
        pair, word, both = self._differing(first, second)
        pair, word = pair[~both], word[~both]
        held, differ = self._held[word].copy(), self._differ[word].copy()
        for side in (first, second):
            one = self._by_request.of(side[pair].astype(np.int64) * self._width + word)
            held -= one[0]
            differ -= one[1]
        own = self._own_weight(first, second)[pair]  # was subtracted twice
        held, differ = np.maximum(held + own, 0), np.maximum(differ + own, 0)
        share = (differ + _PRIOR * self._typical) / (held + _PRIOR)
        out = np.zeros(len(first))
        np.maximum.at(out, pair, np.log(_WRONG / np.minimum(share, _WRONG)))
        return out

    def _own_weight(self, first: Ints, second: Ints) -> Floats:
        if not len(self._pair):
            return np.zeros(len(first))
        low, high = np.minimum(first, second), np.maximum(first, second)
        key = low.astype(np.int64) * self._requests + high
        at = np.minimum(np.searchsorted(self._pair, key), len(self._pair) - 1)
        return np.where(self._pair[at] == key, self._pair_weight[at], 0.0)

    def _differing(
        self, first: Ints, second: Ints
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return (pair, word) for each word of either answer, and whether both answers have it."""
        total = (self._words[self._row[first]] + self._words[self._row[second]]).tocoo()
        return total.row.astype(np.int64), total.col.astype(np.int64), total.data == 2

    def _learn(self, pairs: Repeats) -> None:
        weight = pairs.weight * nearness(pairs)
        weight *= weight.sum() / max(float((weight**2).sum()), 1e-9)  # sum to the effective size
        keys, helds, differs = [], [], []
        self._held, self._differ = np.zeros(self._width), np.zeros(self._width)
        for start in range(0, len(pairs), _PART):
            part = slice(start, start + _PART)
            first, second = pairs.first[part], pairs.second[part]
            pair, word, both = self._differing(first, second)
            value = weight[part][pair]
            lacking = np.where(both, 0.0, value)
            self._held += np.bincount(word, value, self._width)
            self._differ += np.bincount(word, lacking, self._width)
            for side in (first, second):
                keys.append(side[pair].astype(np.int64) * self._width + word)
                helds.append(value)
                differs.append(lacking)
        key, where = np.unique(np.concatenate(keys or [np.zeros(0, np.int64)]), return_inverse=True)
        where = where.reshape(-1)
        self._by_request = _Counts(
            key,
            _summed(where, helds, len(key)),
            _summed(where, differs, len(key)),
        )
        low = np.minimum(pairs.first, pairs.second).astype(np.int64)
        code = low * self._requests + np.maximum(pairs.first, pairs.second)
        order = np.argsort(code)
        self._pair, self._pair_weight = code[order], weight[order]
        self._typical = float((self._differ.sum() + 0.3) / (self._held.sum() + 1.0))


def _summed(where: npt.NDArray[np.int64], parts: list[Floats], length: int) -> Floats:
    held: Floats = np.concatenate([np.zeros(0), *parts])
    return np.bincount(where, held, length).astype(np.float64)


def nearness(pairs: Repeats) -> Floats:
    """Return weights of pairs that fall with the time gap, because facts change over long gaps."""
    gap = np.nan_to_num(pairs.gap_s, nan=0.0)
    if not gap.any():
        return np.ones(len(gap))
    typical = max(float(np.quantile(gap, _NEAR)), 1.0)
    return np.asarray(1 / (1 + gap / typical) ** 2)
