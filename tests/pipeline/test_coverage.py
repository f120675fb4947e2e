"""Precision and coverage of a small curve, by hand."""

import numpy as np
import pytest

from costaudit.answers.tally import RatePoint
from costaudit.contracts.grades import Estimate
from costaudit.pipeline.semantic.coverage import curve_of, mean_precision, precision_at


def point(raw: float, valid: float | None) -> RatePoint:
    share = Estimate(raw, "simulated")
    right = None if valid is None else Estimate(valid, "estimated")
    return RatePoint(0, 0, share, share, None, right, None, np.zeros(1))


def test_precision_by_hand() -> None:
    # half of the requests hit at the loose threshold, and three in five of these are right;
    # a stricter one may hit more, so the points are ordered by coverage
    curve = curve_of([0.7, 0.8, 0.9, 0.95], [point(0.4, 0.3), point(0.5, 0.3), point(0.2, 0.2),
                                             point(0.0, 0.0)])  # fmt: skip
    assert [one.min_similarity for one in curve] == [0.9, 0.7, 0.8]
    assert [one.precision for one in curve] == pytest.approx([1.0, 0.75, 0.6])
    assert precision_at(curve, 0.1) == 1.0
    assert precision_at(curve, 0.3) == pytest.approx(0.875)
    assert precision_at(curve, 0.5) == pytest.approx(0.6)
    assert precision_at(curve, 0.6) is None
    # 0.2 at 1, then two trapezoids: 0.2 x 0.875 and 0.1 x 0.675
    assert mean_precision(curve, 0.5) == pytest.approx((0.2 + 0.175 + 0.0675) / 0.5)
    assert mean_precision(curve, 0.2) == pytest.approx(1.0)
    assert mean_precision(curve, 0.6) is None


def test_hits_that_cannot_be_judged_are_no_point() -> None:
    assert curve_of([0.8], [point(0.5, None)]) == ()
    assert precision_at((), 0.1) is None
    assert mean_precision((), 0.1) is None
