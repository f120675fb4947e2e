"""Pairs chosen as evidence, and which parts of them are shown."""

import numpy as np
import polars as pl

from costaudit.answers.consistency import Consistency
from costaudit.answers.evidence import evidence, marked, typical_pairs, worst_pairs
from costaudit.answers.rates import rates
from costaudit.answers.tally import Population
from tests.answers.builder import WIDE, log_of, near, served_row


def test_marks_stand_around_what_differs() -> None:
    first, second = marked("Cancel within 24 hours?", "Cancel it after 48 hours?")
    assert first == "Cancel ⟦within 24⟧ hours?"
    assert second == "Cancel ⟦it after 48⟧ hours?"
    assert marked("Same text.", "same text.") == ("Same text.", "same text.")


def test_marks_in_the_log_cannot_pose_as_ours() -> None:
    first, _ = marked("a ⟦trick⟧", "a [trick]")
    assert first == "a [trick]"


def build() -> tuple[Consistency, pl.DataFrame, np.ndarray]:
    rng = np.random.default_rng(3)
    axes = np.eye(WIDE)
    asked = [axes[0], near(axes[0], 0.95, rng), axes[1], near(axes[1], 0.80, rng),
             axes[2], near(axes[2], 0.90, rng)]  # fmt: skip
    said = [axes[5], axes[6], axes[7], axes[8], axes[9], near(axes[9], 0.99, rng)]
    answers = ["Secret alpha", "Secret beta", "Gamma", "Delta", "Epsilon", "Epsilon too"]
    log = log_of([f"Question {c}?" for c in "abcdef"], answers,
                 question_vectors=np.array(asked), answer_vectors=np.array(said))  # fmt: skip
    ids = pl.DataFrame({"request_id": [f"r{k}" for k in range(6)]})
    return Consistency(log), ids, served_row(-1, 0, -1, 2, -1, 4)


def test_the_worst_pairs_have_the_most_similar_questions() -> None:
    check, ids, served = build()
    rated = rates(check, served, Population(np.ones(6, bool), np.arange(6, dtype=np.int32)))
    rows = np.arange(len(rated.pairs.asked))
    worst = worst_pairs(check, rated, rows, top=5)
    pairs = evidence(ids, check, rated.pairs.asked[worst], rated.pairs.matched[worst],
                     rated.right[worst], show_prompts=True)  # fmt: skip
    assert [(p.request_id, p.matched_id) for p in pairs] == [("r1", "r0"), ("r3", "r2")]
    assert [p.similarity for p in pairs] == [0.95, 0.8]
    assert all(p.right is False for p in pairs)
    assert pairs[0].answer == "Secret ⟦beta⟧"
    typical = typical_pairs(check, rated, rows, top=5)
    assert rated.pairs.asked[typical].tolist() == [5]


def test_texts_stay_hidden_unless_asked_for() -> None:
    check, ids, _ = build()
    one = np.array([1], np.int32), np.array([0], np.int32), np.array([0], np.int8)
    pair = evidence(ids, check, *one, show_prompts=False)[0]
    shown = " ".join((pair.question, pair.matched_question, pair.answer, pair.matched_answer))
    assert "Secret" not in shown and "Question" not in shown
    assert pair.answer.startswith("11 chars #")
    assert pair.answer != pair.matched_answer
