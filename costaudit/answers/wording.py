"""Compare answers by their words, without vectors."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from costaudit.answers.kinds import (
    CODE,
    JSON,
    TEXT,
    NoisyFields,
    code_of,
    kind_of_text,
    same_code,
    same_structure,
)
from costaudit.answers.traps.folding import fold
from costaudit.answers.traps.signatures import Signatures

ENOUGH_REPEATS = 30  # minimum number of pairs of answers to one prompt to measure how wordings vary
ASSUMED_OVERLAP = 0.5  # limit on the share of common words if there are fewer pairs
_QUANTILE = 0.05  # share of the repeats' overlaps that are below the limit
_WORD = re.compile(r"[^\W_]+")
Index = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Wordings:
    """Distinct answers, analysed once so that pairs can be compared."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._kinds = np.array([kind_of_text(text) for text in texts] or [TEXT])
        self._signatures = Signatures(texts)
        self._words = [frozenset(_WORD.findall(fold(text))) for text in texts]

    def overlap(self, first: Index, second: Index) -> Floats:
        """Return the share of words that pairs of answers have in common (Dice), 0 to 1."""
        pairs = zip(first.tolist(), second.tolist(), strict=True)
        return np.array([_dice(self._words[a], self._words[b]) for a, b in pairs], np.float64)

    def limit(self, first: Index, second: Index) -> float:
        """Return the overlap below which answers to one prompt rarely fall.

        first and second are pairs of answers to one prompt by one model.
        """
        differ = first != second
        if differ.sum() < ENOUGH_REPEATS:
            return ASSUMED_OVERLAP
        return float(np.quantile(self.overlap(first[differ], second[differ]), _QUANTILE))

    def agree(self, first: Index, second: Index, limit: float) -> npt.NDArray[np.bool_]:
        """Return whether pairs of answers say the same.

        Structured answers are compared by field. For text, the overlap must reach `limit`, and no
        detector (numbers, dates, names, negation ...) may separate the answers. For code, this
        applies to the text around it too, and the code must be equal.
        """
        clash = self._signatures.contradicts(first, second) != 0
        found = (self.overlap(first, second) >= limit) & ~clash
        a, b = self._kinds[first], self._kinds[second]
        for kind in (JSON, CODE):
            found &= (a == kind) == (b == kind)
        for k in np.flatnonzero((a == JSON) & (b == JSON)):
            texts = [self._texts[first[k]]], [self._texts[second[k]]]
            found[k] = bool(same_structure(*texts, NoisyFields(frozenset()))[0])
        for k in np.flatnonzero((a == CODE) & (b == CODE)):
            own, other = self._texts[first[k]], self._texts[second[k]]
            around = frozenset(code_of(own).words), frozenset(code_of(other).words)
            alike = _dice(*around) >= limit or not all(around)
            found[k] &= alike and same_code(own, other)
        return np.asarray(found | (first == second), np.bool_)


def common_share(first: str, second: str) -> float:
    """Return the share of words that two texts have in common (Dice), 0 to 1."""
    words = (frozenset(_WORD.findall(fold(text))) for text in (first, second))
    return _dice(*words)


def _dice(first: frozenset[str], second: frozenset[str]) -> float:
    both = len(first) + len(second)
    return 2 * len(first & second) / both if both else 1.0
