"""What share of would-be hits is right, from how alike and how contradictory answers are.

Pairs of answers are a mixture of three kinds. Right ones look like answers to one prompt asked
twice: their distribution is known from repeats. Wrong details read like right ones but contradict
them. Wrong topics are less alike, by a normal distribution of Fisher's z that is fitted.
The weights of the kinds are estimated by expectation maximisation per stratum of hits.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_LOW, _HIGH, _STEP = -1.0, 3.2, 0.05
GRID: Floats = np.arange(_LOW, _HIGH, _STEP)  # Fisher's z: atanh of the cosine
CELLS = 2 * len(GRID)  # contradicting or not, times the grid
_BANDWIDTH = 0.04  # of the kernel that smooths the repeats, in z
_PRIOR = 1.0  # pseudo-pairs per stratum, so that an empty one has a share
_PSEUDO, _PSEUDO_MEAN = 10.0, 20.0  # pairs, see _moments
_PART = 16  # replicates that are fitted together: their arrays stay in the processor's cache
_LEAST_SPREAD = 0.02  # variance in z of the wrong topics


@dataclass(frozen=True)
class Fit:
    """A fitted mixture; the first axis are replicates of the data."""

    right: Floats  # (replicates, strata, CELLS): probability that a pair in the cell is right
    share: Floats  # (replicates, strata): share of right pairs among those in cells
    wrong_mean: Floats  # (replicates, strata): of Fisher's z between answers on different topics


def cells(
    similarity: npt.NDArray[np.float32], contradicts: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Place pairs of answers in cells."""
    z = np.arctanh(np.clip(similarity.astype(np.float64), -0.999, 0.996))
    place = np.clip(np.rint((z - _LOW) / _STEP), 0, len(GRID) - 1).astype(np.int64)
    return place + len(GRID) * contradicts.astype(np.int64)


def density(counts: Floats) -> Floats:
    """Smooth counts per cell, (replicates, CELLS), into the joint density of right pairs."""
    reach = int(np.ceil(4 * _BANDWIDTH / _STEP))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _STEP / _BANDWIDTH) ** 2)
    kernel /= kernel.sum()
    split = counts.reshape(len(counts), 2, len(GRID))
    padded = np.pad(split, ((0, 0), (0, 0), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=2)
    smooth = windows @ kernel
    total = np.maximum(counts.sum(axis=1), 1e-9)[:, None, None]
    spread = smooth / total + 1e-7 / CELLS
    out: Floats = (spread / spread.sum(axis=(1, 2), keepdims=True)).reshape(len(counts), CELLS)
    return out


def fit(counts: Floats, right: Floats, wrong_start: tuple[float, float], rounds: int = 80) -> Fit:
    """Fit the mixture to counts (replicates, strata, CELLS), given the density of right pairs.

    `right` is (replicates, CELLS); `wrong_start` the mean and spread of z over pairs of answers
    to unrelated questions, where the fit of the wrong topics starts.
    """
    parts = [slice(start, start + _PART) for start in range(0, len(counts), _PART)]
    fits = [_fit_part(counts[part], right[part], wrong_start, rounds) for part in parts]
    return Fit(
        np.concatenate([one.right for one in fits]),
        np.concatenate([one.share for one in fits]),
        np.concatenate([one.wrong_mean for one in fits]),
    )


def _fit_part(counts: Floats, right: Floats, wrong_start: tuple[float, float], rounds: int) -> Fit:
    many, strata = counts.shape[:2]
    half = len(GRID)
    marginal = right[:, :half] + right[:, half:]
    detail = np.concatenate([np.zeros_like(marginal), marginal], axis=1)
    known = np.stack([right, detail], axis=1)  # densities that no round changes
    mean = np.full((many, strata), wrong_start[0])
    spread = np.full(many, wrong_start[1])
    flagged = np.full(many, 0.5)  # share of wrong topics that also contradict
    weights = np.tile(np.array([0.8, 0.02, 0.18]), (many, strata, 1))
    for _ in range(rounds):
        topic = _topic(mean, spread, flagged)
        per_density = counts / _total(weights, known, topic)
        wrong = topic * per_density * weights[:, :, 2:]
        held = np.empty_like(weights)
        held[:, :, :2] = weights[:, :, :2] * (per_density @ known.transpose(0, 2, 1))
        held[:, :, 2] = wrong.sum(axis=2)
        prior = held.sum(axis=1, keepdims=True) / np.maximum(
            held.sum(axis=(1, 2), keepdims=True), 1e-9
        )
        weights = (held + _PRIOR * prior) / (held.sum(axis=2, keepdims=True) + _PRIOR)
        mean, spread, flagged = _moments(wrong, wrong_start)
    total = _total(weights, known, _topic(mean, spread, flagged))
    return Fit(weights[:, :, :1] * right[:, None] / total, weights[:, :, 0], mean)


def _total(weights: Floats, known: Floats, topic: Floats) -> Floats:
    """Add the weighted densities of the three kinds, (replicates, strata, CELLS)."""
    return np.maximum(weights[:, :, :2] @ known + weights[:, :, 2:] * topic, 1e-300)


def _topic(mean: Floats, spread: Floats, flagged: Floats) -> Floats:
    """Density of answers on different topics per cell, (replicates, strata, CELLS)."""
    bell = np.exp(-0.5 * ((GRID - mean[:, :, None]) / spread[:, None, None]) ** 2) + 1e-12
    bell /= bell.sum(axis=2, keepdims=True)
    share = flagged[:, None, None]
    return np.concatenate([bell * (1 - share), bell * share], axis=2)


def _moments(wrong: Floats, start: tuple[float, float]) -> tuple[Floats, Floats, Floats]:
    """Mean of z per stratum, spread of z, and share of contradictions, of the wrong topics.

    Pseudo-pairs keep the fit steady where hardly any hit is wrong: the spread and the overall mean
    lean on the start, the mean of a stratum on the overall mean.
    """
    half = len(GRID)
    along = wrong[:, :, :half] + wrong[:, :, half:]
    held = along.sum(axis=2)
    total = held.sum(axis=1) + _PSEUDO
    moment = along @ GRID
    overall = (moment.sum(axis=1) + _PSEUDO * start[0]) / total
    mean = (moment + _PSEUDO_MEAN * overall[:, None]) / (held + _PSEUDO_MEAN)
    square = (along * (GRID - mean[:, :, None]) ** 2).sum(axis=(1, 2))
    square += _PSEUDO * (start[1] ** 2 + (start[0] - overall) ** 2)
    spread = np.sqrt(np.maximum(square / total, _LEAST_SPREAD))
    flagged = (wrong[:, :, half:].sum(axis=(1, 2)) + _PSEUDO / 2) / total
    return mean, spread, flagged
