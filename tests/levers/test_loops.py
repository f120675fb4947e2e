"""Failures of a tool count as equal results; runs that end without an answer are worth a test."""

from typing import Any

import polars as pl
import pytest

from costaudit.levers.effects import placed_segments
from costaudit.levers.loops import LEAST_UNFINISHED, QUIET_S, loops, unfinished
from tests.levers.logs import SYSTEM, blocks, log, segment


def results(*names: str) -> pl.DataFrame:
    """Return an agent that gets these results for one tool call, again and again."""
    rows: list[dict[str, Any]] = []
    history = [SYSTEM, segment("q", 20)]
    for name in names:
        turn = {"answer_kind": "tool_use", "answer_id": "call", "conversation": "c"}
        rows.append({"segments": list(history), **turn})
        history += [
            segment("call", 10, "assistant", "tool_use"),
            segment(name, 30, "tool", "tool_result"),
        ]
    return log(*rows, {"segments": history, "conversation": "c"})


def removed(requests: pl.DataFrame, **texts: str) -> list[bool | None]:
    known = blocks(**texts).with_columns(kind=pl.lit("tool_result"))
    found = loops(requests, placed_segments(requests), known)
    return [] if found is None else found.effect["removed"].to_list()


@pytest.mark.parametrize(
    "text",
    [
        "Error: no such table, request 17",
        "Traceback (most recent call last): ...",
        '{"error": "rate limited", "id": 3}',
        '{"is_error": true}',
        '{"status": "failed", "at": 17}',
        "timed out after 30.2 s",
    ],
)
def test_failures_in_other_words_are_a_loop(text: str) -> None:
    # The calls after the second failure bring nothing new; the last request is the answer.
    told = removed(results("e1", "e2", "e3", "e4"), e1=text, e2=text, e3=text, e4=text)
    assert told == [None, None, True, True, None]


@pytest.mark.parametrize(
    "text", ["2 errors were mended", '{"error": null}', '{"error": ""}', "no failure", "Errors: 0"]
)
def test_results_that_only_speak_of_errors_are_none(text: str) -> None:
    assert removed(results("e1", "e2", "e3", "e4"), e1=text, e2=text, e3=text, e4=text) == []


def test_a_failure_and_a_result_are_not_equal() -> None:
    told = removed(results("e1", "ok", "e2", "ok"), e1="Error 1", e2="Error 2", ok="done")
    assert told == []
    assert removed(results("e1", "ok", "e2", "e3"), e1="Error 1", e2="Error 2", e3="Error 3",
                   ok="done") == [None, None, None, True, None]  # fmt: skip


def runs(many: int, gap: float = 2 * QUIET_S, **last: Any) -> pl.DataFrame:
    """Return conversations of a tool call and a last call, `gap` seconds before the log's end."""
    acting = {"answer_kind": "tool_use", "finish_reason": "tool_calls"}
    rows = [
        {"conversation": f"c{i}", "at": 10.0 * step, **(last if step else acting)}
        for i in range(many)
        for step in range(2)
    ]
    return log(*rows, {"at": 10.0 + gap})


@pytest.mark.parametrize(
    ("last", "counts"),
    [
        ({"answer_kind": "tool_use"}, True),
        ({"status": "error"}, True),
        ({"finish_reason": "length"}, True),
        ({}, False),
    ],
)
def test_a_run_without_an_answer_is_worth_a_test(last: dict[str, Any], counts: bool) -> None:
    found = unfinished(runs(LEAST_UNFINISHED, **last))
    assert (found is not None) == counts
    if found is not None:
        assert found.requests == 2 * LEAST_UNFINISHED
        assert found.why.startswith("20 of 20 conversations of chat that call tools ended")


def test_few_runs_and_runs_that_may_go_on_are_left_alone() -> None:
    assert unfinished(runs(LEAST_UNFINISHED - 1, status="error")) is None
    assert unfinished(runs(LEAST_UNFINISHED, QUIET_S, status="error")) is None
    assert unfinished(runs(LEAST_UNFINISHED, QUIET_S + 1, status="error")) is not None
    talk = [{"conversation": f"c{i}", "status": "error"} for i in range(50)]  # no tools
    assert unfinished(log(*talk, {"at": 1e6})) is None
    assert unfinished(log()) is None
