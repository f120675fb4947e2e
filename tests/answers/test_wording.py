"""Answers are compared by their words alone."""

import numpy as np
import pytest

from costaudit.answers.wording import ASSUMED_OVERLAP, Wordings

SAME = [
    ("Your parcel arrives on Monday.", "The parcel arrives on Monday."),
    ('{"a": 1, "b": "x"}', '{\n  "b": "X",\n  "a": 1.0\n}'),
    ("```py\ntotal = price * count  # two\n```", "```py\ntotal = price * count\n```"),
    ("El pedido llega el lunes.", "El pedido llega el lunes"),
]
OTHER = [
    ("The fee is 20 euros a month.", "The fee is 35 euros a month."),
    ("Yes, you can return it within the time.", "No, you can not return it within the time."),
    ('{"a": 1}', '{"a": 2}'),
    ('{"a": 1}', "a is 1"),
    ("Reset the router twice.", "Bananas grow in warm countries near the sea."),
]


@pytest.mark.parametrize(("pairs", "agrees"), [(SAME, True), (OTHER, False)])
def test_wordings_of_one_answer_agree_and_contradictions_do_not(
    pairs: list[tuple[str, str]], agrees: bool
) -> None:
    for first, second in pairs:
        read = Wordings([first, second])
        said = read.agree(np.array([0]), np.array([1]), ASSUMED_OVERLAP)
        assert bool(said[0]) is agrees, (first, second)


def test_the_limit_is_learned_from_repeats_of_one_prompt() -> None:
    texts = [f"word{i} is the answer that they all share today" for i in range(100)]
    read = Wordings(texts)
    first, second = np.arange(0, 100, 2), np.arange(1, 100, 2)
    assert read.limit(first, second) == pytest.approx(2 * 8 / 18)
    assert read.limit(first[:5], second[:5]) == ASSUMED_OVERLAP
