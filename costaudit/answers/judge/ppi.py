"""Prediction-powered inference: a few verdicts correct the cheap comparison of many pairs.

There are two estimates of the share of right hits.

The powered one follows Angelopoulos, Duchi and Zrnic, "PPI++: Efficient Prediction-Powered
Inference" (2023), for a stratified sample without replacement. The share is the mean of the
comparison's probability times a weight (lambda), plus the stratified mean of how much the verdicts
differ from that. Lambda is chosen for least variance. The estimate is valid however good or bad the
comparison is, but it can't remove the noise from a judge's errors.

The recalibrated one assumes that the odds of being right are a power of the comparison's odds times
a constant. A few verdicts are enough to fit these two numbers, even if the judge errs. Where the
comparison is sure, noise in the verdicts then hardly moves the share, so the interval is narrow.
This estimate is used only if it lies within the interval of the powered one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.judge.ask import Sample
from costaudit.contracts.grades import Estimate

Floats = npt.NDArray[np.float64]

_SURE = 0.002  # probabilities are clipped to this distance from 0 and 1
_PRIOR_MEAN = np.array([0.0, 1.0])  # log constant and power if the comparison needs no correction
_PRIOR_PRECISION = np.array([1.0, 4.0])  # standard deviations: 1 in log odds, 0.5 in the power
_ROUNDS = 50


def recalibrated_share(
    probability: Floats,
    rows: npt.NDArray[np.int64],
    said: Floats,
    right_called_right: float,
    wrong_called_right: float,
) -> tuple[float, float]:
    """Return the recalibrated share of right hits and its standard error.

    `probability` is per hit, and `said` 1 or 0 per judged row. The judge's errors are part of the
    likelihood:
    P(called right) = wrong_called_right + (right_called_right - wrong_called_right) x P(right).
    """
    clipped = np.clip(probability, _SURE, 1 - _SURE)
    terms = np.stack([np.ones(len(clipped)), np.log(clipped / (1 - clipped))], axis=1)
    gap = right_called_right - wrong_called_right
    judged = terms[rows]
    found = _PRIOR_MEAN.copy()
    information = np.diag(_PRIOR_PRECISION)
    for _ in range(_ROUNDS):  # Fisher scoring
        chance = _logistic(judged @ found)
        called = np.clip(wrong_called_right + gap * chance, 1e-6, 1 - 1e-6)
        slope = gap * chance * (1 - chance)
        weight = slope**2 / (called * (1 - called))
        gradient = judged.T @ ((said - called) * slope / (called * (1 - called)))
        gradient -= _PRIOR_PRECISION * (found - _PRIOR_MEAN)
        information = (judged * weight[:, None]).T @ judged + np.diag(_PRIOR_PRECISION)
        step = np.linalg.solve(information, gradient)
        found = found + np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    chance = _logistic(terms @ found)
    direction = (terms * (chance * (1 - chance))[:, None]).mean(axis=0)
    variance = direction @ np.linalg.solve(information, direction)
    return float(chance.mean()), float(np.sqrt(variance))


def _logistic(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30.0, 30.0))))


_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class JudgeError:
    """How often a judge is right on control pairs, for which the right verdict is known."""

    right_called_right: float  # share of right controls that the judge calls right
    wrong_called_right: float  # share of wrong controls that the judge calls right
    right_controls: int  # number of right controls with a verdict
    wrong_controls: int

    @property
    def gap(self) -> float:
        """How much more often right answers are called right than wrong ones are."""
        return self.right_called_right - self.wrong_called_right

    @property
    def is_useful(self) -> bool:
        """Whether the verdicts tell right from wrong answers well enough."""
        return self.gap > 0.2


def judge_error(truth: npt.NDArray[np.bool_], verdict: npt.NDArray[np.int8]) -> JudgeError:
    """Measure a judge on control pairs; `verdict` is 1 or 0, and -1 if there is none.

    One more control of each kind is counted as half wrong, so that a few controls don't make a
    judge look perfect.
    """
    right, wrong = verdict[truth & (verdict >= 0)], verdict[~truth & (verdict >= 0)]
    return JudgeError(
        right_called_right=(float(right.sum()) + 0.5) / (len(right) + 1) if len(right) else 1.0,
        wrong_called_right=(float(wrong.sum()) + 0.5) / (len(wrong) + 1) if len(wrong) else 0.0,
        right_controls=len(right),
        wrong_controls=len(wrong),
    )


PERFECT = JudgeError(1.0, 0.0, 0, 0)


@dataclass(frozen=True)
class Corrected:
    """The share of right hits, from verdicts and the comparison, and from verdicts alone."""

    share: Estimate  # the one to report
    powered: Estimate  # by PPI++, without assumptions
    verdicts_alone: Estimate
    recalibrated: bool  # whether `share` is the recalibrated one; else it is `powered`
    verdicts: int
    weight: float  # lambda: 0 ignores the comparison, 1 uses it fully


def corrected_share(
    probability: Floats,
    sample: Sample,
    verdict: npt.NDArray[np.int8],
    error: JudgeError = PERFECT,
) -> Corrected:
    """Estimate the share of right hits in a population.

    `probability` is per hit; `verdict` is 1 or 0 per row of the sample, and -1 if there is none.
    Verdicts are corrected for the judge's errors by the Rogan–Gladen formula.
    """
    judged = verdict >= 0
    rows, said = sample.rows[judged], verdict[judged].astype(np.float64)
    truth = (said - error.wrong_called_right) / error.gap
    stratum = _merged(sample.stratum, rows)
    best = _best_weight(truth, probability, stratum, rows)
    powered = _estimate(truth, probability, stratum, rows, best, error)
    alone = _estimate(truth, probability, stratum, rows, 0.0, error)
    value, spread = recalibrated_share(
        probability, rows, said, error.right_called_right, error.wrong_called_right
    )
    half = _Z * float(np.sqrt(spread**2 + _control_variance(value, error)))
    agrees = _within(value, powered)
    narrow = Estimate(value, "estimated", max(0.0, value - half), min(1.0, value + half))
    return Corrected(narrow if agrees else powered, powered, alone, agrees, len(rows), best)


def _within(value: float, estimate: Estimate) -> bool:
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    return low <= value <= high


def _merged(stratum: npt.NDArray[np.int32], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Return the strata, with those that have fewer than two verdicts merged into neighbours."""
    held = np.bincount(stratum[rows], minlength=int(stratum.max()) + 1)
    target = np.zeros(len(held), np.int32)
    current, count = 0, 0
    for one, number in enumerate(held.tolist()):
        target[one] = current
        count += number
        if count >= 2:
            current, count = current + 1, 0
    if count < 2 and current:
        target[target == current] = current - 1
    return target[stratum]


def _best_weight(
    truth: Floats,
    probability: Floats,
    stratum: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int64],
) -> float:
    """Return the lambda of least variance: pooled covariance over variance within strata."""
    size = np.bincount(stratum)
    covariance = variance = 0.0
    for one in range(len(size)):
        mine = stratum[rows] == one
        count = int(mine.sum())
        if count < 2:
            continue
        factor = size[one] ** 2 / count
        guess = probability[rows[mine]]
        covariance += factor * float(np.cov(truth[mine], guess)[0, 1])
        variance += factor * float(np.var(guess, ddof=1))
    return float(np.clip(covariance / variance, 0.0, 1.0)) if variance > 0 else 1.0


def _estimate(
    truth: Floats,
    probability: Floats,
    stratum: npt.NDArray[np.int32],
    rows: npt.NDArray[np.int64],
    weight: float,
    error: JudgeError,
) -> Estimate:
    size = np.bincount(stratum).astype(np.float64)
    value, variance = weight * float(probability.mean()), 0.0
    residual = truth - weight * probability[rows]
    for one in range(len(size)):
        mine = residual[stratum[rows] == one]
        part = size[one] / size.sum()
        value += part * float(mine.mean()) if len(mine) else 0.0
        if len(mine) >= 2:
            left = 1 - len(mine) / size[one]
            variance += part**2 * float(np.var(mine, ddof=1)) / len(mine) * left
    variance += _control_variance(value, error)
    half = _Z * float(np.sqrt(variance))
    value = float(np.clip(value, 0.0, 1.0))
    return Estimate(value, "estimated", max(0.0, value - half), min(1.0, value + half))


def _control_variance(value: float, error: JudgeError) -> float:
    """Return the variance due to the uncertain rates of the judge's errors, by the delta method."""
    variance = 0.0
    for rate, controls, slope in (
        (error.right_called_right, error.right_controls, value / error.gap),
        (error.wrong_called_right, error.wrong_controls, (1 - value) / error.gap),
    ):
        if controls:
            variance += slope**2 * rate * (1 - rate) / controls
    return variance


@dataclass(frozen=True)
class Agreement:
    """Two judges' verdicts on the same pairs."""

    pairs: int
    share: float  # of pairs with the same verdict
    kappa: float | None  # Cohen's: 1 full agreement, 0 as by chance; None if verdicts never vary
    kappa_low: float | None  # 95 % bounds
    kappa_high: float | None


def agreement(first: npt.NDArray[np.int8], second: npt.NDArray[np.int8]) -> Agreement:
    """Compare verdicts (1, 0; -1 for none) on the same pairs by Cohen's kappa (1960).

    kappa = (observed - expected) / (1 - expected), where `expected` is the agreement of two judges
    who keep their own shares of "right" but decide by chance. The bounds use the large-sample
    standard error.
    """
    both = (first >= 0) & (second >= 0)
    a, b = first[both], second[both]
    pairs = len(a)
    if not pairs:
        return Agreement(0, 0.0, None, None, None)
    observed = float((a == b).mean())
    p, q = float(a.mean()), float(b.mean())
    expected = p * q + (1 - p) * (1 - q)
    if expected >= 1:
        return Agreement(pairs, observed, None, None, None)
    kappa = (observed - expected) / (1 - expected)
    error = float(np.sqrt(observed * (1 - observed) / pairs)) / (1 - expected)
    return Agreement(pairs, observed, kappa, kappa - 1.96 * error, min(1.0, kappa + 1.96 * error))
