"""Guards refuse the pairs that their detectors separate, and no others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.answers.traps.detectors import TRAP_NAMES
from costaudit.answers.traps.signatures import Signatures, guard
from costaudit.errors import UsageError

TEXTS = (
    "Can I cancel within 24 hours?",  # 0
    "Can I cancel after 48 hours?",  # 1
    "Can I cancel within one day?",  # 2: the same time as 0
    "Can't I cancel within 24 hours?",  # 3: negated
)


def test_a_guard_refuses_by_its_own_detectors_only() -> None:
    first, second = np.array([0, 0, 0]), np.array([1, 2, 3])
    assert guard(["numbers"], TEXTS)(first, second).tolist() == [True, False, False]
    assert guard(["negation"], TEXTS)(first, second).tolist() == [False, False, True]
    assert guard(["comparatives"], TEXTS)(first, second).tolist() == [True, False, False]
    both = guard(["numbers", "negation"], TEXTS)(first, second)
    assert both.tolist() == [True, False, True]


def test_no_detector_refuses_nothing() -> None:
    assert not guard([], TEXTS)(np.array([0]), np.array([1])).any()


def test_an_unknown_guard_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no guard named 'colour'"):
        guard(["colour"], TEXTS)


def test_an_answer_that_says_more_contradicts_nothing() -> None:
    answers = Signatures(["It takes 3 days.", "It takes 3 days and costs 5.", "It takes 4 days."])
    numbers = 1 << TRAP_NAMES.index("numbers")
    flags = answers.contradicts(np.array([0, 0]), np.array([1, 2])) & numbers
    assert flags.tolist() == [0, numbers]
    flags = answers.differs(np.array([0, 0]), np.array([1, 2])) & numbers
    assert flags.tolist() == [numbers, numbers]


@given(st.lists(st.text(max_size=60), min_size=1, max_size=6))
def test_any_text_can_be_read_and_agrees_with_itself(texts: list[str]) -> None:
    rows = np.arange(len(texts))
    assert not Signatures(texts).differs(rows, rows).any()


def test_all_stands_for_every_detector() -> None:
    texts = ["Within 24 hours?", "After 48 hours?", "Is it in stock?", "Is it not in stock?", "Hi"]
    pairs = np.array([(a, b) for a in range(5) for b in range(5)]).T
    refused = guard(["all"], texts)(*pairs)
    assert (refused == guard(TRAP_NAMES, texts)(*pairs)).all()
    assert refused.any() and not refused.all()
