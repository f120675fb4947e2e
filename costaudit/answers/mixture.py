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
_BANDWIDTH = 0.05  # of the kernel that smooths the repeats, in z
_PRIOR = 1.0  # pseudo-pairs per stratum, so that an empty one has a share
_PSEUDO, _PSEUDO_MEAN = 10.0, 60.0  # pairs, see _moments
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
    """Fit some replicates; a cell that none of them counts in takes no part in the rounds."""
    many, strata = counts.shape[:2]
    half = len(GRID)
    marginal = right[:, :half] + right[:, half:]
    detail = np.concatenate([np.zeros_like(marginal), marginal], axis=1)
    known = np.stack([right, detail], axis=1)  # densities that no round changes
    every, used = np.arange(CELLS), np.flatnonzero(counts.any(axis=(0, 1)))
    counts, known_used = counts[:, :, used], known[:, :, used]
    wrong = _Wrong(
        np.full((many, strata), wrong_start[0]), np.full(many, wrong_start[1]), np.full(many, 0.5)
    )
    weights = np.tile(np.array([0.8, 0.02, 0.18]), (many, strata, 1))
    for _ in range(rounds):
        topic = wrong.density(used)
        share = counts / _total(weights, known_used, topic)
        mass = topic * share * weights[:, :, 2:]
        held = np.empty_like(weights)
        held[:, :, :2] = weights[:, :, :2] * (share @ known_used.transpose(0, 2, 1))
        held[:, :, 2] = mass.sum(axis=2)
        prior = held.sum(axis=1, keepdims=True) / np.maximum(
            held.sum(axis=(1, 2), keepdims=True), 1e-9
        )
        weights = (held + _PRIOR * prior) / (held.sum(axis=2, keepdims=True) + _PRIOR)
        wrong = _moments(mass, used, wrong_start)
    total = _total(weights, known, wrong.density(every))
    return Fit(weights[:, :, :1] * right[:, None] / total, weights[:, :, 0], wrong.mean)


def _total(weights: Floats, known: Floats, topic: Floats) -> Floats:
    """Add the weighted densities of the three kinds, (replicates, strata, cells)."""
    return np.maximum(weights[:, :, :2] @ known + weights[:, :, 2:] * topic, 1e-300)


@dataclass(frozen=True)
class _Wrong:
    """Answers on different topics."""

    mean: Floats  # (replicates, strata): of z
    spread: Floats  # (replicates,): of z
    flagged: Floats  # (replicates,): share that also contradicts

    def density(self, cells: npt.NDArray[np.int64]) -> Floats:
        """Give the density in some cells, (replicates, strata, cells)."""
        away = (GRID - self.mean[:, :, None]) / self.spread[:, None, None]
        bell = np.exp(-0.5 * away**2) + 1e-12
        flagged = self.flagged[:, None]
        share = np.where(cells >= len(GRID), flagged, 1 - flagged)[:, None]
        return np.asarray(bell[:, :, cells % len(GRID)] * (share / bell.sum(axis=2)[:, :, None]))


def _moments(mass: Floats, cells: npt.NDArray[np.int64], start: tuple[float, float]) -> _Wrong:
    """Read wrong topics off their mass per cell, (replicates, strata, cells).

    Pseudo-pairs keep the fit steady where hardly any hit is wrong: the spread and the overall mean
    lean on the start, the mean of a stratum on the overall mean.
    """
    z = GRID[cells % len(GRID)]
    sums = mass @ np.stack([np.ones(len(z)), z, z**2, cells >= len(GRID)], axis=1)
    held, moment, second, contradicting = np.moveaxis(sums, 2, 0)
    total = held.sum(axis=1) + _PSEUDO
    overall = (moment.sum(axis=1) + _PSEUDO * start[0]) / total
    mean = (moment + _PSEUDO_MEAN * overall[:, None]) / (held + _PSEUDO_MEAN)
    square = (second - 2 * mean * moment + mean**2 * held).sum(axis=1)
    square += _PSEUDO * (start[1] ** 2 + (start[0] - overall) ** 2)
    spread = np.sqrt(np.maximum(square / total, _LEAST_SPREAD))
    return _Wrong(mean, spread, (contradicting.sum(axis=1) + _PSEUDO / 2) / total)
