"""Calls that were paid for but useless, judged from the log alone."""

from typing import Any

import pytest

from costaudit.levers.waste import repeated_calls, waste
from tests.levers.logs import log, segment

OTHER = {"segments": [segment("another", 9)]}


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        # Answered, but retried a minute later: the first call was useless.
        ([{"at": 0}, {"at": 60, "attempt": 1}], ["retried", None]),
        ([{"at": 0}, {"at": 120, "attempt": 1}], ["retried", None]),
        ([{"at": 0}, {"at": 120.001, "attempt": 1}], [None, None]),
        # Retrying a failed call is legitimate.
        ([{"at": 0, "status": "error"}, {"at": 9, "attempt": 1}], [None, None]),
        # The same user sends the same prompt twice within three seconds.
        ([{"at": 0}, {"at": 3}], [None, "double"]),
        ([{"at": 0}, {"at": 5}], [None, "double"]),
        ([{"at": 0}, {"at": 5.001}], [None, None]),
        ([{"at": 0}, {"at": 3, "user": "u2"}], [None, None]),
        ([{"at": 0, "user": None}, {"at": 3, "user": None}], [None, None]),
        ([{"at": 0}, {"at": 3, **OTHER}], [None, None]),
        ([{"at": 0, "status": "error"}, {"at": 3}], [None, None]),
        # Cut off and asked again within ten minutes.
        ([{"at": 0, "finish_reason": "length"}, {"at": 500}], ["cut-off", None]),
        ([{"at": 0, "finish_reason": "length"}, {"at": 600}], ["cut-off", None]),
        ([{"at": 0, "finish_reason": "length"}, {"at": 600.001}], [None, None]),
        # The order of the log does not matter.
        ([{"at": 60, "attempt": 1}, {"at": 0}], [None, "retried"]),
        # A gateway's cache hit in between costs nothing and hides nothing.
        ([{"at": 0}, {"at": 1, "served_by": "gateway_cache"}, {"at": 3}], [None, None, "double"]),
        ([{"at": 0, "segments": []}, {"at": 1, "segments": []}], [None, None]),
        # One segment is enough for a prompt.
        ([{"at": 0, **OTHER}, {"at": 3, **OTHER}], [None, "double"]),
        # Ten microseconds past the limit is too late.
        ([{"at": 0}, {"at": 120.00001, "attempt": 1}], [None, None]),
        ([{"at": 0}, {"at": 5.000001}], [None, None]),
        # A call without an attempt number is the first; the retry itself is not a double.
        ([{"at": 0, "attempt": None}, {"at": 3, "attempt": 1}], ["retried", None]),
        ([{"at": 0}, {"at": 3, "status": "error"}], [None, None]),
    ],
)
def test_a_call_is_useless_if_the_next_one_replaces_it(
    rows: list[dict[str, Any]], kinds: list[str | None]
) -> None:
    assert repeated_calls(log(*rows)).to_list() == kinds


def test_useless_calls_are_taken_out_by_kind() -> None:
    failed = {"at": 900, "status": "error", **OTHER}
    lever = waste(log({"at": 0}, {"at": 60, "attempt": 1}, failed))
    assert lever is not None
    assert lever.effect["unit"].to_list() == ["retried", None, "failed"]
    assert lever.effect["removed"].to_list() == [True, None, True]
    assert lever.rule == (
        "Calls by kind: 1 billed although they failed, "
        "1 retried within 120 s although they were answered."
    )
    assert (lever.lever, lever.section) == ("waste", "levers") and lever.grade == "estimated"


def test_a_failure_without_tokens_was_not_billed() -> None:
    free = {"status": "error", "input_uncached_tokens": None, "output_tokens": 0}
    assert waste(log(free)) is None
    assert waste(log()) is None
    assert waste(log({**free, "output_tokens": 1})) is not None


def test_a_call_of_which_nothing_is_known_is_no_waste() -> None:
    assert waste(log({"status": None, "served_by": None})) is None
