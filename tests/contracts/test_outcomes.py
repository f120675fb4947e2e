"""Outcomes that violate a conservation law are rejected."""

from typing import Any

import polars as pl
import pytest

from costaudit.contracts.requests import OUTCOMES, TOKEN_CLASSES, check_outcomes
from costaudit.errors import CostauditError


def outcomes(**changes: list[Any]) -> pl.DataFrame:
    columns: dict[str, list[Any]] = {
        "policy_id": ["p", "p", "p"],
        "request_id": ["a", "b", "c"],
        "result": ["miss", "hit", "bypass"],
        "reason": [None, "similar", "status_error"],
        "matched_id": [None, "a", None],
        "similarity": [None, 0.91, None],
        "right": [None, True, None],
        **{name: [1, 0, 1] for name in TOKEN_CLASSES},
        "latency_ms": [1.0, 0.1, None],
    }
    return pl.DataFrame(columns | changes, schema=OUTCOMES)


def test_lawful_outcomes_pass() -> None:
    check_outcomes(outcomes(), 3)


@pytest.mark.parametrize(
    ("changes", "requests"),
    [
        ({}, 4),  # a request is missing
        ({"request_id": ["a", "b", "b"]}, 3),  # a duplicate
        ({"result": ["miss", "hit", "shrug"]}, 3),
        ({"right": [True, True, None]}, 3),  # a miss was judged
        ({"matched_id": [None, None, None]}, 3),  # a hit without a served answer
        ({"matched_id": ["c", "a", None]}, 3),  # a miss that served something
    ],
)
def test_unlawful_outcomes_are_refused(changes: dict[str, list[Any]], requests: int) -> None:
    with pytest.raises(CostauditError, match="conservation"):
        check_outcomes(outcomes(**changes), requests)
