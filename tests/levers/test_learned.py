"""Few answers that follow from the question's words are learned; others are left to the model."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from costaudit.levers.learned import MOST_LOSS, few_answers, learned, small_model
from tests.levers.logs import blocks, log, segment

NAMES = ("billing", "delivery", "repair")
WORDS = {name: [f"{name}{i}" for i in range(6)] for name in NAMES}
START = datetime(2026, 10, 1, tzinfo=UTC)


def made(calls: int, noise: float, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return calls whose answer is the kind of their words, but for a share of them at random."""
    draw = random.Random(seed)
    rows: list[dict[str, Any]] = []
    texts: dict[str, str | None] = {f"label-{name}": name for name in NAMES}
    for i in range(calls):
        kind = draw.choice(NAMES)
        told = kind if draw.random() >= noise else draw.choice([x for x in NAMES if x != kind])
        texts[f"q{i}"] = f"{i} {' '.join(draw.sample(WORDS[kind], 3))}"
        rows.append({
            "ts": START + timedelta(minutes=i), "answer_id": f"label-{told}",
            "segments": [segment("sys", 50, "system"), segment(f"q{i}", 20)],
        })  # fmt: skip
    frame = log(*({k: v for k, v in row.items() if k != "ts"} for row in rows))
    return frame.with_columns(ts=pl.Series([row["ts"] for row in rows])), blocks(**texts)


def test_what_follows_from_the_words_is_learned() -> None:
    (one,) = learned(*made(1_500, 0.0))
    assert one.holds and len(one.rows) > 0.95 * one.calls
    assert one.tested == 300 and one.right == one.answered  # the last fifth, all of it new


def test_answers_at_random_are_left_to_the_model() -> None:
    (one,) = learned(*made(1_500, 2 / 3))
    assert not one.holds


@pytest.mark.slow
def test_wrong_answers_stay_within_the_limit_where_some_answers_do_not_follow() -> None:
    # The share of all calls that get another answer than the words imply is noise x moved share.
    losses = [
        0.03 * len(one.rows) / one.calls
        for seed in range(12)
        for one in learned(*made(1_500, 0.03, seed))
    ]
    assert sum(loss > MOST_LOSS for loss in losses) <= 1


def test_few_calls_many_answers_and_one_answer_are_no_labels() -> None:
    assert learned(*made(900, 0.0)) == []
    frame, _ = made(1_500, 0.0)
    each = pl.Series([f"label-{i % 40}" for i in range(len(frame))])
    assert few_answers(frame.with_columns(answer_id=each)).is_empty()
    assert few_answers(frame.with_columns(answer_id=pl.lit("label-a"))).is_empty()


def test_the_question_that_is_asked_again_is_no_proof() -> None:
    frame, texts = made(1_500, 0.0)
    asked = [[segment(f"q{i % 600}", 20)] for i in range(len(frame))]
    (one,) = learned(frame.with_columns(segments=pl.Series(asked, dtype=frame["segments"].dtype)),
                     texts)  # fmt: skip
    assert one.tested == 0 and not one.holds


def test_a_machine_and_the_wrong_answers_are_paid_for() -> None:
    frame, texts = made(1_500, 0.0)
    found = learned(frame, texts)
    usd = np.full(len(frame), 0.01)
    lever = small_model(frame, found, usd, Decimal(5))
    assert lever is not None
    moved = len(found[0].rows)
    again = Decimal(repr(moved * 0.01 * found[0].most_loss))
    assert abs(lever.running_usd["chat | gpt-4o"] - (5 + again)) < Decimal("0.0001")
    assert lever.effect["removed"].sum() == moved
    # 15 dollars of calls, 1 % of it for wrong ones: a machine of 20 dollars doesn't pay.
    assert small_model(frame, found, usd, Decimal(20)) is None
