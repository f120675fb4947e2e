"""How far two judges agree."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Agreement:
    """Two judges' verdicts on the same pairs."""

    pairs: int
    share: float  # of pairs with the same verdict
    kappa: float | None  # Cohen's: 1 full agreement, 0 as by chance; None where both never vary
    kappa_low: float | None  # 95 % bounds
    kappa_high: float | None


def agreement(first: npt.NDArray[np.int8], second: npt.NDArray[np.int8]) -> Agreement:
    """Compare verdicts (1, 0; -1 for none) on the same pairs; Cohen (1960), its large-sample error.

    kappa = (observed - expected) / (1 - expected), with the expected agreement of two judges who
    keep their own shares of "right" and decide by chance.
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
