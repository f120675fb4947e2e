"""Which requests count as simple, and which model they are routed to."""

from typing import Any

import pytest

from costaudit.contracts.ledger import EFFECT
from costaudit.contracts.requests import check_table
from costaudit.levers.routing import simple_requests, smaller_model, smaller_models
from tests.levers.logs import SYSTEM, blocks, log, segment


@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o-mini"),
        ("GPT-4o", "gpt-4o-mini"),
        ("gpt-4o-mini-2024-07-18", None),
        ("gpt-4.1", "gpt-4.1-mini"),
        ("gpt-4.1-nano", None),
        ("gpt-5.4-mini", None),
        ("gpt-5.6-sol", "gpt-5.6-luna"),
        ("gpt-5.6-luna", None),
        ("claude-sonnet-4-6", "claude-haiku-4-5"),
        ("claude-haiku-4-5", None),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0",
         "us.anthropic.claude-haiku-4-5-20251001-v1:0"),
        ("anthropic.claude-opus-5", "anthropic.claude-haiku-5-5"),
        ("our-own-model", None),
    ],
)  # fmt: skip
def test_the_smaller_model_of_a_family(model: str, target: str | None) -> None:
    assert smaller_model(model) == target


def test_a_simple_request_moves() -> None:
    lever = simple_requests(log({}), blocks())
    assert lever is not None
    check_table(lever, EFFECT, "effect")
    assert lever.row(0, named=True) == {
        **dict.fromkeys(EFFECT), "unit": "chat | gpt-4o", "model": "gpt-4o-mini",
    }  # fmt: skip
    test = smaller_models(log({}), blocks())
    assert test is not None and test.requests == 1 and "gpt-4o → gpt-4o-mini" in test.test


@pytest.mark.parametrize(
    "row",
    [
        {"segments": [SYSTEM, segment("q", 31)]},
        {"segments": [SYSTEM, segment("q", 20), segment("i", 9, kind="image")]},
        {"segments": [SYSTEM, segment("q", 20), segment("a", 5, "assistant"), segment("p", 9)]},
        {"segments": []},
        {"segments": None},
        {"turn_index": 1},
        {"output_tokens": 101},
        {"output_tokens": None},
        {"reasoning_tokens": 5},
        {"answer_kind": "tool_use"},
        {"status": "error"},
        {"served_by": "gateway_cache"},
        {"kind": "embedding"},
        {"model": "gpt-4o-mini"},
        {"model": None},
    ],
)
def test_anything_else_stays(row: dict[str, Any]) -> None:
    assert simple_requests(log(row), blocks()) is None
    both = simple_requests(log(row, {}), blocks())
    assert both is not None
    assert both["unit"].to_list() == [None, "chat | gpt-4o"]


def test_an_empty_log_has_nothing_to_route() -> None:
    assert simple_requests(log(), blocks()) is None


@pytest.mark.parametrize(
    ("question", "simple"),
    [
        ("Where is my parcel?", True),
        ("Compare the two plans step by step.", False),
        ("Analiza mi factura", False),
        ("¿Por qué se retrasa?", False),
        ("```python\nprint()```", False),
        (None, True),  # redacted: the other signs decide
    ],
)
def test_a_question_that_asks_for_thought_stays(question: str | None, simple: bool) -> None:
    assert (simple_requests(log({}), blocks(q=question)) is not None) is simple
