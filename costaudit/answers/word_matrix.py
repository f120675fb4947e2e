"""Which words each answer has, without those that repeat its question."""

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from costaudit.answers.logged import Ints, Logged
from costaudit.answers.traps.folding import fold

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Longs = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_TOKEN = re.compile(r"\w+")
_ECHO = 4  # minimum run of words that an answer repeats from its question; such echoes are left out
_WORDS_READ = 400  # maximum number of words read of a text
_ROWS = 1 << 13  # rows filled at a time


def word_matrix(log: Logged) -> "tuple[Ints, csr_matrix, Bools]":
    """Return each request's row, the words of each row's answer, and whether it has an echo.

    The words are int8 (rows, words), 1 where an answer has a word. Requests with equal answers to
    equal questions share a row. Words are numbered in the order in which rows have them.
    """
    from scipy.sparse import csr_matrix

    both = log.answer.astype(np.int64) * (len(log.questions) + 1) + log.question
    distinct, first, row = np.unique(both, return_index=True, return_inverse=True)
    answered = np.flatnonzero(log.answer[first] >= 0)
    texts = _Texts(log, first[answered])
    number = np.full(texts.words, -1, np.int64)
    size = np.zeros(len(distinct), np.int64)
    echoes = np.zeros(len(distinct), np.bool_)
    columns = [np.empty(0, np.int64)]
    seen = 0
    for start in range(0, len(answered), _ROWS):
        rows = answered[start : start + _ROWS]
        at, word, echoes[rows] = texts.own(log.answer[first[rows]], log.question[first[rows]])
        new, place = np.unique(word[number[word] < 0], return_index=True)
        number[new[np.argsort(place)]] = np.arange(seen, seen + len(new))
        seen += len(new)
        width = max(seen, 1)
        cell = np.unique(at * width + number[word])
        size[rows] = np.bincount(cell // width, minlength=len(rows))
        columns.append(cell % width)
    indices = np.concatenate(columns).astype(np.int32)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(size)])
    shape = (len(distinct), max(seen, 1))
    matrix = csr_matrix((np.ones(len(indices), np.int8), indices, ends), shape=shape)
    return row.reshape(-1).astype(np.int32), matrix, echoes


class _Texts:
    """The words of answers and questions as numbers, and the runs of words that can be echoes."""

    def __init__(self, log: Logged, requests: Longs) -> None:
        numbers: Mapping[str, int] = defaultdict(count().__next__)
        answers, questions = (np.unique(one[requests]) for one in (log.answer, log.question))
        questions = questions[questions >= 0]
        said, asked = log.said, log.questions
        answer_sizes, answer_words = _words((said[n] for n in answers.tolist()), numbers)
        question_sizes, question_words = _words((asked[n] for n in questions.tolist()), numbers)
        self.words = len(numbers)
        self._word = answer_words
        self._size = np.zeros(len(said), np.int64)
        self._size[answers] = answer_sizes
        self._start = np.zeros(len(said), np.int64)
        self._start[answers] = np.cumsum(answer_sizes) - answer_sizes
        run = _runs(
            np.concatenate([answer_words, question_words]),
            np.concatenate([answer_sizes, question_sizes]),
        )
        self._runs = int(run.max(initial=0)) + 1
        self._run, asked_run = run[: len(answer_words)], run[len(answer_words) :]
        known = np.repeat(questions.astype(np.int64), question_sizes) * self._runs + asked_run
        self._known = np.unique(known[asked_run >= 0])

    def own(self, answer: Ints, question: Ints) -> tuple[Longs, Longs, Bools]:
        """Return (place, word) for each word of each answer that is no echo of its question.

        Also return which answers have an echo.
        """
        size = self._size[answer]
        place = np.repeat(np.arange(len(answer)), size)
        within = np.arange(len(place)) - np.repeat(np.cumsum(size) - size, size)
        at = self._start[answer][place] + within
        begins = np.zeros(len(at), np.bool_)
        asked, run = question[place], self._run[at]
        rows = np.flatnonzero((asked >= 0) & (run >= 0))
        if len(self._known):
            key = asked[rows].astype(np.int64) * self._runs + run[rows]
            found = np.minimum(np.searchsorted(self._known, key), len(self._known) - 1)
            begins[rows] = self._known[found] == key
        echoed = begins.copy()
        for later in range(1, _ECHO):
            echoed[later:] |= begins[:-later]
        echoes = np.bincount(place[echoed], minlength=len(answer)) > 0
        return place[~echoed], self._word[at[~echoed]], echoes


def _words(texts: Iterable[str], numbers: Mapping[str, int]) -> tuple[Longs, Longs]:
    """Return the number of words of each text, and the words as numbers, one after the other."""
    found, sizes = array("q"), array("q")
    for text in texts:
        words = _TOKEN.findall(fold(text))[:_WORDS_READ]
        found.extend(map(numbers.__getitem__, words))
        sizes.append(len(words))
    return np.array(sizes, np.int64), np.array(found, np.int64)


def _runs(word: Longs, sizes: Longs) -> Longs:
    """Number the runs of _ECHO words by their first word; -1 where a text ends before."""
    left = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(word))  # words to the text's end
    out = np.full(len(word), -1, np.int64)
    at = np.flatnonzero(left >= _ECHO)
    run, words = word[at], int(word.max(initial=0)) + 1
    for later in range(1, _ECHO):
        longer = run * words + word[at + later]
        run = np.unique(longer, return_inverse=True)[1].reshape(-1)
    out[at] = run
    return out
