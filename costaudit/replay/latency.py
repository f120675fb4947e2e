"""Latency as HDR histograms, counted from when a request should have been sent."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LOWEST_US = 1
HIGHEST_US = 24 * 3600 * 1_000_000
PERCENTILES = (50, 95, 99, 100)
DIGITS = 3  # significant, as HDR histograms count them


@dataclass(frozen=True)
class Latency:
    """A distribution of latencies."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    hdr: str  # the histogram itself, in microseconds: HDR's V2 format, base64


def latency(values_ms: npt.NDArray[np.float64]) -> Latency:
    """Summarise latencies; unknown ones (nan) are left out."""
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    known = values_ms[~np.isnan(values_ms)]
    micros = np.clip(np.rint(known * 1000), LOWEST_US, HIGHEST_US).astype(np.int64)
    for value, count in zip(*np.unique(micros, return_counts=True), strict=True):
        histogram.record_value(int(value), int(count))
    if not len(micros):
        return Latency(0, 0.0, 0.0, 0.0, 0.0, histogram.encode().decode("ascii"))
    ranked = np.percentile(micros, PERCENTILES, method="inverted_cdf").tolist()
    p50, p95, p99, most = (histogram.get_highest_equivalent_value(int(v)) / 1000 for v in ranked)
    return Latency(len(micros), p50, p95, p99, most, histogram.encode().decode("ascii"))
