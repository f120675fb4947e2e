"""The words that differ between two texts."""

from hypothesis import given
from hypothesis import strategies as st

from costaudit.report.html import word_diff

TEXTS = st.text(alphabet="ab 1,.\n", max_size=60)


def test_the_number_that_differs_is_marked() -> None:
    left, right = word_diff("after 14 days?", "after 45 days?")
    assert left == [("after ", False), ("14", True), (" days?", False)]
    assert right == [("after ", False), ("45", True), (" days?", False)]


def test_a_word_that_one_side_lacks_is_marked_without_its_blanks() -> None:
    _, right = word_diff("Is it billed", "Is it not billed")
    assert ("not", True) in right


@given(TEXTS, TEXTS)
def test_joined_pieces_are_the_texts(left: str, right: str) -> None:
    pieces = word_diff(left, right)
    assert "".join(text for text, _ in pieces[0]) == left
    assert "".join(text for text, _ in pieces[1]) == right


@given(TEXTS)
def test_equal_texts_have_no_marks(text: str) -> None:
    assert not any(differs for side in word_diff(text, text) for _, differs in side)


def test_texts_too_long_to_compare_are_shown_whole() -> None:
    long = "word " * 5_000
    assert word_diff(long, "x") == ([(long, False)], [("x", False)])
