"""The answers and questions of a log, as arrays over its requests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.answers.kinds import answer_kinds, prose_of
from costaudit.contracts.requests import TS_S

Ints = npt.NDArray[np.int32]
_NO_TIME = -1.0
_PART = 1 << 17


@dataclass(frozen=True)
class Logged:
    """One row per request, in the order of the log; each distinct text is stored once."""

    question: Ints  # index into `questions`; -1 if a cache would compare no question
    questions: tuple[str, ...]  # distinct texts that a cache would compare
    question_vectors: npt.NDArray[np.float32]  # unit rows, by question
    scope: Ints  # cache partition; requests of different scopes never share an entry
    answer: Ints  # index into `answers`; -1 without a logged answer
    answers: tuple[str, ...]  # distinct
    vector_row: Ints  # per distinct answer: row of `vectors`; -1 if not embedded
    vectors: npt.NDArray[np.float32]  # unit rows
    kind: npt.NDArray[np.int8]  # kind of each request's answer (see kinds.py)
    seconds: npt.NDArray[np.float64]  # start of the request; -1 without a time
    embed: Callable[[Ints], None] | None = None  # fills rows of `vectors` before they are compared
    prompt: Ints | None = None  # number of the whole prompt with history; None: scope and question
    users: Ints | None = None  # number of the user, -1 if unknown; None: the log names no users

    def __len__(self) -> int:
        return len(self.question)

    @cached_property
    def whole_prompt(self) -> Ints:
        """Number of each request's whole prompt: requests with equal numbers are repeats."""
        if self.prompt is not None:
            return self.prompt
        key = self.scope.astype(np.int64) * (len(self.questions) + 1) + self.question
        number: Ints = np.unique(key, return_inverse=True)[1].reshape(-1).astype(np.int32)
        return number

    @cached_property
    def user(self) -> Ints:
        """Number of each request's user; -1 if unknown."""
        return np.full(len(self), -1, np.int32) if self.users is None else self.users

    @cached_property
    def said(self) -> tuple[str, ...]:
        """The prose of each answer: the text, or the prose in structured output."""
        return tuple(prose_of(text) for text in self.answers)

    def similarity(self, first: Ints, second: Ints) -> npt.NDArray[np.float32]:
        """Return the cosine of each pair's answers: 1 for identical text, nan if unknown.

        Only the answers that are compared get embedded.
        """
        a, b = self.answer[first], self.answer[second]
        known = (a >= 0) & (b >= 0)
        rows = np.append(
            self.vector_row, np.int32(-1)
        )  # requests without an answer (-1) index this last row
        rows_a, rows_b = np.where(known, rows[a], -1), np.where(known, rows[b], -1)
        both = (rows_a >= 0) & (rows_b >= 0) & (a != b)
        if self.embed is not None:
            self.embed(np.union1d(rows_a[both], rows_b[both]))
        out = np.full(len(a), np.nan, np.float32)
        out[both] = _cosine(self.vectors, rows_a[both], rows_b[both])
        out[known & (a == b)] = 1.0
        return out

    def question_similarity(self, first: Ints, second: Ints) -> npt.NDArray[np.float32]:
        """Return the cosine of each pair's questions; 1 for identical text."""
        a, b = self.question[first], self.question[second]
        return np.where(a == b, np.float32(1.0), _cosine(self.question_vectors, a, b))


def _cosine(vectors: npt.NDArray[np.float32], a: Ints, b: Ints) -> npt.NDArray[np.float32]:
    """Return the dot product of each pair of rows, computed in parts that fit into memory."""
    out = np.empty(len(a), np.float32)
    for start in range(0, len(a), _PART):
        part = slice(start, start + _PART)
        out[part] = np.einsum("ij,ij->i", vectors[a[part]], vectors[b[part]])
    return np.clip(out, -1.0, 1.0)


@dataclass(frozen=True)
class Questions:
    """The questions that a cache compares."""

    texts: Sequence[str]  # distinct
    row: Ints  # per request: index into `texts`; -1 without a compared text
    vectors: npt.NDArray[np.float32]  # unit rows, by text
    scope: Ints  # per request: its cache partition
    prompt: Ints | None = None  # per request: number of its whole prompt; None: scope and question
    users: Ints | None = None  # per request: number of its user; -1 if unknown


@dataclass(frozen=True)
class AnswerVectors:
    """Vectors of the logged answers."""

    vectors: npt.NDArray[np.float32]  # unit rows
    row: Ints  # per request: row of `vectors`; -1 for none
    embed: Callable[[Ints], None] | None = None  # fills rows of `vectors` that are still empty


def logged(
    requests: pl.DataFrame, blocks: pl.DataFrame, questions: Questions, said: AnswerVectors
) -> Logged:
    """Return a log's questions and answers as arrays."""
    texts = blocks.select(answer_id="block_id", text="text").unique("answer_id")
    joined = requests.select("answer_id").join(
        texts, on="answer_id", how="left", maintain_order="left"
    )
    has_text = joined["text"].is_not_null()
    distinct = joined.filter(has_text).unique("answer_id", maintain_order=True)
    index = distinct.with_row_index("answer").select("answer_id", pl.col("answer").cast(pl.Int32))
    placed = joined.join(index, on="answer_id", how="left", maintain_order="left")
    answer = placed["answer"].fill_null(-1).to_numpy().astype(np.int32)
    vector_row = np.full(distinct.height, -1, np.int32)
    held = (answer >= 0) & (said.row >= 0)
    vector_row[answer[held]] = said.row[held]
    answers = tuple(distinct["text"].to_list())
    seconds = requests.select(TS_S).to_series()
    return Logged(
        question=questions.row.astype(np.int32),
        questions=tuple(questions.texts),
        question_vectors=np.ascontiguousarray(questions.vectors, np.float32),
        scope=questions.scope.astype(np.int32),
        answer=answer,
        answers=answers,
        vector_row=vector_row,
        vectors=np.asarray(said.vectors, np.float32),
        kind=answer_kinds(requests, answer, answers),
        seconds=seconds.fill_null(_NO_TIME).to_numpy(),
        embed=said.embed,
        prompt=questions.prompt,
        users=questions.users,
    )
