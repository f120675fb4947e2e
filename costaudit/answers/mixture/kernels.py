"""Compiled expectation maximisation that fits the mixture of answers."""

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

KINDS = 4  # right, wrong in a detail, on another topic, with another user's or time's data
_MOMENTS = 6  # per stratum: pairs of each kind, and the sums of z and z² over other topics
_START_SHARES = (0.78, 0.02, 0.18, 0.02)
_TOPIC_PRIOR = (1.0, 1.0, 2.0, 3.0, 4.0, 0.5)
_APART_PRIOR = (2.0, 2.0, 3.0, 2.5, 0.2)  # pseudo-pairs by class of evidence, after the first


@njit(cache=True, nogil=True)
def rounds_of(
    counts: Floats,
    place: Places,
    right: Floats,
    marginal: Floats,
    z: Floats,
    start: Floats,
    pseudo: Floats,
    null: Floats,
    weights: Floats,
    mean: Floats,
    spread: Floats,
    levels: Floats,
    apart: Floats,
    rounds: int,
) -> None:
    """Fit each replicate and write the results into the given arrays.

    counts: (replicates, places), pairs in each place. place: (places, 4), its stratum, level of
    contradiction, point of the grid `z`, and class of evidence. right: (replicates, levels x grid),
    the density of right pairs. marginal: (replicates, grid), the same over `z` alone. start:
    initial mean and spread of `z` for other topics. pseudo: pseudo-pairs that pull a stratum's
    shares towards the overall ones, the spread and overall mean towards the start, and a stratum's
    mean towards the overall mean; then the least variance; then pseudo-pairs by level for wrong
    details. null: (classes,), how often right pairs are in each class of evidence; the first class
    is that of pairs without evidence. Filled: weights (replicates, strata, kinds), mean
    (replicates, strata), spread (replicates,), levels (replicates, 2, levels) for wrong details and
    for other topics, apart (replicates, classes) for both of them.
    """
    strata, deep = weights.shape[1], levels.shape[2]
    used = np.zeros(strata, np.bool_)
    for p in range(len(place)):
        used[place[p, 0]] = True
    bell = np.empty((strata, len(z)))
    held = np.zeros((strata, _MOMENTS))
    seen = np.zeros((2, deep))
    told = np.zeros(len(null))
    for r in range(len(counts)):
        for s in range(strata):
            for kind in range(KINDS):
                weights[r, s, kind] = _START_SHARES[kind]
        mean[r, :] = start[0]
        spread[r] = start[1]
        seen[:, :] = 0.0
        told[:] = 0.0
        _maximise_levels(seen, pseudo[4:], levels[r])
        _maximise_apart(told, apart[r])
        for _ in range(rounds):
            seen[:, :] = 0.0
            held[:, :] = 0.0
            told[:] = 0.0
            for s in range(strata):
                if used[s]:
                    _bell(z, mean[r, s], spread[r], bell[s])
            _expect(
                counts[r], place, right[r], marginal[r], z, bell, levels[r], weights[r], null,
                apart[r], held, seen, told,
            )  # fmt: skip
            _maximise_shares(held, pseudo[0], weights[r])
            _maximise_levels(seen, pseudo[4:], levels[r])
            _maximise_apart(told, apart[r])
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
    place: Places,
    known: Floats,
    marginal: Floats,
    z: Floats,
    bell: Floats,
    levels: Floats,
    weights: Floats,
    null: Floats,
    apart: Floats,
    held: Floats,
    seen: Floats,
    told: Floats,
) -> None:
    """Split the pairs of each place among the kinds, and add up their moments."""
    last = levels.shape[1] - 1
    for p in range(len(counts)):
        if counts[p] == 0.0:
            continue
        s, level, k, evidence = place[p, 0], place[p, 1], place[p, 2], place[p, 3]
        alike, differ = null[evidence], apart[evidence]
        right = weights[s, 0] * known[level * len(z) + k] * alike
        detail = weights[s, 1] * marginal[k] * levels[0, level] * differ
        topic = weights[s, 2] * bell[s, k] * levels[1, level] * differ
        data = weights[s, 3] * marginal[k] * alike if level == last else 0.0
        each = counts[p] / max(right + detail + topic + data, 1e-300)
        held[s, 0] += right * each
        held[s, 1] += detail * each
        held[s, 2] += topic * each
        held[s, 3] += data * each
        held[s, 4] += topic * each * z[k]
        held[s, 5] += topic * each * z[k] * z[k]
        seen[0, level] += detail * each
        seen[1, level] += topic * each
        told[evidence] += (detail + topic) * each


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
def _maximise_apart(told: Floats, apart: Floats) -> None:
    """Set the shares of the classes of evidence among pairs of prompts with other answers."""
    total = 0.0
    for k in range(1, len(told)):
        apart[k] = told[k] + _APART_PRIOR[k - 1]
        total += apart[k]
    for k in range(1, len(told)):
        apart[k] /= total
    apart[0] = 1.0


@njit(cache=True, nogil=True)
def _maximise_topics(held: Floats, start: Floats, pseudo: Floats, mean: Floats) -> float:
    """Set the mean of other topics per stratum, and return their common spread."""
    total = held[:, 2].sum() + pseudo[1]
    overall = (held[:, 4].sum() + pseudo[1] * start[0]) / total
    square = pseudo[1] * (start[1] ** 2 + (start[0] - overall) ** 2)
    for s in range(len(held)):
        mean[s] = (held[s, 4] + pseudo[2] * overall) / (held[s, 2] + pseudo[2])
        square += held[s, 5] - 2 * mean[s] * held[s, 4] + mean[s] ** 2 * held[s, 2]
    return float(np.sqrt(max(square / total, pseudo[3])))
