"""Twins: when two models' answers to the same questions justify the cheaper model."""

from typing import Any

import numpy as np
import pytest

from costaudit.levers.twins import (
    LEAST_REPEATS,
    LEAST_TWINS,
    Moved,
    TwinTopic,
    question_keys,
    repeat_pairs,
    routed_twins,
    twin_pairs,
)
from tests.levers.logs import SYSTEM, blocks, log, segment

PRICE = {"gpt-4o": 4.0, "gpt-4o-mini": 0.24, "almost": 3.5}


def call(question: str, model: str = "gpt-4o", **more: Any) -> dict[str, Any]:
    parts = [SYSTEM, segment(question, 20)]
    return {"segments": parts, "model": model, "answer_id": f"{question}-{model}", **more}


TEXTS = blocks(q="Where is my parcel?", r="where is MY  parcel", s="Where is my invoice?")


def pairs_of(*rows: dict[str, Any]) -> list[tuple[int, int]]:
    found = twin_pairs(question_keys(log(*rows), TEXTS), PRICE)
    return list(found.select("large_row", "small_row").iter_rows())


@pytest.mark.parametrize(
    ("second", "pairs"),
    [
        (call("q", "gpt-4o-mini"), [(0, 1)]),
        (call("r", "gpt-4o-mini"), [(0, 1)]),  # differs only in case, spaces and punctuation
        (call("s", "gpt-4o-mini"), []),
        (call("q", "almost"), []),  # not much cheaper
        (call("q", "unpriced"), []),
        (call("q", "gpt-4o-mini", tenant="t"), []),
        (call("q", "gpt-4o-mini", endpoint="other"), []),
        (call("q", "gpt-4o-mini", status="error"), []),
        (call("q", "gpt-4o-mini", finish_reason="length"), []),
        (call("q", "gpt-4o-mini", segments=[segment("x", 9), segment("q", 20)]), []),
    ],
)
def test_twins_share_the_question_and_not_the_model(
    second: dict[str, Any], pairs: list[tuple[int, int]]
) -> None:
    assert pairs_of(call("q"), second) == pairs


def test_repeats_are_of_one_model() -> None:
    keys = question_keys(log(call("q"), call("q", "gpt-4o-mini"), call("r"), call("r")), TEXTS)
    found = repeat_pairs(keys)
    assert found.select("unit", "first_answer", "second_answer").rows() == [
        ("chat | gpt-4o", "q-gpt-4o", "r-gpt-4o")
    ]


def topic(agreed: int, twins: int = 400, repeats: int = 200, **more: Any) -> TwinTopic:
    told = {"unit": "chat | gpt-4o", "small": "gpt-4o-mini", "topic": "", "calls": 1_000,
            "cover": 0.5, "repeats_agreed": repeats}  # fmt: skip
    return TwinTopic(twins=twins, agreed=agreed, repeats=repeats, **{**told, **more})


@pytest.mark.parametrize(
    ("one", "holds"),
    [
        (topic(400), True),
        (topic(392), True),  # 2 % worse: the upper bound is 4.3 %
        (topic(380), False),  # 5 % worse
        (topic(380, repeats_agreed=192), True),  # the larger model's own repeats differ too
        (topic(LEAST_TWINS - 1, LEAST_TWINS - 1), False),
        (topic(400, repeats=LEAST_REPEATS - 1), False),
        (topic(400, cover=0.1), False),
    ],
)
def test_a_topic_is_moved_only_within_the_bound(one: TwinTopic, holds: bool) -> None:
    assert one.holds is holds


def covered(p: float, floor: float, draw: np.random.Generator) -> bool:
    agreed, own = draw.binomial(300, p), draw.binomial(150, floor)
    return topic(agreed, 300, 150, repeats_agreed=own).most_loss >= floor - p


def test_the_bound_covers_the_true_loss() -> None:
    draw = np.random.default_rng(7)
    for p, floor in ((0.99, 1.0), (0.9, 0.95), (0.97, 0.97)):
        assert np.mean([covered(p, floor, draw) for _ in range(400)]) >= 0.96


def test_what_may_be_worse_is_asked_again_at_the_dear_price() -> None:
    requests = log(*[call("q")] * 4)
    one = topic(392)
    rows = np.array([0, 1])
    lever = routed_twins(requests, [one], [Moved(one, rows)], np.full(4, 0.5))
    assert lever is not None
    assert lever.effect["model"].to_list() == ["gpt-4o-mini", "gpt-4o-mini", None, None]
    assert float(lever.running_usd["chat | gpt-4o"]) == pytest.approx(one.most_loss * 1.0)
    assert lever.evidence[0].rows[0][-1] == "yes"
    assert routed_twins(requests, [one], [], np.full(4, 0.5)) is None
