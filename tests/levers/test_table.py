"""Levers are in the ledger's order and aligned with the requests; tests have no amounts."""

import polars as pl

from costaudit.contracts.ledger import EFFECT
from costaudit.contracts.requests import check_table
from costaudit.levers.levers import propose
from tests.levers.logs import blocks, log


def words(text: str) -> int:
    return len(text.split())


def test_what_has_evidence_is_apart_from_what_is_worth_a_test() -> None:
    usual = [{"output_tokens": 100}] * 100
    requests = log(
        *usual,
        {"output_tokens": 900},
        {"endpoint": "nightly-report"},
        {"status": "error"},
    )
    found = propose(requests, blocks(), words)
    assert [lever.lever for lever in found.levers] == ["waste"]
    assert [test.lever for test in found.worth_testing] == ["routing", "output", "batch"]
    for lever in found.levers:
        check_table(lever.effect, EFFECT, lever.lever)
        assert len(lever.effect) == len(requests)
        assert lever.rule.endswith(".") and lever.change.endswith(".") and lever.risk.endswith(".")
    for test in found.worth_testing:
        assert "$" not in test.why + test.test and test.requests > 0
        assert test.why.endswith(".") and test.test.endswith(".")


def test_a_lever_with_nothing_to_do_is_left_out() -> None:
    for requests in (log({"model": "gpt-4o-mini"}), log(), log({"status": "error"}).clear()):
        found = propose(requests, blocks(), words)
        assert (found.levers, found.worth_testing) == ((), ())
        assert isinstance(requests, pl.DataFrame)
