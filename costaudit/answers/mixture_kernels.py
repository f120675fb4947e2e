"""Compiled expectation maximisation that fits the mixture of answers."""

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]

KINDS = 3  # right, wrong in a detail, on another topic
_MOMENTS = 5  # per stratum: pairs of each kind, and the sums of z and z² over other topics
_START_SHARES = (0.8, 0.02, 0.18)
_TOPIC_PRIOR = (1.0, 1.0, 2.0, 3.0, 4.0, 0.5)


@njit(cache=True, nogil=True)
def rounds_of(
    counts: Floats,
    right: Floats,
    marginal: Floats,
    z: Floats,
    start: Floats,
    pseudo: Floats,
    weights: Floats,
    mean: Floats,
    spread: Floats,
    levels: Floats,
    rounds: int,
) -> None:
    """Fit each replicate and write the results into the given arrays.

    counts: (replicates, strata, cells); cells are levels times the grid `z`. right: (replicates,
    cells), the density of right pairs. marginal: (replicates, grid), the same over `z` alone.
    start: initial mean and spread of `z` for other topics. pseudo: pseudo-pairs that pull a
    stratum's shares towards the overall ones, the spread and overall mean towards the start, and a
    stratum's mean towards the overall mean; then the least variance; then pseudo-pairs by level for
    wrong details. Filled: weights (replicates, strata, kinds), mean (replicates, strata), spread
    (replicates,), levels (replicates, 2, levels) for wrong details and for other topics.
    """
    many, strata, _ = counts.shape
    deep = levels.shape[2]
    bell = np.empty(len(z))
    held = np.zeros((strata, _MOMENTS))
    seen = np.zeros((2, deep))
    for r in range(many):
        for s in range(strata):
            for kind in range(KINDS):
                weights[r, s, kind] = _START_SHARES[kind]
        mean[r, :] = start[0]
        spread[r] = start[1]
        seen[:, :] = 0.0
        _maximise_levels(seen, pseudo[4:], levels[r])
        for _ in range(rounds):
            seen[:, :] = 0.0
            for s in range(strata):
                held[s, :] = 0.0
                if counts[r, s].any():
                    _bell(z, mean[r, s], spread[r], bell)
                    _expect(
                        counts[r, s], right[r], marginal[r], z, bell, levels[r], weights[r, s],
                        held[s], seen,
                    )  # fmt: skip
            _maximise_shares(held, pseudo[0], weights[r])
            _maximise_levels(seen, pseudo[4:], levels[r])
            spread[r] = _maximise_topics(held, start, pseudo, mean[r])


@njit(cache=True, nogil=True)
def _bell(z: Floats, mean: float, spread: float, bell: Floats) -> None:
    """Fill `bell` with the density of other topics over the grid."""
    total = 0.0
    for k in range(len(z)):
        away = (z[k] - mean) / spread
        bell[k] = np.exp(-0.5 * away * away) + 1e-12
        total += bell[k]
    bell /= total


@njit(cache=True, nogil=True)
def _expect(
    counts: Floats,
    known: Floats,
    marginal: Floats,
    z: Floats,
    bell: Floats,
    levels: Floats,
    weights: Floats,
    held: Floats,
    seen: Floats,
) -> None:
    """Split the pairs of one stratum among the kinds, and add their moments to `held`."""
    half = len(z)
    for c in range(len(counts)):
        if counts[c] == 0.0:
            continue
        k, level = c % half, c // half
        right = weights[0] * known[c]
        detail = weights[1] * marginal[k] * levels[0, level]
        topic = weights[2] * bell[k] * levels[1, level]
        each = counts[c] / max(right + detail + topic, 1e-300)
        held[0] += right * each
        held[1] += detail * each
        held[2] += topic * each
        held[3] += topic * each * z[k]
        held[4] += topic * each * z[k] * z[k]
        seen[0, level] += detail * each
        seen[1, level] += topic * each


@njit(cache=True, nogil=True)
def _maximise_shares(held: Floats, pseudo: float, weights: Floats) -> None:
    """Set the shares of the kinds per stratum, pulled towards the overall ones."""
    everything = max(held[:, :KINDS].sum(), 1e-9)
    for s in range(len(held)):
        pairs = held[s, :KINDS].sum() + pseudo
        for kind in range(KINDS):
            overall = held[:, kind].sum() / everything
            weights[s, kind] = (held[s, kind] + pseudo * overall) / pairs


@njit(cache=True, nogil=True)
def _maximise_levels(seen: Floats, detail: Floats, levels: Floats) -> None:
    """Set the shares of the levels among wrong details and other topics, pulled towards priors."""
    for k in range(levels.shape[1]):
        levels[0, k] = seen[0, k] + detail[k]
        levels[1, k] = seen[1, k] + _TOPIC_PRIOR[k]
    levels[0] /= levels[0].sum()
    levels[1] /= levels[1].sum()


@njit(cache=True, nogil=True)
def _maximise_topics(held: Floats, start: Floats, pseudo: Floats, mean: Floats) -> float:
    """Set the mean of other topics per stratum, and return their common spread."""
    total = held[:, 2].sum() + pseudo[1]
    overall = (held[:, 3].sum() + pseudo[1] * start[0]) / total
    square = pseudo[1] * (start[1] ** 2 + (start[0] - overall) ** 2)
    for s in range(len(held)):
        mean[s] = (held[s, 3] + pseudo[2] * overall) / (held[s, 2] + pseudo[2])
        square += held[s, 4] - 2 * mean[s] * held[s, 3] + mean[s] ** 2 * held[s, 2]
    return float(np.sqrt(max(square / total, pseudo[3])))
