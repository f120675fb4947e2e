"""Compare embedders by the share of right hits at equal coverage, because similarities differ."""

from collections.abc import Sequence

import numpy as np

from costaudit.answers.tally import Floats, RatePoint
from costaudit.contracts.semantic import CurvePoint


def curve_of(thresholds: Sequence[float], points: Sequence[RatePoint]) -> tuple[CurvePoint, ...]:
    """Return coverage and precision by threshold, in rising order of coverage.

    Coverage is the share of eligible requests that hit, precision the share of right ones among
    these hits. Points without a hit, or whose hits can't be judged, are left out.
    """
    out = [
        CurvePoint(threshold, raw, min(one.valid_hit_share.value / raw, 1.0))
        for threshold, one in zip(thresholds, points, strict=True)
        if (raw := one.raw_hit_share.value) > 0 and one.valid_hit_share is not None
    ]
    return tuple(sorted(out, key=lambda point: (point.coverage, point.min_similarity)))


def precision_at(curve: Sequence[CurvePoint], coverage: float) -> float | None:
    """Return the precision at a coverage, between points by a line; None beyond the last point.

    Below the first point, the precision is that of the first point.
    """
    if not curve or coverage > curve[-1].coverage:
        return None
    return float(np.interp(coverage, *_axes(curve)))


def mean_precision(curve: Sequence[CurvePoint], coverage: float) -> float | None:
    """Return the area under the curve up to a coverage, divided by that coverage."""
    if not curve or not 0 < coverage <= curve[-1].coverage:
        return None
    x, y = _axes(curve)
    inner = x[(x > 0) & (x < coverage)]
    at = np.concatenate([[0.0], inner, [coverage]])
    return float(np.trapezoid(np.interp(at, x, y), at) / coverage)


def _axes(curve: Sequence[CurvePoint]) -> tuple[Floats, Floats]:
    """Return coverages and precisions; of points with equal coverage, the mean precision."""
    x, where = np.unique([point.coverage for point in curve], return_inverse=True)
    y = np.bincount(where, [point.precision for point in curve]) / np.bincount(where)
    return np.asarray(x, np.float64), np.asarray(y, np.float64)
