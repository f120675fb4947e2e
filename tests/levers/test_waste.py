"""Calls that were paid for but useless, judged from the log alone."""

from typing import Any

import pytest

from costaudit.levers.waste import invalid_json, repeated_calls, waste
from tests.levers.logs import blocks, log, segment

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
        # A failure, its retry, and the same prompt once more.
        (
            [{"at": 0, "status": "error"}, {"at": 3, "attempt": 1}, {"at": 7}],
            [None, None, "double"],
        ),
        ([{"at": 0}, {"at": 60, "attempt": 1}, {"at": 63}], ["retried", None, "double"]),
        ([{"at": 0, "attempt": 1}, {"at": 3, "attempt": 2}], ["retried", None]),
        # One of two answers is kept, also if the first was cut off.
        ([{"at": 0, "finish_reason": "length"}, {"at": 3}], ["cut-off", None]),
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


def test_a_loop_of_failures_is_counted_once_for_each_billed_call() -> None:
    failing = {"status": "error"}
    tries = [{"at": 10.0 * i, "attempt": i, **failing} for i in range(5)]
    lever = waste(log(*tries, {"at": 50, "attempt": 5}))
    assert lever is not None
    assert lever.effect["unit"].to_list() == ["failed"] * 5 + [None]


ASKED = [segment("q", 9)]
JSON = {"response_format": '{"type":"json_object"}', "segments": ASKED}
BAD = {"at": 0, "answer_id": "prose", **JSON}
TEXTS = {"prose": "Here you are:", "good": '{"a": 1}', "fenced": '```json\n{"a": 1}\n```'}
AGAIN = {
    "at": 20,
    "answer_id": "good",
    **JSON,
    "segments": [*ASKED, segment("prose", 9, "assistant"), segment("no", 5)],
}


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        (BAD, AGAIN, True),
        (BAD, {**AGAIN, "segments": ASKED, "answer_id": "fenced"}, True),  # the same prompt
        (BAD, {**AGAIN, "at": 120}, True),
        (BAD, {**AGAIN, "at": 120.001}, False),
        (BAD, {**AGAIN, "answer_id": "prose"}, False),  # still no JSON
        (BAD, {**AGAIN, "answer_id": None}, False),
        (BAD, {**AGAIN, "user": "u2"}, False),
        (BAD, {**AGAIN, "segments": [segment("another", 9)]}, False),
        ({**BAD, "answer_id": "fenced"}, AGAIN, False),
        ({**BAD, "answer_id": "good"}, AGAIN, False),
        ({**BAD, "answer_id": None}, AGAIN, False),
        ({**BAD, "response_format": None}, AGAIN, False),
        ({**BAD, "response_format": '{"type":"text"}'}, AGAIN, False),
        ({**BAD, "finish_reason": "length"}, AGAIN, False),  # it may have become JSON
        ({**BAD, "status": "error"}, AGAIN, False),
    ],
)
def test_an_answer_that_is_no_json_and_is_asked_for_again_is_waste(
    first: dict[str, Any], second: dict[str, Any], counts: bool
) -> None:
    requests = log(first, second)
    found = invalid_json(requests, blocks(**TEXTS), waste(requests))
    assert (found is not None) == counts
    if found is not None:
        assert found.effect["removed"].to_list() == [True, None]
        assert found.effect["unit"].to_list() == ["chat | gpt-4o", None]


def test_what_is_waste_already_is_not_counted_again() -> None:
    for again in ({"at": 20, "attempt": 1}, {"at": 3}):  # retried, and sent twice
        requests = log(BAD, {**AGAIN, "segments": ASKED, **again})
        useless = waste(requests)
        assert useless is not None
        assert invalid_json(requests, blocks(**TEXTS), useless) is None
