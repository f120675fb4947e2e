"""The cheap comparison put right by a few verdicts.

The odds of being right are taken to be a power of the comparison's odds times a constant: two
numbers, which few verdicts can tell even where the judge errs. Where the comparison is sure, noise
in the verdicts then hardly moves the share, which is why the interval is narrow.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SURE = 0.002  # the comparison is never taken to be surer than this
_PRIOR_MEAN = np.array([0.0, 1.0])  # constant and power, where the comparison is right as it is
_PRIOR_PRECISION = np.array([1.0, 4.0])  # spread of 1 in log odds, and of 0.5 in the power
_ROUNDS = 50


def recalibrated_share(
    probability: Floats,
    rows: npt.NDArray[np.int64],
    said: Floats,
    right_called_right: float,
    wrong_called_right: float,
) -> tuple[float, float]:
    """Give the share of right hits and its standard error.

    `said` is 1 or 0 per judged row. The verdicts' own errors are part of the likelihood:
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
