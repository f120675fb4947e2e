"""Find the median and the 95th percentile of the latency of each group of requests."""

import numpy as np
import numpy.typing as npt
import polars as pl

SHARES = (0.5, 0.95)
_BITS = 46  # of a float that are cut off: the others are buckets, 64 for each power of two

Quantiles = list[list[float | None]]  # of each of SHARES: a value for each group


class Latencies:
    """The latencies of requests, in buckets: each grouping counts them once and sorts a few."""

    def __init__(self, latency_ms: pl.Series) -> None:
        self._known = latency_ms.is_not_null().to_numpy()
        self._values = latency_ms.drop_nulls().to_numpy()
        if not len(self._values):
            return
        bits = (self._values - self._values.min()).view(np.int64)
        key = bits >> _BITS  # bits of floats from 0 on are in the order of the floats
        used = np.bincount(key) > 0
        place = np.cumsum(used, dtype=np.int32) - 1
        self._bucket = place[key]
        self._buckets = int(place[-1]) + 1

    def of(self, code: npt.NDArray[np.int64], count: int) -> Quantiles:
        """Return the SHARES of each of `count` groups, None without a latency.

        `code` is the group of each request.
        """
        found: Quantiles = [[None] * count for _ in SHARES]
        if not len(self._values):
            return found
        if len(self._values) < len(code):
            code = code[self._known]
        cell = code * self._buckets + self._bucket
        each = np.bincount(cell, minlength=count * self._buckets).reshape(count, self._buckets)
        until = each.cumsum(axis=1)
        members = until[:, -1]
        groups = np.flatnonzero(members)
        last = members[groups] - 1
        places = [last * share for share in SHARES]
        lows = [place.astype(np.int64) for place in places]
        highs = [np.minimum(low + 1, last) for low in lows]
        values = self._at(cell, until, groups, [*lows, *highs])
        for number, (place, low) in enumerate(zip(places, lows, strict=True)):
            lower, upper = values[number], values[number + len(SHARES)]
            between = lower + (upper - lower) * (place - low)
            for group, value in zip(groups.tolist(), between.tolist(), strict=True):
                found[number][group] = value
        return found

    def _at(
        self,
        cell: npt.NDArray[np.int64],
        until: npt.NDArray[np.int64],
        groups: npt.NDArray[np.int64],
        ranks: list[npt.NDArray[np.int64]],
    ) -> list[npt.NDArray[np.float64]]:
        """Return the values at ranks of groups, by sorting the buckets that hold them."""
        own = until[groups]
        buckets = [(own <= rank[:, None]).sum(axis=1) for rank in ranks]
        wanted = np.zeros(until.size, np.bool_)
        for bucket in buckets:
            wanted[groups * self._buckets + bucket] = True
        rows = np.flatnonzero(wanted[cell])
        order = rows[np.lexsort((self._values[rows], cell[rows]))]
        in_order = cell[order]
        found = []
        for rank, bucket in zip(ranks, buckets, strict=True):
            first = np.searchsorted(in_order, groups * self._buckets + bucket)
            before = np.where(bucket > 0, own[np.arange(len(groups)), bucket - 1], 0)
            found.append(self._values[order[first + rank - before]])
        return found
