"""Only work that nobody waits for becomes a batch: bursts, or endpoints that the user names."""

from typing import Any

import pytest

from costaudit.levers.batch import batch, batch_by_name, with_flex
from tests.levers.logs import log

REPORT = {"endpoint": "nightly-report"}


def nights(
    endpoint: str = "import", count: int = 3, at_hour: int = 0, **row: Any
) -> list[dict[str, Any]]:
    """Return 100 calls within five minutes for each of `count` nights."""
    return [
        {
            "endpoint": endpoint,
            "at": night * 86_400 + at_hour * 3_600 + 3.0 * i,
            "turn_index": 0,
            **row,
        }
        for night in range(count)
        for i in range(100)
    ]


def test_bursts_with_pauses_become_a_cold_batch() -> None:
    lever = batch(log(*nights(), {"endpoint": "chat"}))
    assert lever is not None and lever.grade == "estimated"
    assert lever.effect["is_batch"].to_list() == [True] * 300 + [None]
    assert lever.effect["cold"].to_list() == [True] * 300 + [None]
    assert lever.effect["unit"].unique().sort().to_list() == [None, "import | gpt-4o"]


def test_few_calls_or_calls_around_the_clock_are_no_bursts() -> None:
    assert batch(log(*nights(count=1))) is None  # 100 calls: too few
    steady = [{"endpoint": "import", "at": 60.0 * i} for i in range(400)]
    assert batch(log(*steady)) is None
    dense = [{"endpoint": "import", "at": 3.0 * i} for i in range(4_000)]  # no pauses
    assert batch(log(*dense)) is None


@pytest.mark.parametrize("row", [{"stream": True}, {"turn_index": 2}, {"answer_kind": "tool_use"}])
def test_one_sign_that_somebody_waits_keeps_the_endpoint(row: dict[str, Any]) -> None:
    assert batch(log(*nights(), {"endpoint": "import", "at": 1.0, **row})) is None
    assert batch_by_name(log(REPORT, {**REPORT, **row}), None) is None


def test_conversations_that_go_on_are_waited_for() -> None:
    talk = nights(conversation="c1")
    assert batch(log(*talk)) is None


@pytest.mark.parametrize(
    "row", [{"is_batch": True}, {"status": "error"}, {"served_by": "gateway_cache"}]
)
def test_what_can_not_be_moved_stays(row: dict[str, Any]) -> None:
    assert batch(log(*nights(**row))) is None


def test_a_name_alone_is_worth_a_question_and_no_money() -> None:
    test = batch_by_name(log(REPORT, {}), None)
    assert test is not None and test.requests == 1 and "nightly-report" in test.why
    assert batch(log(REPORT, {})) is None


def test_what_the_timing_tells_is_not_asked_again() -> None:
    requests = log(*nights("nightly-report"))
    assert batch_by_name(requests, batch(requests)) is None


def test_the_reader_can_name_an_endpoint() -> None:
    assert batch(log({"stream": True})) is None
    lever = batch(log({"stream": True}), ["chat"])
    assert lever is not None and lever.effect["is_batch"].to_list() == [True]
    assert lever.grade == "assumed"


def test_without_endpoints_nothing_is_offline() -> None:
    assert batch(log({"endpoint": None})) is None
    assert batch(log()) is None


def test_where_flex_is_cheaper_the_cache_is_kept() -> None:
    lever = batch(log(*nights("import"), *nights("export", at_hour=5)))
    assert lever is not None
    mixed = with_flex(lever, ["import | gpt-4o"])
    both = mixed.effect.select("service_tier", "is_batch", "cold").rows()
    assert both == [("flex", None, None)] * 300 + [(None, True, True)] * 300
    assert with_flex(lever, []) == lever
    assert 'Send import with service_tier "flex".' in mixed.change and "export" in mixed.change


def test_the_busiest_day_is_divided_into_batches_of_the_providers_size() -> None:
    rows = nights("a", provider="anthropic") + nights("b", at_hour=5)
    lever = batch(log(*rows))
    assert lever is not None
    (table,) = lever.evidence
    assert table.rows == (
        ("a", "gpt-4o", "300", "100", "100,000", "1"),
        ("b", "gpt-4o", "300", "100", "not known here", ""),
    )
