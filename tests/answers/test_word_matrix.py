"""The words of answers, without echoes, equal those of a plain loop over the requests."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from costaudit.answers.word_matrix import word_matrix
from tests.answers.builder import log_of

TEXT = st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=12).map(" ".join)
ECHO, READ = 4, 400


def expected(
    questions: list[str], answers: list[str]
) -> tuple[list[str], list[set[str]], list[bool]]:
    """Return the words in order of appearance, each request's own words, and whether it echoes."""
    asked, said = sorted(set(questions)), list(dict.fromkeys(filter(None, answers)))
    own: dict[tuple[int, int], list[str]] = {}
    echoes: dict[tuple[int, int], bool] = {}
    for question, answer in zip(questions, answers, strict=True):
        words, text = answer.split()[:READ], question.split()[:READ]
        runs = {tuple(text[at : at + ECHO]) for at in range(len(text) - ECHO + 1)}
        echoed: set[int] = set()
        for at in range(len(words) - ECHO + 1):
            if tuple(words[at : at + ECHO]) in runs:
                echoed.update(range(at, at + ECHO))
        place = (said.index(answer) if answer else -1, asked.index(question))
        own[place] = [word for at, word in enumerate(words) if at not in echoed]
        echoes[place] = bool(echoed)
    order = list(dict.fromkeys(word for place in sorted(own) for word in own[place]))
    places = [
        (said.index(answer) if answer else -1, asked.index(question))
        for question, answer in zip(questions, answers, strict=True)
    ]
    return order, [set(own[place]) for place in places], [echoes[place] for place in places]


def check(questions: list[str], answers: list[str]) -> None:
    """Compare the matrix with the plain loop."""
    row, matrix, echoes = word_matrix(log_of(questions, answers))
    order, words, repeated = expected(questions, answers)
    assert matrix.shape == (len(set(zip(questions, answers, strict=True))), max(len(order), 1))
    cells = matrix.toarray()
    assert cells.max(initial=0) <= 1
    found = [{order[word] for word in np.flatnonzero(cells[at])} for at in row]
    assert found == words
    assert echoes[row].tolist() == repeated


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
def test_words_and_their_numbers_are_those_of_a_plain_loop(pairs: list[tuple[str, str]]) -> None:
    check([question for question, _ in pairs], [answer for _, answer in pairs])


def test_long_texts_are_read_to_their_limit_and_many_rows_keep_their_words() -> None:
    words = [f"w{number}" for number in range(500)]
    check([" ".join(words), "short"], [" ".join(words[::-1]), " ".join(words)])
    many = [
        f"q{number} is asked here today" for number in range(9_000)
    ]  # more than are filled at once
    check(many, [f"a{number % 7} and {text}" for number, text in enumerate(many)])
