"""Every vendor's names for token classes are read, and an unreadable count is never 0."""

import json
from pathlib import Path
from typing import Any

import pytest

from costaudit.ingest.calls.fields import count_of
from costaudit.ingest.calls.usage import read_usage
from costaudit.ingest.calls.usage_names import NAMES
from tests.ingest.conftest import Ingest, chat, write_lines


def test_a_name_has_one_meaning() -> None:
    names = [name for group in NAMES.values() for name in group]
    assert len(names) == len(set(names))


VENDORS: dict[str, tuple[dict[str, Any], tuple[int, int, int]]] = {  # input, read, output
    "deepseek": (
        {"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 8,
         "prompt_cache_miss_tokens": 2},
        (10, 8, 2),
    ),
    "cohere": (
        {"billed_units": {"input_tokens": 20, "output_tokens": 5},
         "tokens": {"input_tokens": 820, "output_tokens": 9}},
        (20, 0, 5),
    ),
    "gemini": (
        {"promptTokenCount": 10, "toolUsePromptTokenCount": 3, "cachedContentTokenCount": 4,
         "candidatesTokenCount": 2, "totalTokenCount": 15},
        (13, 4, 2),
    ),
    "ai sdk 6": (
        {"inputTokens": {"noCache": 42, "cacheRead": 100, "cacheWrite": 0},
         "outputTokens": {"total": 9, "text": 9, "reasoning": 0}},
        (42, 100, 9),
    ),
    "langchain": (
        {"input_tokens": 50, "output_tokens": 5, "input_token_details": {"cache_read": 40}},
        (50, 40, 5),
    ),
    "converse": (
        {"inputTokens": 7, "outputTokens": 3, "cacheReadInputTokens": 90},
        (7, 90, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendor_is_read_by_its_names(vendor: str) -> None:
    values, expected = VENDORS[vendor]
    claim: Any = {"gemini": "gemini", "cohere": "exclusive"}.get(vendor, "openai")
    usage = read_usage(values, claim).usage
    assert usage is not None
    assert (usage.input, usage.cache_read, usage.output) == expected


def test_units_costs_and_unknown_numbers_are_said() -> None:
    found = read_usage(
        {
            "prompt_tokens": 10_000,
            "completion_tokens": 1_000,
            "cost": 0.00175,
            "is_byok": True,
            "cost_details": {"upstream_inference_cost": 0.035},
            "prompt_tokens_details": {"audio_tokens": 900, "cached_tokens": 0},
            "server_tool_use": {"web_search_requests": 6},
            "novel_cache_tokens": 12,
        },
        "openai",
    )
    units = {(unit.unit, unit.quantity) for unit in found.units}
    assert units == {
        ("audio_input_token", 900.0),
        ("web_search", 6.0),
        ("gateway_fee_usd", 0.00175),
    }
    assert found.cost == "0.03675"
    assert found.unread == [("novel_cache_tokens", 12.0)]


def test_samplings_of_another_model_are_units_of_that_model() -> None:
    found = read_usage(
        {
            "input_tokens": 1_000,
            "output_tokens": 300,
            "iterations": [
                {"type": "message", "model": "a", "input_tokens": 1_000, "output_tokens": 300},
                {"type": "advisor_message", "model": "b", "input_tokens": 20, "output_tokens": 2},
            ],
        },
        "anthropic",
    )
    assert found.usage is not None and found.usage.input == 1_000
    assert [(unit.unit, unit.quantity, unit.model) for unit in found.units] == [
        ("other_model_input_token", 20.0, "b"),
        ("other_model_output_token", 2.0, "b"),
    ]


@pytest.mark.parametrize(
    ("value", "count"),
    [("2,000", 2_000), ("2 000", 2_000), ("2000", 2_000), (2_000.0, 2_000), (2_000.5, None),
     ([2_000], None), (None, None), (True, None), (-5, None), ("abc", None), (1e308, None),
     (float("nan"), None), (10**40, None), ("2.000.5", None)],
)  # fmt: skip
def test_a_count_is_read_or_missing(value: object, count: int | None) -> None:
    assert count_of(value) == count


@pytest.mark.parametrize("side", ["prompt_tokens", "completion_tokens"])
def test_a_missing_count_follows_from_the_total(
    side: str, tmp_path: Path, ingested: Ingest
) -> None:
    record = chat(1, tokens=(1_000, 0, 20))
    record["response"]["usage"][side] = None
    rows = ingested(write_lines(tmp_path / "log.jsonl", [record]))[0].requests()
    assert rows["input_uncached_tokens"].to_list() == [1_000]
    assert rows["output_tokens"].to_list() == [20]


@pytest.mark.parametrize("bad", [None, [500], 500.5, "abc", {"x": 1}, True, -5])
def test_without_a_total_it_is_estimated_or_missing(
    bad: object, tmp_path: Path, ingested: Ingest
) -> None:
    counted, unknown = chat(1), chat(2)
    for record in (counted, unknown):
        record["response"]["usage"] = {"prompt_tokens": bad, "completion_tokens": 20}
    unknown["request"]["messages"] = []
    rows = ingested(write_lines(tmp_path / "log.jsonl", [counted, unknown]))[0].requests()
    assert rows["usage_source"].to_list() == ["estimated", "missing"]
    assert rows["input_uncached_tokens"][0] > 5
    assert rows["input_uncached_tokens"][1] is None
    assert rows["output_tokens"].to_list() == [20, 20]


def test_a_placeholder_is_no_count(tmp_path: Path, ingested: Ingest) -> None:
    record = chat(1, answer="The queue is read again after a pause. " * 40, tokens=(100, 0, 1))
    rows = ingested(write_lines(tmp_path / "log.jsonl", [record]))[0].requests()
    assert rows["output_tokens"][0] > 200
    assert rows["usage_source"].to_list() == ["estimated"]
    assert "placeholder" in rows["usage_convention"][0]


def test_a_lifetime_comes_from_the_markers_of_the_request(tmp_path: Path, ingested: Ingest) -> None:
    def written(number: int, ttl: str | None) -> dict[str, Any]:
        control = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
        return {
            "ts": f"2026-11-02T17:0{number}:00Z",
            "request": {
                "model": "claude-sonnet-4-5",
                "max_tokens": 9,
                "system": [{"type": "text", "text": "Help.", "cache_control": control}],
                "messages": [{"role": "user", "content": f"Question {number}"}],
            },
            "response": {
                "id": f"msg_{number}",
                "type": "message",
                "role": "assistant",
                "model": "claude-sonnet-4-5",
                "content": [{"type": "text", "text": "Yes."}],
                "usage": {
                    "input_tokens": 3,
                    "output_tokens": 1,
                    "cache_creation_input_tokens": 5_000,
                },
            },
        }

    log = write_lines(tmp_path / "log.jsonl", [written(1, "1h"), written(2, None)])
    rows = ingested(log)[0].requests()
    assert rows["cache_write_1h_tokens"].to_list() == [5_000, 0]
    assert rows["cache_write_5m_tokens"].to_list() == [0, 5_000]


def test_unread_numbers_come_to_the_manifest(tmp_path: Path, ingested: Ingest) -> None:
    records = [chat(1), chat(2)]
    for record in records:
        record["response"]["usage"]["novel_cache_tokens"] = 7
    run, _ = ingested(write_lines(tmp_path / "log.jsonl", records))
    told = json.loads(run.manifest_path.read_text())["ingest"]["unread_usage"]
    assert told == {"novel_cache_tokens": [2, 14.0]}


def test_zeros_beside_texts_are_no_counts(tmp_path: Path, ingested: Ingest) -> None:
    told, silent = chat(1, tokens=(0, 0, 0)), chat(2, tokens=(0, 0, 0))
    silent["request"]["messages"] = []
    rows = ingested(write_lines(tmp_path / "log.jsonl", [told, silent]))[0].requests()
    assert rows["usage_source"].to_list() == ["estimated", "provider"]
    assert rows["input_uncached_tokens"][0] > 5 and rows["output_tokens"][0] > 3
    assert "placeholders" in rows["usage_convention"][0]


AIDER = {"event": "message_send", "time": 1793660100, "properties": {
    "main_model": "gpt-4o", "edit_format": "diff", "prompt_tokens": 9, "completion_tokens": 1,
    "novel_cache_tokens": 7}}  # fmt: skip
CODEX = {"type": "event_msg", "timestamp": "2026-11-02T10:01:00Z", "payload": {
    "type": "token_count", "info": {"last_token_usage": {
        "input_tokens": 9, "output_tokens": 1, "novel_cache_tokens": 7}}}}  # fmt: skip
POSTHOG = {"event": "$ai_generation", "timestamp": "2026-11-02T13:00:00Z", "properties": {
    "$ai_model": "gpt-4o", "$ai_input_tokens": 9, "$ai_output_tokens": 1,
    "$ai_novel_cache_tokens": 7}}  # fmt: skip
HELICONE = {"request_created_at": "2026-11-02T13:00:00Z", "response_status": 200, "delay_ms": 9,
            "request_model": "gpt-4o", "prompt_tokens": 9, "completion_tokens": 1,
            "novel_cache_tokens": 7}  # fmt: skip


@pytest.mark.parametrize("record", [AIDER, CODEX, POSTHOG, HELICONE], ids=lambda r: next(iter(r)))
def test_platforms_say_what_they_do_not_read(
    record: dict[str, Any], tmp_path: Path, ingested: Ingest
) -> None:
    _, summary = ingested(write_lines(tmp_path / "log.jsonl", [record]))
    assert summary.unread_usage == {"novel_cache_tokens": (1, 7.0)}
