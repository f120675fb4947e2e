"""Logs that can't show whether a cached answer is right: the audit says so and recommends nothing.

Every log has reworded questions whose answers partly contradict each other, so a recommendation
would be a guess.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import costaudit
from costaudit.contracts.audit import Audit
from tests.ingest.conftest import chat, write_lines

DEEDS = ("return", "cancel", "change", "track", "pay for", "insure")
THINGS = ("parcel", "order", "invoice", "gift card", "plan", "booking")
WAYS = ("How do I {deed} my {thing}?", "How can I {deed} my {thing} please?")
Record = dict[str, Any]
Change = Callable[[int, Record], object]


def records(
    change: Change | None = None, answer: str = "Open {thing}s and choose {deed}."
) -> list[Record]:
    """Return records that ask about each deed and thing in two ways, each modified by `change`."""
    asked = [(way, deed, thing) for way in WAYS for deed in DEEDS for thing in THINGS]
    made = [
        chat(
            number,
            way.format(deed=deed, thing=thing),
            answer=f"{answer.format(deed=deed, thing=thing)} Take {number} steps.",
        )
        for number, (way, deed, thing) in enumerate(asked)
    ]
    for number, record in enumerate(made):
        if change is not None:
            change(number, record)
    return made


def audit(folder: Path, log: Sequence[Record]) -> Audit:
    path = write_lines(folder / "log.jsonl", log)
    return costaudit.analyze(path, thresholds="0.7,0.8,0.9").audit


def test_a_log_without_repeats_recommends_no_similar_hits(tmp_path: Path) -> None:
    found = audit(tmp_path, records())
    assert found.semantic is not None
    assert found.semantic.recommended is None
    assert found.semantic.recommended_kind == "exact"  # no hits, so no wrong ones
    for point in found.semantic.points:
        if point.hits:
            assert point.unsafe_served_share is not None
            assert point.unsafe_served_share.grade == "assumed"
            assert point.unsafe_served_share.high == pytest.approx(point.raw_hit_share_all.value)


def test_a_log_of_one_user_claims_nothing_about_users(tmp_path: Path) -> None:
    def own(_: int, record: Record) -> None:
        record["request"]["user"] = "user-1"

    found = audit(tmp_path, records(own))
    assert found.semantic is not None
    assert found.semantic.user_data == ""
    assert found.semantic.recommended is None


def test_cut_answers_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    def cut(_: int, record: Record) -> None:
        record["response"]["choices"][0]["finish_reason"] = "length"

    found = audit(tmp_path, records(cut))
    assert found.semantic is None or found.semantic.recommended is None
    assert not any(step.lever in ("semantic", "duplicates") for step in found.ledger.steps)


def test_answers_without_text_say_that_no_hit_can_be_shown_right(tmp_path: Path) -> None:
    def empty(_: int, record: Record) -> None:
        del record["response"]["choices"]

    found = audit(tmp_path, records(empty))
    assert found.semantic is not None
    assert found.semantic.recommended_kind == "none"
    assert "no answers" in found.semantic.recommended_why
    assert "no-response-cache" in {one.code for one in found.findings}
    assert not any(step.lever in ("semantic", "duplicates") for step in found.ledger.steps)
    assert {point.unsafe_served_share for point in found.semantic.points} == {None}


def test_tool_calls_alone_leave_nothing_to_cache(tmp_path: Path) -> None:
    def call(number: int, record: Record) -> None:
        tool = {"name": "look_up", "arguments": f'{{"n": {number}}}'}
        record["response"]["choices"][0]["message"] = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": f"c{number}", "type": "function", "function": tool}],
        }
        record["response"]["choices"][0]["finish_reason"] = "tool_calls"

    found = audit(tmp_path, records(call))
    assert found.semantic is None
    assert not any(step.lever in ("semantic", "duplicates") for step in found.ledger.steps)
