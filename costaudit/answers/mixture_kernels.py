"""The rounds of expectation maximisation that fit the mixture of answers, compiled."""

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]

KINDS = 3  # right, wrong in a detail, on another topic
_MOMENTS = 6  # kept of a stratum: pairs of each kind; of other topics sums of z, z², contradicting
_START_SHARES = (0.8, 0.02, 0.18)


@njit(cache=True, nogil=True)
def rounds_of(
    counts: Floats,
    known: Floats,
    z: Floats,
    start: Floats,
    pseudo: Floats,
    weights: Floats,
    mean: Floats,
    spread: Floats,
    flagged: Floats,
    rounds: int,
) -> None:
    """Fit each replicate in place.

    counts: (replicates, strata, cells), cells being twice the grid `z`; known: (replicates, 2,
    cells), the densities of right pairs and of wrong details. start: mean and spread of `z` where
    wrong topics start. pseudo: pairs that lean a stratum's shares on the overall ones, the spread
    and overall mean on the start, a stratum's mean on the overall one, and the least variance.
    Filled: weights (replicates, strata, kinds), mean (replicates, strata), spread and flagged
    (replicates,), the share of other topics that also contradicts.
    """
    many, strata, _ = counts.shape
    bell = np.empty(len(z))
    held = np.zeros((strata, _MOMENTS))
    for r in range(many):
        for s in range(strata):
            for kind in range(KINDS):
                weights[r, s, kind] = _START_SHARES[kind]
        mean[r, :] = start[0]
        spread[r], flagged[r] = start[1], 0.5
        for _ in range(rounds):
            for s in range(strata):
                held[s, :] = 0.0
                if counts[r, s].any():
                    _bell(z, mean[r, s], spread[r], bell)
                    _expect(counts[r, s], known[r], z, bell, flagged[r], weights[r, s], held[s])
            _maximise_shares(held, pseudo[0], weights[r])
            spread[r], flagged[r] = _maximise_topics(held, start, pseudo, mean[r])


@njit(cache=True, nogil=True)
def _bell(z: Floats, mean: float, spread: float, bell: Floats) -> None:
    """Fill the density of other topics over the grid."""
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
    z: Floats,
    bell: Floats,
    flagged: float,
    weights: Floats,
    held: Floats,
) -> None:
    """Share the pairs of one stratum out over the kinds; `held` takes their moments."""
    half = len(z)
    for c in range(len(counts)):
        if counts[c] == 0.0:
            continue
        k = c % half
        contradicts = c >= half
        right, detail = weights[0] * known[0, c], weights[1] * known[1, c]
        topic = weights[2] * bell[k] * (flagged if contradicts else 1.0 - flagged)
        each = counts[c] / max(right + detail + topic, 1e-300)
        held[0] += right * each
        held[1] += detail * each
        held[2] += topic * each
        held[3] += topic * each * z[k]
        held[4] += topic * each * z[k] * z[k]
        if contradicts:
            held[5] += topic * each


@njit(cache=True, nogil=True)
def _maximise_shares(held: Floats, pseudo: float, weights: Floats) -> None:
    """Set the shares of the kinds per stratum, leaning on the overall ones."""
    everything = max(held[:, :KINDS].sum(), 1e-9)
    for s in range(len(held)):
        pairs = held[s, :KINDS].sum() + pseudo
        for kind in range(KINDS):
            overall = held[:, kind].sum() / everything
            weights[s, kind] = (held[s, kind] + pseudo * overall) / pairs


@njit(cache=True, nogil=True)
def _maximise_topics(
    held: Floats, start: Floats, pseudo: Floats, mean: Floats
) -> tuple[float, float]:
    """Set the means of other topics per stratum; give their spread and share of contradictions."""
    total = held[:, 2].sum() + pseudo[1]
    overall = (held[:, 3].sum() + pseudo[1] * start[0]) / total
    square = pseudo[1] * (start[1] ** 2 + (start[0] - overall) ** 2)
    for s in range(len(held)):
        mean[s] = (held[s, 3] + pseudo[2] * overall) / (held[s, 2] + pseudo[2])
        square += held[s, 4] - 2 * mean[s] * held[s, 3] + mean[s] ** 2 * held[s, 2]
    spread = np.sqrt(max(square / total, pseudo[3]))
    return spread, (held[:, 5].sum() + pseudo[1] / 2) / total
