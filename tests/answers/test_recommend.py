"""The recommended threshold."""

from decimal import Decimal

from costaudit.answers.recommend import recommend
from costaudit.answers.tally import RatePoint
from costaudit.contracts.grades import Estimate


def point(high: float | None) -> RatePoint:
    share = Estimate(0.5, "simulated", 0.4, 0.6)
    unsafe = None if high is None else Estimate(high / 2, "estimated", 0.0, high)
    return RatePoint(10, 10, share, share, None, None if high is None else share, unsafe)


THRESHOLDS = (0.70, 0.80, 0.90)
MONEY = (Decimal(30), Decimal(20), Decimal(10))


def test_most_money_within_the_bound_wins() -> None:
    found = recommend(THRESHOLDS, [point(0.05), point(0.009), point(0.001)], MONEY)
    assert (found.index, found.min_similarity) == (1, 0.80)
    assert "2 of 3 thresholds" in found.why
    assert "0.90%" in found.why


def test_the_upper_bound_counts_not_the_estimate() -> None:
    # the estimate 0.006 is within 1 %, its upper bound 0.012 is not
    found = recommend(THRESHOLDS, [point(0.05), point(0.012), point(0.001)], MONEY)
    assert found.min_similarity == 0.90


def test_nothing_allowed_means_exact_matching() -> None:
    found = recommend(THRESHOLDS, [point(0.05), point(0.03), point(0.02)], MONEY)
    assert found.index is None
    assert found.min_similarity is None
    assert "2.00%" in found.why


def test_no_answers_mean_exact_matching() -> None:
    found = recommend(THRESHOLDS, [point(None)] * 3, MONEY)
    assert found.min_similarity is None
    assert "no answers" in found.why


def test_exact_matching_wins_where_it_earns_as_much() -> None:
    found = recommend(THRESHOLDS, [point(0.001)] * 3, MONEY, exact_net_usd=Decimal(30))
    assert found.min_similarity is None
    assert "earns more" in found.why


def test_among_equals_the_stricter_wins() -> None:
    found = recommend(THRESHOLDS, [point(0.001)] * 3, (Decimal(5),) * 3)
    assert found.min_similarity == 0.90
