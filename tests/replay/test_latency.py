"""Latency summaries agree with numpy, and with the HDR library that reads them back."""

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from costaudit.replay.result import latency


def test_percentiles_are_those_of_the_values_to_three_digits() -> None:
    values_ms = np.random.default_rng(0).lognormal(3, 1, 20_000)
    summary = latency(values_ms)
    exact = np.percentile(values_ms, [50, 95, 99, 100], method="inverted_cdf")
    found = [summary.p50_ms, summary.p95_ms, summary.p99_ms, summary.max_ms]
    assert found == pytest.approx(exact, rel=2e-3)


def test_unknown_latencies_are_left_out() -> None:
    assert latency(np.array([np.nan, 2.0, np.nan])).count == 1


def test_the_histogram_can_be_read_by_other_tools() -> None:
    read = HdrHistogram.decode(latency(np.array([1.0, 2.0, 4000.0])).hdr)
    assert read.total_count == 3
    assert read.get_value_at_percentile(100) == pytest.approx(4_000_000, rel=1e-3)


def test_nothing_measured_is_no_latency() -> None:
    assert latency(np.array([])).count == 0
