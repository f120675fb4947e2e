"""Train a router: a small classifier that decides when the cheap model is good enough."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from costaudit.levers.effects import exact_bounds

if TYPE_CHECKING:
    from scipy import sparse

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

READ_CHARS = 2_000  # of a question
_WORD = re.compile(r"[^\W_]+")
_MOST_WORDS = 300
_LEAST_TEXTS = 5  # minimum number of texts that contain a word of the vocabulary
_PASTED_WORDS = 80
_RIDGE = 3.0  # strength of the penalty on weights
_FOLDS = 5
_SHARED = 1 + _FOLDS / (_FOLDS - 1)  # correction of the variance over parts that share
# training texts, after Nadeau and Bengio (2003)
_STEPS = np.linspace(0.0, 1.0, 21)  # shares of the calls that a threshold may send away
_STOP = {"maxiter": 60, "ftol": 1e-6, "gtol": 1e-4}  # of the fit
_DIGIT = re.compile("[0-9]")
_MIDDLE = 5.0  # of the logarithm of a question's length, so that its weight stays small


@dataclass(frozen=True)
class Features:
    """The features of questions: their words, length and digits."""

    vocabulary: tuple[str, ...]
    rows: "sparse.csr_matrix"  # float64 (texts, vocabulary + 2)

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Features":
        """Return the features of texts, with their most frequent words as the vocabulary."""
        bags = [_words(text) for text in texts]
        held: Counter[str] = Counter()
        for bag in bags:
            held.update(bag)
        common = sorted((-n, word) for word, n in held.items() if n >= _LEAST_TEXTS)
        vocabulary = tuple(word for _, word in common[:_MOST_WORDS])
        return cls(vocabulary, _rows(bags, texts, vocabulary))

    def like(self, texts: Sequence[str]) -> "Features":
        """Return the features of other texts, with the same vocabulary."""
        bags = [_words(text) for text in texts]
        return Features(self.vocabulary, _rows(bags, texts, self.vocabulary))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text[:READ_CHARS].lower()))


def _rows(
    bags: Sequence[set[str]], texts: Sequence[str], vocabulary: Sequence[str]
) -> "sparse.csr_matrix":
    from scipy import sparse

    place = {word: i for i, word in enumerate(vocabulary)}
    at = [(i, place[word]) for i, bag in enumerate(bags) for word in bag if word in place]
    row, column = np.array(sorted(at), np.int64).reshape(-1, 2).T
    shape = (len(texts), len(vocabulary))
    words = sparse.csr_matrix((np.ones(len(row)), (row, column)), shape=shape)
    length = [math.log1p(len(text[:READ_CHARS])) - _MIDDLE for text in texts]
    digits = [float(bool(_DIGIT.search(text[:READ_CHARS]))) for text in texts]
    dense = np.array([length, digits], np.float64).T
    return sparse.hstack([words, sparse.csr_matrix(dense)]).tocsr()


@dataclass(frozen=True)
class Classifier:
    """Predicts the log odds that the cheap model's answer is good enough."""

    weights: Floats  # of the columns of Features.rows
    bias: float

    def scores(self, rows: "sparse.csr_matrix") -> Floats:
        """Return the log odds of questions."""
        return np.asarray(rows @ self.weights).ravel() + self.bias


def fitted(rows: "sparse.csr_matrix", good: Mask, weight: Floats) -> Classifier:
    """Fit a ridge logistic regression; the bias is not penalised."""
    from scipy.optimize import minimize

    sign = np.where(good, 1.0, -1.0)
    share = weight / weight.mean()

    def loss(at: Floats) -> tuple[float, Floats]:
        margin = sign * (np.asarray(rows @ at[:-1]).ravel() + at[-1])
        value = float((share * np.logaddexp(0.0, -margin)).sum())
        slope = -share * sign / (1 + np.exp(np.clip(margin, -500, 500)))
        gradient = np.append(np.asarray(rows.T @ slope).ravel(), slope.sum())
        gradient[:-1] += _RIDGE * at[:-1]
        return value + 0.5 * _RIDGE * float(at[:-1] @ at[:-1]), gradient

    start = np.zeros(rows.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=_STOP)
    return Classifier(np.asarray(found.x[:-1]), float(found.x[-1]))


@dataclass(frozen=True)
class Labels:
    """The results of a sample: the tried texts, whether the answer was good, and its weight."""

    rows: Ints  # of the texts
    good: Mask
    weight: Floats  # texts of the population that each one represents

    def part(self, chosen: Mask) -> "Labels":
        """Return a part of the sample."""
        return Labels(self.rows[chosen], self.good[chosen], self.weight[chosen])


@dataclass(frozen=True)
class Rule:
    """A classifier with the least score for the cheap model."""

    classifier: Classifier
    least: float  # log odds; infinite where nothing may go

    def sends(self, rows: "sparse.csr_matrix") -> Mask:
        """Return which questions go to the cheap model."""
        return np.asarray(self.classifier.scores(rows) >= self.least)


@dataclass(frozen=True)
class _Aim:
    """The gain that a rule maximises, and its highest allowed loss."""

    gain: Floats  # of every text: what sending it to the cheap model saves, any unit
    most_loss: float  # share of questions that may get a worse answer
    size: int  # of the sample whose bounds the rule must hold


@dataclass(frozen=True)
class Tested:
    """A rule, and its cross-validated results."""

    rule: Rule
    sent: Mask  # of the sample: by rules that have not seen the text
    loss: float  # share of all questions that get a worse answer
    low: float  # 95 % bounds
    high: float
    chance: Floats  # of every text of the population: that the cheap answer is good; out of fold


def tested_rule(
    features: Features, labels: Labels, gain: Floats, most_loss: float, seed: int = 0
) -> Tested:
    """Return a rule from a sample, measured on parts of the sample that it has not seen.

    `gain` is what sending each text to the cheap model saves, in any unit. The rule sends as much
    as possible while the upper bound of its loss, on texts that it was not fitted on, is at most
    `most_loss`. Each part of the sample is then tested with a rule made from the other parts only.
    """
    rng = np.random.default_rng(seed)
    aim = _Aim(gain, most_loss, len(labels.rows))
    fold = rng.permutation(np.arange(len(labels.rows)) % _FOLDS)
    sent = np.zeros(len(labels.rows), np.bool_)
    whole = fitted(features.rows[labels.rows], labels.good, labels.weight)
    scores = whole.scores(features.rows)
    for one in range(_FOLDS):
        rest = labels.part(fold != one)
        rule = _rule(features, rest, aim, rng)
        mine = np.flatnonzero(fold == one)
        sent[mine] = rule.sends(features.rows[labels.rows[mine]])
        scores[labels.rows[mine]] = rule.classifier.scores(features.rows[labels.rows[mine]])
    many = len(labels.rows)
    low, high = share_bounds(sent & ~labels.good, labels.weight, round(many / _SHARED))
    return Tested(
        rule=_rule(features, labels, aim, rng, whole),
        sent=sent,
        loss=float(np.average(sent & ~labels.good, weights=labels.weight)),
        low=low,
        high=high,
        chance=1 / (1 + np.exp(-np.clip(scores, -30, 30))),
    )


def _rule(
    features: Features,
    labels: Labels,
    aim: _Aim,
    rng: np.random.Generator,
    whole: Classifier | None = None,
) -> Rule:
    """Fit the classifier, and choose its threshold by texts that it was not fitted on."""
    whole = whole or fitted(features.rows[labels.rows], labels.good, labels.weight)
    fold = rng.permutation(np.arange(len(labels.rows)) % _FOLDS)
    scores = np.empty(len(labels.rows))
    for one in range(_FOLDS):
        rest, mine = labels.part(fold != one), np.flatnonzero(fold == one)
        part = fitted(features.rows[rest.rows], rest.good, rest.weight)
        scores[mine] = part.scores(features.rows[labels.rows[mine]])
    order = np.argsort(-scores, kind="stable")
    mass = np.cumsum(labels.weight[order]) / labels.weight.sum()
    worth = np.cumsum((labels.weight * aim.gain[labels.rows])[order])
    bad = np.zeros(len(order), np.bool_)
    best, share = 0.0, 0.0
    for step in _STEPS[1:]:
        taken = int(np.searchsorted(mass, step + 1e-9))
        bad[:] = False
        bad[order[:taken]] = ~labels.good[order[:taken]]
        high = share_bounds(bad, labels.weight, aim.size)[1]
        if taken and high <= aim.most_loss and worth[taken - 1] > best:
            best, share = float(worth[taken - 1]), float(step)
    if not share:
        return Rule(whole, math.inf)
    return Rule(whole, float(np.quantile(whole.scores(features.rows), 1 - share)))


def share_bounds(hits: Mask, weight: Floats, size: int | None = None) -> tuple[float, float]:
    """Return 95 % bounds of a weighted share: Clopper and Pearson's, at the effective size.

    After Korn and Graubard (1998). `size` is the size of a planned sample, if it is another one.
    """
    if not len(weight):
        return 0.0, 1.0
    share = float(np.average(hits, weights=weight))
    effective = float(weight.sum() ** 2 / (weight**2).sum()) * (size or len(weight)) / len(weight)
    return exact_bounds(share * effective, effective)


@dataclass(frozen=True)
class ShortRule:
    """A rule with only its heaviest words, to paste into an application."""

    weights: dict[str, float]
    length: float  # for each unit of log(1 + characters)
    digits: float  # where the question holds a digit
    least: float

    @classmethod
    def of(cls, features: Features, rule: Rule) -> "ShortRule":
        """Return a rule with the words of most weight, rounded."""
        weights = rule.classifier.weights
        words = sorted(
            zip(features.vocabulary, weights, strict=False), key=lambda pair: -abs(pair[1])
        )
        told = {word: round(float(weight), 3) for word, weight in sorted(words[:_PASTED_WORDS])}
        length, digits = (round(float(one), 4) for one in weights[len(features.vocabulary) :][:2])
        least = rule.least - rule.classifier.bias + length * _MIDDLE
        return cls(told, length, digits, round(least, 4))

    def sends(self, question: str) -> bool:
        """Return whether the cheap model may answer."""
        text = question[:READ_CHARS]
        score = sum(self.weights.get(word, 0.0) for word in _words(text))
        score += self.length * math.log1p(len(text)) + self.digits * bool(_DIGIT.search(text))
        return score >= self.least

    def code(self, name: str) -> str:
        """Return the rule as a Python function that needs only the standard library."""
        safe = re.sub(r"[^\w:./-]", "", name)
        return f'''import math
import re

WEIGHTS = {self.weights!r}


def use_smaller_model(question: str) -> bool:
    """Return whether {safe} may answer; made by `costaudit route`."""
    text = question[:{READ_CHARS}]
    words = set(re.findall(r"[^\\W_]+", text.lower()))
    score = sum(WEIGHTS.get(word, 0.0) for word in words)
    score += {self.length} * math.log1p(len(text)) + {self.digits} * bool(re.search("[0-9]", text))
    return score >= {self.least}
'''
