"""Hand-made logs for tests of the answers stage."""

from collections.abc import Sequence

import numpy as np

from costaudit.answers.kinds import kind_of_text
from costaudit.answers.logged import Logged

WIDE = 32


def unit(rows: np.ndarray) -> np.ndarray:
    """Return rows scaled to length 1."""
    scaled: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def near(centre: np.ndarray, similarity: float, rng: np.random.Generator) -> np.ndarray:
    """Return a random unit vector whose cosine with a unit vector is exactly `similarity`."""
    other = rng.normal(size=len(centre))
    other -= (other @ centre) * centre
    other /= np.linalg.norm(other)
    drawn: np.ndarray = similarity * centre + np.sqrt(1 - similarity**2) * other
    return drawn


def log_of(
    questions: Sequence[str],
    answers: Sequence[str],
    *,
    question_vectors: np.ndarray | None = None,
    answer_vectors: np.ndarray | None = None,
    hours: Sequence[float] | None = None,
    scope: Sequence[int] | None = None,
    kinds: Sequence[int] | None = None,
) -> Logged:
    """Return a log from one question and answer per request; an empty answer means none.

    Vectors are per request; a text gets the vector of its first request.
    """
    n = len(questions)
    eye = np.eye(max(n, 2), dtype=np.float32)[:n]
    texts, first, question = np.unique(questions, return_index=True, return_inverse=True)
    said = [text for text in answers if text]
    distinct = list(dict.fromkeys(said))
    answer = np.array([distinct.index(text) if text else -1 for text in answers], np.int32)
    rows = np.array([list(answers).index(text) for text in distinct], np.int64)
    vectors = eye if answer_vectors is None else answer_vectors
    by_text = np.array([kind_of_text(text) if text else 0 for text in answers], np.int8)
    return Logged(
        question=question.astype(np.int32).reshape(-1),
        questions=tuple(texts.tolist()),
        question_vectors=unit((eye if question_vectors is None else question_vectors)[first]),
        scope=np.array(scope if scope is not None else [0] * n, np.int32),
        answer=answer,
        answers=tuple(distinct),
        vector_row=np.arange(len(distinct), dtype=np.int32),
        vectors=unit(vectors[rows]) if len(rows) else np.zeros((0, 2), np.float32),
        kind=by_text if kinds is None else np.array(kinds, np.int8),
        seconds=3600.0 * np.array(hours if hours is not None else range(n), np.float64),
    )


def served_row(*matched: int) -> np.ndarray:
    """Return one run of a sweep: the matched request per request, -1 for a miss."""
    return np.array([matched], np.int32)
