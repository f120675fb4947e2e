"""Find words in answers that depend on the time or the user, not on chance.

A word that noise puts into some answers to a prompt appears at random times. A word that depends on
a fact (a price until it changes, an outage, the user's name) appears in answers that are adjacent
in time, or that one user got. All prompts whose answers have the word are pooled, because users
rarely ask for a fact in the same words. Shuffling the answers to each prompt shows how much of the
pattern is chance.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_MOST = 24  # maximum number of answers to read per prompt, spread evenly over time
_LAGS = (1, 2, 3)  # distances to the neighbours that an answer is compared with
_SHUFFLES = 16
_FALSE = 0.1  # accepted share of false discoveries among the words found
_FIRST = 4.0  # standard deviations by which the best word must exceed the best one by chance
_LEAST = 0.4  # minimum correlation between neighbours for a word that depends on time or user
_CLEARLY = 0.05  # if a word seems to depend on both, by how much the user must correlate more
_SURE = 1e-6  # probability by chance of a word's score, among shuffles of its own answers
_ALSO = 1e-4  # the same for further words, once there is one
_RARE = 1.01e-3  # the same where many words together are evidence
_TOGETHER = 1e-4  # probability by chance of as many such words
_OWN_ROWS, _OWN_SHUFFLES = 200_000, (50, 1_000)  # rows to shuffle for a word, and how often
_FEWEST = 4  # minimum number of answers that have the word, and of those that lack it


@dataclass(frozen=True)
class _Entries:
    """One row per answer and word that some answers to its prompt have and others lack."""

    word: Longs
    answer: Longs  # index among the answers read
    start: Longs  # first row of this prompt and word; its rows are in the order of answers
    has: Floats  # 1 if the answer has the word, else 0
    mean: Floats  # share of the prompt's answers that have the word
    first: Longs  # index of the prompt's first answer

    def of(self, word: int) -> "_Entries":
        """Return the rows of one word."""
        rows = np.flatnonzero(self.word == word)
        _, start = np.unique(self.start[rows], return_inverse=True)
        first = np.searchsorted(start, start)  # blocks of a prompt stay together
        return _Entries(
            np.zeros(len(rows), np.int64), self.answer[rows], first, self.has[rows],
            self.mean[rows], self.first[rows],
        )  # fmt: skip

    def residual(self, order: Longs) -> Floats:
        """Return each row minus its prompt's mean, with the answers in `order`."""
        moved = order[self.answer] - self.first
        out: Floats = self.has[self.start + moved] - self.mean
        return out


def carried_words(
    words: "csr_matrix", prompt: Longs, seconds: Floats, user: Longs
) -> tuple[Bools, Bools]:
    """Return which words depend on time and which on the user, as two masks over words.

    words: (answers, words), 1 where an answer has a word. prompt, seconds and user have one value
    per answer; user is -1 if unknown.
    """
    width = words.shape[1]
    nothing = np.zeros(width, np.bool_)
    rows = _thinned(prompt, seconds)
    if not len(rows):
        return nothing, nothing
    words, prompt, seconds, user = words[rows], prompt[rows], seconds[rows], user[rows]
    entries = _entries(words, prompt)
    if not len(entries.word):
        return nothing, nothing
    rng = np.random.default_rng(0)
    chance = [np.lexsort((rng.random(len(prompt)), prompt)) for _ in range(_SHUFFLES)]
    timed, named = seconds >= 0, user >= 0
    by_time = by_user = nothing
    time_strength = np.zeros(width)
    if timed.all() and seconds.min() < seconds.max():
        by_time, time_strength = _following(
            entries, seconds, np.zeros(len(user), np.int64), chance, width
        )
    if named.any():
        alone = np.where(named, user, user.max() + 1 + np.arange(len(user)))
        shuffled = rng.permutation(len(user)).astype(np.float64)  # neighbours in no time order
        by_user, strength = _following(entries, shuffled, alone, chance, width)
        by_user &= ~by_time | (strength > time_strength + _CLEARLY)
    return by_time, by_user


def _thinned(prompt: Longs, seconds: Floats) -> Longs:
    """Return the answers to read, ordered by prompt and time; prompts with one answer have none."""
    order = np.lexsort((seconds, prompt))
    sorted_ = prompt[order]
    _, start, count = np.unique(sorted_, return_index=True, return_counts=True)
    which = np.repeat(np.arange(len(start)), count)
    place = np.arange(len(order)) - start[which]
    size = count[which]
    step = np.maximum(size / _MOST, 1.0)
    keep = (size > 1) & (np.floor(place / step) != np.floor((place - 1) / step))
    return np.asarray(order[keep], np.int64)


def _entries(words: "csr_matrix", prompt: Longs) -> _Entries:
    """Return the words that only some answers to a prompt have; answers are sorted by prompt."""
    from scipy.sparse import csr_matrix

    _, first, number, count = np.unique(
        prompt, return_index=True, return_inverse=True, return_counts=True
    )
    number = number.reshape(-1)
    width = words.shape[1]
    member = csr_matrix(
        (np.ones(len(prompt), np.int32), (number, np.arange(len(prompt)))),
        shape=(len(first), len(prompt)),
    )
    held = (member @ words.astype(np.int32)).tocoo()
    some = held.data < count[held.row]
    group, word, having = held.row[some], held.col[some].astype(np.int64), held.data[some]
    many = np.bincount(word, having, width)
    without = np.bincount(word, count[group] - having, width)
    common = np.minimum(many, without)[word] >= _FEWEST
    group, word, having = group[common], word[common], having[common]
    size = count[group]
    start = np.cumsum(size) - size
    block = np.repeat(np.arange(len(group)), size)
    place = np.arange(len(block)) - start[block]
    answer = first[group][block] + place
    listed = words.tocoo()
    key = np.sort(listed.row.astype(np.int64) * width + listed.col)
    wanted = answer * width + word[block]
    at = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
    has = (key[at] == wanted).astype(np.float64) if len(key) else np.zeros(len(wanted))
    mean = (having / size)[block]
    return _Entries(word[block], answer, start[block], has, mean, first[group][block])


def _following(
    entries: _Entries, place: Floats, who: Longs, chance: list[Longs], width: int
) -> tuple[Bools, Floats]:
    """Return which words tend to be present or absent together in adjacent answers of one `who`.

    Also return the correlation between neighbours, by word.
    """
    order = np.lexsort((place[entries.answer], who[entries.answer], entries.word))
    plan = _Neighbours(entries, order, who, width)
    found, strength = plan.score(entries.residual(np.arange(len(who))))
    null = np.stack([plan.score(entries.residual(one))[0] for one in chance])
    strong = strength >= _LEAST
    passed = strong & (found > _limit(found[strong], null))
    from scipy.special import pdtrc

    rng = np.random.default_rng(1)
    chances = np.ones(width)
    for word in np.flatnonzero(passed).tolist():
        own = _own_null(entries.of(word), place, who, rng)
        chances[word] = _probability(float(found[word]), own)
    if chances.min(initial=1.0) <= _SURE:
        return chances <= _ALSO, strength
    rare = chances <= _RARE
    expected = _RARE * len(np.unique(entries.word))
    distinct = len(np.unique(found[rare].round(6)))  # words of one wording have one score
    is_more = distinct > 0 and float(pdtrc(distinct - 1, expected)) <= _TOGETHER
    return rare & is_more, strength


def _own_null(entries: _Entries, place: Floats, who: Longs, rng: np.random.Generator) -> Floats:
    """Return the scores of one word's shuffled answers; the more answers, the fewer shuffles."""
    rows = len(entries.word)
    plan = _Neighbours(
        entries, np.lexsort((place[entries.answer], who[entries.answer])), who, width=1
    )
    shuffles = int(np.clip(_OWN_ROWS / rows, *_OWN_SHUFFLES))
    at_once = max(_OWN_ROWS // rows, 1)
    scores = []
    for done in range(0, shuffles, at_once):
        chance = rng.random((min(at_once, shuffles - done), rows))
        shuffled = entries.has[np.lexsort((chance, np.broadcast_to(entries.start, chance.shape)))]
        scores.append(plan.scores(shuffled - entries.mean))
    return np.concatenate(scores)


def _probability(score: float, null: Floats) -> float:
    """Return how probable such a score is by chance, with an exponential tail beyond `null`.

    Of n scores the best has a probability of 1/n, and twice its distance from the middle 1/n².
    """
    middle, best = float(np.median(null)), float(null.max())
    return float(len(null) ** -((score - middle) / max(best - middle, 1e-9)))


def _limit(found: Floats, null: Floats) -> float:
    """Return the score above which only a few of the found words are due to chance.

    `null`: (shuffles, words), scores of shuffled answers. The best of many words scores high by
    chance too, so no word is found unless the best is clearly above the shuffles' best ones.
    """
    best = null.max(axis=1)
    if found.max(initial=-np.inf) <= best.mean() + _FIRST * best.std(ddof=1):
        return float("inf")
    null = np.sort(null, axis=None)
    for score in np.sort(found):
        by_chance = (len(null) - np.searchsorted(null, score, "left")) / _SHUFFLES
        if by_chance <= _FALSE * (found >= score).sum():
            return float(np.nextafter(score, -np.inf))
    return float("inf")


class _Neighbours:
    """The pairs of rows to compare, and their expected products by chance."""

    def __init__(self, entries: _Entries, order: Longs, who: Longs, width: int) -> None:
        self.width, self.order = width, order
        word, by = entries.word[order], who[entries.answer[order]]
        first = entries.first[order]
        spread = (entries.mean * (1 - entries.mean))[order]
        self.pairs, self.expected, self.variance = [], np.zeros(width), np.zeros(width)
        counts = np.bincount(entries.start, minlength=len(entries.word))[entries.start][order]
        for lag in _LAGS:
            left = np.flatnonzero((word[lag:] == word[:-lag]) & (by[lag:] == by[:-lag]))
            right = left + lag
            self.pairs.append((left, right, word[left]))
            same = first[left] == first[right]
            bias = np.where(same, -spread[left] / np.maximum(counts[left] - 1, 1), 0.0)
            self.expected += np.bincount(word[left], bias, width)
            self.variance += np.bincount(word[left], spread[left] * spread[right], width)

    def score(self, residual: Floats) -> tuple[Floats, Floats]:
        """Return, by word, the sum of products in standard errors, and neighbours' correlation."""
        residual = residual[self.order]
        total, square = np.zeros(self.width), np.zeros(self.width)
        for left, right, word in self.pairs:
            total += np.bincount(word, residual[left] * residual[right], self.width)
            both = 0.5 * (residual[left] ** 2 + residual[right] ** 2)
            square += np.bincount(word, both, self.width)
        more = total - self.expected
        return more / np.sqrt(np.maximum(self.variance, 1e-12)), more / np.maximum(square, 1e-12)

    def scores(self, residuals: Floats) -> Floats:
        """Return the scores of a plan of one word, for each row of residuals."""
        residuals = residuals[:, self.order]
        total = np.zeros(len(residuals))
        for left, right, _ in self.pairs:
            products = residuals[:, left] * residuals[:, right]
            if products.size:
                total += np.cumsum(products, axis=1)[:, -1]  # in order, as np.bincount sums
        error: float = np.sqrt(max(self.variance[0], 1e-12))
        return np.asarray((total - self.expected[0]) / error)
