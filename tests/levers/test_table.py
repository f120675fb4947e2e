"""Levers come in the ledger's order, and aligned with the requests."""

from costaudit.contracts.ledger import EFFECT
from costaudit.contracts.requests import check_table
from costaudit.levers.levers import propose
from tests.levers.logs import blocks, log


def test_every_lever_that_finds_something_is_listed_once() -> None:
    usual = [{"output_tokens": 100}] * 100
    requests = log(
        *usual,
        {"output_tokens": 900},
        {"endpoint": "nightly-report"},
        {"status": "error"},
    )
    found = propose(requests, blocks())
    assert [lever.lever for lever in found] == ["routing", "output", "batch", "waste"]
    for lever in found:
        check_table(lever.effect, EFFECT, lever.lever)
        assert len(lever.effect) == len(requests)
        assert lever.rule.endswith(".") and lever.change.endswith(".")


def test_a_lever_with_nothing_to_do_is_left_out() -> None:
    assert propose(log({"model": "gpt-4o-mini"}), blocks()) == ()
    assert propose(log(), blocks()) == ()
