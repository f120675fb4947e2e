"""A streamed answer is one call with its last counts, however the stream was logged."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.conftest import Ingest, write_lines


def chunk(**told: Any) -> dict[str, Any]:
    return {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "model": "gpt-4o",
        "choices": [],
        **told,
    }


def gemini(output: int) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "ab"}]}}],
        "modelVersion": "gemini-2.5-pro",
        "responseId": "r-77",
        "usageMetadata": {"promptTokenCount": 1_000, "candidatesTokenCount": output,
                          "cachedContentTokenCount": 400},
    }  # fmt: skip


OPENAI = [
    chunk(choices=[{"index": 0, "delta": {"content": "On"}}], usage=None),
    chunk(usage={"prompt_tokens": 1_000, "completion_tokens": 15,
                 "prompt_tokens_details": {"cached_tokens": 400}}),
]  # fmt: skip
ANTHROPIC = [
    {"type": "message_start", "message": {
        "id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "usage": {"input_tokens": 600, "cache_read_input_tokens": 400, "output_tokens": 1}}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 15}},
]  # fmt: skip
RESPONSES = [
    {"type": "response.created", "response": {"id": "r", "object": "response", "usage": None}},
    {"type": "response.completed", "response": {
        "id": "r", "object": "response", "model": "gpt-4o", "output": [], "usage": {
            "input_tokens": 1_000, "output_tokens": 15, "total_tokens": 1_015,
            "input_tokens_details": {"cached_tokens": 400}}}},
]  # fmt: skip
GEMINI = [gemini(5), gemini(10), gemini(15)]
STREAMS = {"openai": OPENAI, "anthropic": ANTHROPIC, "responses": RESPONSES, "gemini": GEMINI}


def as_events(events: list[Any]) -> str:
    text = "".join(f"event: x\ndata: {json.dumps(event)}\n\n" for event in events)
    return f"{text}data: [DONE]\n\n"


def pair(response: Any) -> dict[str, Any]:
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Where is it?"}]}
    return {"ts": "2026-11-02T18:00:00Z", "request": request, "response": response}


@pytest.mark.parametrize("vendor", STREAMS)
@pytest.mark.parametrize("form", ["events", "lines", "text of events", "text of a list"])
def test_a_stream_is_one_call(vendor: str, form: str, tmp_path: Path, ingested: Ingest) -> None:
    """600 uncached, 400 cached and 15 output tokens, for each way of logging a stream."""
    events = STREAMS[vendor]
    log = tmp_path / ("log.sse" if form == "events" else "log.jsonl")
    if form == "events":
        log.write_text(as_events(events))
    elif form == "lines":
        write_lines(log, events)
    else:
        write_lines(log, [pair(as_events(events) if "events" in form else json.dumps(events))])
    rows = ingested(log)[0].requests()
    counts = ("input_uncached_tokens", "cache_read_tokens", "output_tokens")
    assert [rows[name].to_list() for name in counts] == [[600], [400], [15]]


def test_a_text_that_is_no_stream_is_an_answer(tmp_path: Path, ingested: Ingest) -> None:
    rows = ingested(
        write_lines(tmp_path / "log.jsonl", [pair("[1] See the data: it is on its way.")])
    )
    assert rows[0].requests()["usage_source"].to_list() == ["estimated"]


def test_interleaved_streams_of_cohere_and_gemini(tmp_path: Path, ingested: Ingest) -> None:
    cohere = [
        {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
        {"type": "content-delta", "delta": {"message": {"content": {"text": "hi"}}}},
        {"type": "message-end", "id": "c1", "delta": {"finish_reason": "COMPLETE", "usage": {
            "billed_units": {"input_tokens": 20, "output_tokens": 5}}}},
    ]  # fmt: skip
    other = {**gemini(7), "responseId": "r-78"}
    lines = [gemini(5), other, gemini(15), *cohere]
    rows = ingested(write_lines(tmp_path / "log.jsonl", lines))[0].requests()
    assert sorted(rows["output_tokens"].to_list()) == [5, 7, 15]
    assert rows["input_uncached_tokens"].sum() == 600 + 600 + 20


def test_partial_messages_of_claude_end_with_their_last_counts(
    tmp_path: Path, ingested: Ingest
) -> None:
    usage = {"input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 90}
    message = {"id": "m1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
               "content": [{"type": "text", "text": "x"}], "usage": usage}  # fmt: skip
    events = [
        {"type": "message_start", "message": {"id": "m1", "usage": usage}},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 300}},
    ]
    lines: list[Any] = [
        {"type": "stream_event", "session_id": "s", "event": events[0]},
        {"type": "assistant", "session_id": "s", "message": message},
        {"type": "stream_event", "session_id": "s", "event": events[1]},
    ]
    rows = ingested(write_lines(tmp_path / "log.jsonl", lines))[0].requests()
    assert rows["output_tokens"].to_list() == [300]
    assert rows["cache_read_tokens"].to_list() == [90]


def test_a_counter_that_begins_anew_loses_no_call(tmp_path: Path, ingested: Ingest) -> None:
    """Codex running totals: 8,000, 20,000, then after a restart 3,000 and 7,000."""
    totals = [(8_000, 0, 200), (20_000, 8_000, 500), (3_000, 1_000, 50), (7_000, 3_000, 90)]
    names = ("input_tokens", "cached_input_tokens", "output_tokens")
    lines: list[Any] = [
        {
            "type": "turn_context",
            "timestamp": "2026-11-02T10:00:00Z",
            "payload": {"model": "gpt-4o"},
        }
    ]
    for minute, counts in enumerate(totals, 1):
        info = {"total_token_usage": dict(zip(names, counts, strict=True))}
        payload = {"type": "token_count", "info": info}
        moment = f"2026-11-02T10:0{minute}:00Z"
        lines.append({"type": "event_msg", "timestamp": moment, "payload": payload})
    rows = ingested(write_lines(tmp_path / "log.jsonl", lines))[0].requests()
    assert rows["input_uncached_tokens"].to_list() == [8_000, 4_000, 2_000, 2_000]
    assert rows["output_tokens"].sum() == 200 + 300 + 50 + 40
