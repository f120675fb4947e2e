"""Rates of identical questions by the ids of their answers, against hand calculations."""

import numpy as np
import pytest

from costaudit.answers.tally import Population, RatePoint, rates_by_id

N = 10
BLOCK = np.arange(N, dtype=np.int32)


def rated(answer: list[int], served: list[int], bypassed: int = 0) -> RatePoint:
    """Return the rates of one run; the last `bypassed` requests aren't eligible."""
    (point,) = rates_by_id(
        np.array(answer, np.int32),
        np.array([served], np.int32),
        Population(np.arange(N) < N - bypassed, BLOCK),
    )
    return point


def test_equal_answers_are_right_and_others_are_wrong_until_shown_otherwise() -> None:
    # requests 1 to 4 get the answer of request 0; 1 and 2 were answered the same
    point = rated([7, 7, 7, 8, 9, 1, 2, 3, 4, 5], [-1, 0, 0, 0, 0, -1, -1, -1, -1, -1], bypassed=2)
    assert point.hits == point.judged == 4
    assert point.raw_hit_share.value == 4 / 8
    assert point.raw_hit_share_all.value == 4 / 10
    assert point.valid_hit_share and point.unsafe_served_share
    assert point.valid_hit_share.value == 2 / 8
    assert point.unsafe_served_share.value == 2 / 10
    assert {point.valid_hit_share.grade, point.unsafe_served_share.grade} == {"assumed"}
    # perhaps neither of the two is wrong: then all four hits are valid
    assert point.unsafe_served_share.low == 0
    assert point.valid_hit_share.high == point.raw_hit_share.high
    assert point.unsafe_served_share.high and point.unsafe_served_share.high > 2 / 10


def test_where_all_answers_are_equal_nothing_is_wrong() -> None:
    point = rated([7] * N, [-1] + [0] * (N - 1))
    assert point.unsafe_served_share
    assert (point.unsafe_served_share.value, point.unsafe_served_share.high) == (0, 0)


def test_a_hit_without_a_logged_answer_is_like_the_others() -> None:
    # of three hits one is right, one is wrong and one is unknown: 1.5 of 10 are wrong
    point = rated([7, 7, 8, -1, *range(10, 16)], [-1, 0, 0, 0, *[-1] * 6])
    assert (point.hits, point.judged) == (3, 2)
    assert point.unsafe_served_share
    assert point.unsafe_served_share.value == pytest.approx(0.15)


def test_without_answers_nothing_is_said_of_them() -> None:
    point = rated([-1] * N, [-1] + [0] * (N - 1))
    assert point.raw_hit_share.value == 0.9
    assert point.valid_hit_share is None and point.unsafe_served_share is None


def test_a_pair_of_several_runs_counts_once() -> None:
    """Of the four different pairs whose answers are known, two agree: so does half an unknown."""
    answer = np.array([0, 0, 1, -1, 0], np.int32)
    served = np.array([[-1, 0, 0, 0, 0], [-1, 0, -1, -1, 2]], np.int32)
    population = Population(np.ones(5, np.bool_), np.arange(5, dtype=np.int32))
    first, second = rates_by_id(answer, served, population, replicates=20)
    assert first.valid_hit_share is not None and second.valid_hit_share is not None
    assert first.valid_hit_share.value == pytest.approx((2 + 0.5) / 5)
    assert second.valid_hit_share.value == pytest.approx(1 / 5)
    assert (first.judged, first.hits, second.judged) == (3, 4, 2)
