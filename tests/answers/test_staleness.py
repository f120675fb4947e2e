"""Drift curves and the TTL that they support."""

import numpy as np
import pytest

from costaudit.answers.consistency import Consistency
from costaudit.answers.staleness import drift, spread_repeats
from tests.answers.builder import log_of

DAY_H = 24.0


def daily(changes_every_days: float | None) -> Consistency:
    """Forty prompts asked every 6 hours for 20 days; a number in the answers changes regularly."""
    questions, answers, hours = [], [], []
    for slot in range(80):
        for prompt in range(40):
            day = slot / 4
            version = 0 if changes_every_days is None else int(day / changes_every_days)
            questions.append(f"What is {chr(97 + prompt % 26)}{chr(97 + prompt // 26)}?")
            answers.append(f"For {prompt + 100000} it costs {version + 5} euros.")
            hours.append(slot * 6 + prompt / 1000)
    n = len(answers)
    vectors = np.tile(np.eye(4)[0], (n, 1))
    return Consistency(log_of(questions, answers, answer_vectors=vectors, hours=hours))


def test_answers_that_never_change_support_any_ttl() -> None:
    check = daily(None)
    found = drift(check, np.ones(len(check.log), bool))
    assert found.ttl_s is None
    assert found.grade == "estimated"
    assert all(point.outdated_share.value == 0 for point in found.points)


def test_answers_that_change_every_five_days_support_about_a_day() -> None:
    # Two requests g days apart straddle a change with probability g / 5 (for g < 5): 5 % at 6 h,
    # 60 % at 3 days. The share over all repeats up to one day is some 5 to 20 %.
    check = daily(5.0)
    found = drift(check, np.ones(len(check.log), bool), max_outdated=0.20)
    by_gap = {point.gap_s / 86400: point.outdated_share.value for point in found.points}
    assert found.ttl_s is not None
    assert 0.25 <= found.ttl_s / 86400 <= 3
    assert by_gap[7.0] > by_gap[3.0] > by_gap[1.0]
    assert by_gap[30.0] == pytest.approx(1.0, abs=0.02)


def test_too_few_repeats_fall_back_to_the_customary_class() -> None:
    log = log_of(["What is my balance?", "Show my orders"], ["5", "none"])
    found = drift(Consistency(log), np.ones(2, bool))
    assert found.grade == "assumed"
    assert found.ttl_s == 15 * 60
    assert "user data" in found.why


@pytest.mark.parametrize(
    ("question", "ttl_s"),
    [
        ("What is the price?", 60),
        ("What is the price, please?", 60),
        ("Tell me the weather.", 60),
        ("¡Dime el precio, por favor!", 60),
        ("(status)", 60),
        ("What's today's exchange rate?", 60),
        ("Show me the orders: all of them", 15 * 60),
        ("Quiero ver los pedidos, gracias", 15 * 60),
        ("Explícame la poli\u0301tica.", 86400),  # the accent is a character of its own
        ("Tell me about pricelessness", 4 * 3600),
    ],
)
def test_the_class_of_a_question_does_not_depend_on_punctuation(
    question: str, ttl_s: float
) -> None:
    assert drift(Consistency(log_of([question], ["5"])), np.ones(1, bool)).ttl_s == ttl_s


def test_repeats_are_spread_over_all_gaps() -> None:
    log = log_of(["q"] * 9, [f"a{k}" for k in range(9)])
    first, second = spread_repeats(log, np.ones(9, bool))
    assert set((second - first).tolist()) == {1, 2, 4, 8}
