"""A log's tables are converted to arrays."""

import numpy as np
import polars as pl
import pytest

from costaudit.answers.consistency import Consistency
from costaudit.answers.kinds import KINDS
from costaudit.answers.logged import AnswerVectors, Logged, Questions, logged
from costaudit.answers.rates import rates
from costaudit.answers.tally import Population
from costaudit.contracts.requests import BLOCKS, REQUESTS
from tests.answers.builder import served_row


def tables(answers: list[str | None], **columns: list[object]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return REQUESTS and BLOCKS with one answer per request."""
    n = len(answers)
    given: dict[str, list[object]] = {
        "request_id": [f"r{k}" for k in range(n)],
        "answer_id": [None if text is None else f"b-{text}" for text in answers],
        "answer_kind": ["missing" if text is None else "text" for text in answers],
        "ts": [k * 1_000_000 for k in range(n)],
        **columns,
    }
    requests = pl.DataFrame(
        {
            name: pl.Series(name, given.get(name, [None] * n), dtype=dtype, strict=False)
            for name, dtype in REQUESTS.items()
        }
    )
    texts = sorted({text for text in answers if text is not None})
    blocks = pl.DataFrame(
        {"block_id": [f"b-{t}" for t in texts], "kind": ["text"] * len(texts), "text": texts,
         "chars": [len(t) for t in texts], "tokens": [None] * len(texts)},
        schema=BLOCKS,
    )  # fmt: skip
    return requests, blocks


def read(requests: pl.DataFrame, blocks: pl.DataFrame, row: list[int]) -> Logged:
    n = len(requests)
    return logged(
        requests,
        blocks,
        Questions(
            texts=[f"q{k}" for k in range(n)],
            row=np.arange(n, dtype=np.int32),
            vectors=np.eye(n, 8, dtype=np.float32),
            scope=np.zeros(n, np.int32),
        ),
        AnswerVectors(np.eye(4, 8, dtype=np.float32), np.array(row, np.int32)),
    )


def test_equal_answers_stand_once_and_keep_their_vectors() -> None:
    log = read(*tables(["Yes", "No", "Yes", None]), row=[2, 0, 2, -1])
    assert log.answer.tolist() == [0, 1, 0, -1]
    assert log.answers == ("Yes", "No")
    assert log.vector_row.tolist() == [2, 0]
    assert log.seconds.tolist() == [0, 1, 2, 3]
    one, other = np.array([0, 0, 0], np.int32), np.array([1, 2, 3], np.int32)
    np.testing.assert_array_equal(log.similarity(one, other), [0.0, 1.0, np.nan])


def test_an_answer_that_was_not_embedded_is_compared_by_text_only() -> None:
    log = read(*tables(["Yes", "No", "Yes"]), row=[-1, 0, -1])
    one, other = np.array([0, 0], np.int32), np.array([1, 2], np.int32)
    np.testing.assert_array_equal(log.similarity(one, other), [np.nan, 1.0])


def test_only_answers_that_are_compared_with_others_are_embedded() -> None:
    requests, blocks = tables(["Yes", "No", "Yes", "Maybe"])
    vectors, asked = np.zeros((3, 8), np.float32), list[int]()

    def embed(rows: np.ndarray) -> None:
        asked.extend(rows.tolist())
        vectors[rows] = np.ones((len(rows), 8), np.float32) / np.sqrt(np.float32(8))

    log = logged(
        requests,
        blocks,
        Questions(
            texts=["q"],
            row=np.zeros(4, np.int32),
            vectors=np.eye(1, 8, dtype=np.float32),
            scope=np.zeros(4, np.int32),
        ),
        AnswerVectors(vectors, np.array([0, 1, 0, 2], np.int32), embed),
    )
    one, other = np.array([0, 0], np.int32), np.array([1, 2], np.int32)
    np.testing.assert_allclose(log.similarity(one, other), [1.0, 1.0], rtol=1e-6)
    assert asked == [0, 1]  # nothing is compared with "Maybe"; "Yes" equals "Yes" as text


def test_cut_and_failed_answers_are_known_as_such() -> None:
    frames = tables(["Yes", "No", "Wel", "{}"], truncated=[False, True, None, False],
                    finish_reason=["stop", "stop", "length", None])  # fmt: skip
    assert [KINDS[k] for k in read(*frames, row=[0, 1, 2, 3]).kind] == [
        "text",
        "cut",
        "cut",
        "json",
    ]


@pytest.mark.parametrize("answers", [[None, None, None], ["Yes", None, None]])
def test_a_log_without_answers_claims_nothing(answers: list[str | None]) -> None:
    check = Consistency(read(*tables(answers), row=[-1] * 3))
    point = rates(
        check, served_row(-1, 0, 1), Population(np.ones(3, bool), np.arange(3, dtype=np.int32))
    ).points[0]
    assert (point.hits, point.judged) == (2, 0)
    assert point.unsafe_served_share is None
    assert check.floor.grade == "assumed"
