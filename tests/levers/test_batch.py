"""Only work that nobody waits for is sent as a batch."""

from typing import Any

import pytest

from costaudit.levers.batch import batch
from tests.levers.logs import log

REPORT = {"endpoint": "nightly-report"}


def test_an_offline_endpoint_becomes_a_cold_batch() -> None:
    lever = batch(log(REPORT, {}))
    assert lever is not None
    assert lever.effect["is_batch"].to_list() == [True, None]
    assert lever.effect["cold"].to_list() == [True, None]
    assert lever.effect["unit"].to_list() == ["nightly-report | gpt-4o", None]


@pytest.mark.parametrize("row", [{"stream": True}, {"turn_index": 2}, {"answer_kind": "tool_use"}])
def test_one_sign_that_somebody_waits_keeps_the_endpoint(row: dict[str, Any]) -> None:
    assert batch(log(REPORT, {**REPORT, **row})) is None


@pytest.mark.parametrize(
    "row", [{"is_batch": True}, {"status": "error"}, {"served_by": "gateway_cache"}]
)
def test_what_can_not_be_moved_stays(row: dict[str, Any]) -> None:
    assert batch(log({**REPORT, **row})) is None


def test_the_reader_can_name_an_endpoint() -> None:
    assert batch(log({"stream": True})) is None
    lever = batch(log({"stream": True}), ["chat"])
    assert lever is not None and lever.effect["is_batch"].to_list() == [True]


def test_without_endpoints_nothing_is_offline() -> None:
    assert batch(log({"endpoint": None})) is None
    assert batch(log()) is None
