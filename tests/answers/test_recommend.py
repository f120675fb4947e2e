"""The recommended threshold."""

from dataclasses import replace

import numpy as np

from costaudit.answers.recommend import recommend, upper
from costaudit.answers.tally import RatePoint
from costaudit.contracts.grades import Estimate

THRESHOLDS = (0.70, 0.80, 0.90)
MONEY = (30.0, 20.0, 10.0)


def offer(high: float | None, usd: float = 0.0, off: float = 0.0) -> RatePoint:
    """Return a run whose right hits earn `usd`, with a spread of `off` between replicates."""
    share = Estimate(0.5, "simulated", 0.4, 0.6)
    unsafe = None if high is None else Estimate(high / 2, "estimated", 0.0, high)
    earned = usd + off * np.linspace(-1, 1, 101)
    earned[0] = usd
    return RatePoint(10, 10, share, share, None, None if high is None else share, unsafe, earned)


EXACT = offer(0.0, 5.0)


def offers(*highs: float | None) -> list[RatePoint]:
    return [offer(high, usd) for high, usd in zip(highs, MONEY, strict=True)]


def test_most_money_within_the_bound_wins() -> None:
    found = recommend(THRESHOLDS, offers(0.05, 0.009, 0.001), EXACT)
    assert (found.kind, found.index, found.min_similarity) == ("similar", 1, 0.80)
    assert "2 of 3 thresholds" in found.why
    assert "0.90%" in found.why


def test_the_bound_itself_is_allowed() -> None:
    found = recommend(THRESHOLDS, offers(0.05, 0.01, 0.001), EXACT, max_wrong=0.01)
    assert found.min_similarity == 0.80


def test_exact_matching_at_the_bound_itself_is_allowed() -> None:
    found = recommend(THRESHOLDS, offers(0.05, 0.03, 0.02), offer(0.01, 5.0), max_wrong=0.01)
    assert found.kind == "exact"


def test_the_upper_bound_counts_not_the_estimate() -> None:
    # the estimate 0.006 is within 1 %, its upper bound 0.012 is not
    found = recommend(THRESHOLDS, offers(0.05, 0.012, 0.001), EXACT)
    assert found.min_similarity == 0.90


def test_nothing_allowed_means_exact_matching() -> None:
    found = recommend(THRESHOLDS, offers(0.05, 0.03, 0.02), EXACT)
    assert (found.kind, found.index, found.min_similarity) == ("exact", None, None)
    assert "2.00%" in found.why


def test_exact_matching_must_be_within_the_bound_too() -> None:
    found = recommend(THRESHOLDS, offers(0.05, 0.03, 0.02), offer(0.015, 5.0))
    assert found.kind == "none"
    assert "1.50%" in found.why


def test_no_answers_mean_no_cache() -> None:
    found = recommend(THRESHOLDS, offers(None, None, None), offer(None, 5.0))
    assert found.kind == "none"
    assert "no answers" in found.why


def test_exact_matching_wins_where_it_earns_as_much() -> None:
    found = recommend(THRESHOLDS, offers(0.001, 0.001, 0.001), offer(0.0, 30.0))
    assert found.kind == "exact"
    assert "earns more" in found.why


def test_the_gain_counts_at_its_lower_bound() -> None:
    # it earns 2 more on average, and 95 of 100 replicates between -1.8 and 5.8 more
    unsure = [offer(0.001, 7.0, off=4.0)]
    assert recommend((0.8,), unsure, EXACT).kind == "exact"
    assert recommend((0.8,), [offer(0.001, 7.0, off=1.0)], EXACT).kind == "similar"


def test_among_equals_the_stricter_wins() -> None:
    found = recommend(THRESHOLDS, [offer(0.001, 9.0)] * 3, EXACT)
    assert found.min_similarity == 0.90


def test_a_gain_of_less_than_a_dollar_is_one() -> None:
    found = recommend(THRESHOLDS, [offer(0.001, usd) for usd in (5.5, 5.2, 5.1)], EXACT)
    assert found.min_similarity == 0.70


def test_the_log_decides_between_thresholds_not_a_replicate() -> None:
    # The first replicate of 9 +- 3 is 6.06, less than 8; the log's own value is more.
    found = recommend((0.8, 0.9), [offer(0.001, 9.0, off=3.0), offer(0.001, 8.0)], EXACT)
    assert found.min_similarity == 0.80


def earning(*usd: float) -> RatePoint:
    """Return a safe run that earns the first amount in the log, and the others in replicates."""
    share = Estimate(0.5, "simulated")
    return RatePoint(10, 10, share, share, None, share, Estimate(0.0, "estimated"), np.array(usd))


def test_every_replicate_counts_for_the_lower_bound() -> None:
    # Of two replicates, 1 less and 9 more than exact matching, the quantile at 2.5 % is -0.75.
    found = recommend((0.8,), [earning(9.0, 4.0, 14.0)], earning(5.0, 5.0, 5.0))
    assert found.kind == "exact"
    assert recommend((0.8,), [earning(9.0, 4.0)], earning(5.0, 5.0)).kind == "exact"


def test_without_replicates_the_log_s_own_gain_counts() -> None:
    assert recommend((0.8,), [earning(7.0)], earning(5.0)).kind == "similar"
    assert recommend((0.8,), [earning(5.0)], earning(5.0)).kind == "exact"


def test_the_upper_bound_of_what_has_no_interval_is_its_value_and_of_nothing_all() -> None:
    assert upper(replace(EXACT, unsafe_served_share=Estimate(0.3, "estimated"))) == 0.3
    assert upper(replace(EXACT, unsafe_served_share=Estimate(0.3, "estimated", 0.2, 0.4))) == 0.4
    assert upper(offer(None)) == 1.0


def test_without_a_threshold_to_try_all_answers_may_be_wrong() -> None:
    found = recommend((), (), EXACT)
    assert found.kind == "exact" and "may reach 100.00%" in found.why
