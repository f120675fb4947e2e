"""Find the median and the 95th percentile of the latency of each group of requests.

Latencies are first counted by bucket, then only those in the buckets that hold a quantile are
sorted. Both can be done part by part of a log.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

SHARES = (0.5, 0.95)
_BITS = 46  # of a float that are cut off: the others are buckets, 64 for each power of two
_BUCKETS = 1 << (63 - _BITS)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Quantiles = list[list[float | None]]  # of each of SHARES: a value for each group


class Latencies:
    """The latencies of some requests, in milliseconds; `least` is the lowest of all parts."""

    def __init__(self, latency_ms: pl.Series, least: float) -> None:
        self._known = latency_ms.is_not_null().to_numpy()
        self._values = latency_ms.drop_nulls().to_numpy()
        self._bucket = (self._values - least).view(np.int64) >> _BITS  # floats from 0 on are
        # in the order of their bits

    def counts(self, code: Ints) -> pl.DataFrame:
        """Return the requests by cell, a group's bucket; `code` is the group of each request."""
        cell = self._cell(code)
        if not len(cell):
            return pl.DataFrame(schema={"cell": pl.Int64, "requests": pl.Int64})
        return (
            pl.DataFrame({"cell": cell})
            .group_by("cell")
            .agg(pl.len().cast(pl.Int64).alias("requests"))
        )

    def values(self, code: Ints, wanted: Ints) -> pl.DataFrame:
        """Return the latencies in wanted cells, which are in order."""
        cell = self._cell(code)
        place = np.minimum(np.searchsorted(wanted, cell), max(len(wanted) - 1, 0))
        rows = np.flatnonzero(wanted[place] == cell) if len(wanted) else np.empty(0, np.int64)
        return pl.DataFrame({"cell": cell[rows], "latency_ms": self._values[rows]})

    def _cell(self, code: Ints) -> Ints:
        cell: Ints = code[self._known] * _BUCKETS + self._bucket
        return cell


class QuantileCells:
    """Where the quantiles of groups are, by the requests of each cell in all parts."""

    def __init__(self, counts: pl.DataFrame, groups: int) -> None:
        table = counts.sort("cell")
        self._groups = groups
        cell, requests = table["cell"].to_numpy(), table["requests"].to_numpy()
        until = np.cumsum(requests)
        bounds = np.searchsorted(cell, np.arange(groups + 1) * _BUCKETS)
        before = np.concatenate([np.zeros(1, np.int64), until])[bounds]
        self._known = np.flatnonzero(np.diff(before))
        last = np.diff(before)[self._known] - 1
        self._places = [last * share for share in SHARES]
        lows = [place.astype(np.int64) for place in self._places]
        ranks = [*lows, *(np.minimum(low + 1, last) for low in lows)]
        positions = [before[self._known] + rank for rank in ranks]
        at = [np.searchsorted(until, position, "right") for position in positions]
        self._cells = [cell[one] for one in at]
        self._offsets = [
            position - until[one] + requests[one]
            for position, one in zip(positions, at, strict=True)
        ]

    @property
    def wanted(self) -> Ints:
        """Return the cells whose latencies are needed, in order."""
        return np.unique(np.concatenate(self._cells))

    def quantiles(self, values: Iterable[pl.DataFrame]) -> Quantiles:
        """Return the SHARES of each group, None without a latency, by the values of all parts."""
        table = pl.concat(values).sort("cell", "latency_ms")
        cell, value = table["cell"].to_numpy(), table["latency_ms"].to_numpy()
        at = [
            value[np.searchsorted(cell, one) + offset]
            for one, offset in zip(self._cells, self._offsets, strict=True)
        ]
        found: Quantiles = [[None] * self._groups for _ in SHARES]
        for number, place in enumerate(self._places):
            lower, upper = at[number], at[number + len(SHARES)]
            between = lower + (upper - lower) * (place - place.astype(np.int64))
            for group, one in zip(self._known.tolist(), between.tolist(), strict=True):
                found[number][group] = one
        return found
