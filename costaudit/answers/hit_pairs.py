"""Which request would have been answered with which earlier one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costaudit.answers.logged import Ints


@dataclass(frozen=True)
class HitPairs:
    """The distinct pairs (request, matched request) of some runs."""

    asked: Ints
    matched: Ints
    row: npt.NDArray[np.int64]  # (runs, n): row of the pair; -1 where it is no hit

    @classmethod
    def of(cls, served: Ints) -> "HitPairs":
        """Collect the pairs from `served` (runs, n): the matched request, or below 0 for no hit."""
        runs, n = served.shape
        hit = served >= 0
        key = np.broadcast_to(np.arange(n, dtype=np.int64) * n, served.shape)[hit] + served[hit]
        distinct, where = np.unique(key, return_inverse=True)
        row = np.full((runs, n), -1, np.int64)
        row[hit] = where.reshape(-1)
        return cls((distinct // n).astype(np.int32), (distinct % n).astype(np.int32), row)
