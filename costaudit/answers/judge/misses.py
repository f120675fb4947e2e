"""Learn from a judge's verdicts how many wrong details escape all detectors."""

import numpy as np
import numpy.typing as npt

from costaudit.answers.judge.ask import Sample
from costaudit.answers.judge.ppi import PERFECT, JudgeError
from costaudit.answers.mixture.mixture import MISSED, Missed

Floats = npt.NDArray[np.float64]

_ROUNDS = 200  # iterations of expectation maximisation
_START = 1.0  # verdicts that are unexplained at the start
_LEAST = 0.1  # fewer unexplained verdicts are none


def missed_details(
    kinds: Floats, sample: Sample, verdict: npt.NDArray[np.int8], error: JudgeError = PERFECT
) -> Missed:
    """Return what the verdicts show about the detectors, without the prior `MISSED`.

    kinds: (3, hits), the probabilities that a hit has a wrong detail that no detector sees (by the
    prior), one that a detector sees, and that it is on another topic. verdict: 1 or 0 per row of
    the sample, and -1 if there is none. Each verdict is weighed by how many hits it represents, and
    all of them together count as their effective number (Kish). A verdict may be an error of the
    judge. The numbers are expected ones under the shares that fit best.
    """
    judged = np.flatnonzero(verdict >= 0)
    rows, said = sample.rows[judged], verdict[judged] == 1
    each = sample.stratum[rows]
    stands = np.bincount(sample.stratum)[each] / np.bincount(each)[each]
    weight = stands * stands.sum() / max((stands**2).sum(), 1e-12)
    unseen, seen, apart = kinds[:, rows]
    looks_right = 1 - seen - apart
    told_right = np.where(said, error.right_called_right, 1 - error.right_called_right)
    told_wrong = np.where(said, error.wrong_called_right, 1 - error.wrong_called_right)
    usual = MISSED.missed / MISSED.seen
    missed = found = 0.0
    more, rest = _START, float((weight * looks_right).sum())
    for _ in range(_ROUNDS):
        share = (MISSED.missed + missed) / (MISSED.missed + missed + MISSED.seen + found)
        hidden = np.clip(unseen * share / (1 - share) / usual, 0, looks_right)
        base = (looks_right - hidden) * more / (MISSED.explained + more + rest)
        wrong = hidden + base + seen + apart
        told = wrong * told_wrong + (1 - wrong) * told_right
        part = weight * told_wrong / np.maximum(told, 1e-12)
        missed, found = float((part * hidden).sum()), float((part * seen).sum())
        more = float((part * base).sum())
        rest = max(float((weight * looks_right).sum()) - missed - more, 0.0)
    return Missed(missed, found, more if more > _LEAST else 0.0, rest)
