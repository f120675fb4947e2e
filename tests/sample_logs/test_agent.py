"""The agent's log follows Anthropic's rules for tools, markers and usage."""

from collections import defaultdict
from datetime import datetime
from typing import Any

import pytest

MINIMUM_TOKENS = {"claude-sonnet-4-5": 1_024, "claude-haiku-4-5": 4_096}
USD_PER_MTOK = {"claude-sonnet-4-5": (3.0, 15.0), "claude-haiku-4-5": (1.0, 5.0)}


def markers(request: dict[str, Any]) -> list[str]:
    blocks = [*request["system"], *(b for m in request["messages"] for b in m["content"])]
    return [block["cache_control"].get("ttl", "5m") for block in blocks if "cache_control" in block]


def answered(agent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in agent if record["status"] == 200]


def test_size(agent: list[dict[str, Any]]) -> None:
    assert 350 <= len(agent) <= 450
    assert 25 <= len({record["session_id"] for record in agent}) <= 35
    assert {record["request"]["model"] for record in agent} == set(MINIMUM_TOKENS)


def test_usage_adds_up(agent: list[dict[str, Any]]) -> None:
    for record in answered(agent):
        usage = record["response"]["usage"]
        split = usage["cache_creation"]
        assert usage["cache_creation_input_tokens"] == sum(split.values())
        assert min(usage["input_tokens"], usage["cache_read_input_tokens"]) >= 0
        assert usage["output_tokens"] > 0


def test_sessions_without_markers_cache_nothing(agent: list[dict[str, Any]]) -> None:
    plain = [record for record in answered(agent) if not markers(record["request"])]
    assert plain
    for record in plain:
        usage = record["response"]["usage"]
        assert usage["cache_read_input_tokens"] == usage["cache_creation_input_tokens"] == 0


def test_one_hour_markers_stand_before_five_minute_ones(agent: list[dict[str, Any]]) -> None:
    assert {tuple(markers(record["request"])) for record in agent} == {(), ("1h", "5m")}


def test_short_prefixes_are_not_cached(agent: list[dict[str, Any]]) -> None:
    for record in answered(agent):
        usage = record["response"]["usage"]
        prefix = usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
        if prefix:
            assert prefix >= MINIMUM_TOKENS[record["request"]["model"]]


def test_a_call_reads_what_the_last_one_wrote(agent: list[dict[str, Any]]) -> None:
    """Within 5 minutes of a call that cached a prefix, the session's next call reads all of it."""
    last: dict[str, tuple[datetime, int]] = {}
    warm = cold = 0
    for record in answered(agent):
        usage = record["response"]["usage"]
        time = datetime.fromisoformat(record["ts"])
        read = usage["cache_read_input_tokens"]
        if record["session_id"] in last and markers(record["request"]):
            before, prefix = last[record["session_id"]]
            gap_s = (time - before).total_seconds()
            if prefix and gap_s < 300:
                assert read == prefix
                warm += 1
            elif prefix and gap_s > 300:
                assert read < prefix
                cold += 1
        last[record["session_id"]] = (time, read + usage["cache_creation_input_tokens"])
    assert warm > 200
    assert cold >= 10


def test_history_grows_and_tools_answer(agent: list[dict[str, Any]]) -> None:
    sessions = defaultdict(list)
    for record in answered(agent):
        sessions[record["session_id"]].append(record)
    for records in sessions.values():
        lengths = [len(record["request"]["messages"]) for record in records]
        assert lengths == sorted(lengths)
        for record in records:
            messages = record["request"]["messages"]
            for asked, given in zip(messages[1::2], messages[2::2], strict=False):
                uses = [b["id"] for b in asked["content"] if b["type"] == "tool_use"]
                results = [b["tool_use_id"] for b in given["content"] if b["type"] == "tool_result"]
                assert uses == results


def test_costs_are_tokens_times_list_prices(agent: list[dict[str, Any]]) -> None:
    """Reads cost 0.1, 5-minute writes 1.25 and 1-hour writes 2 times the input price."""
    for record in answered(agent):
        usage, split = record["response"]["usage"], record["response"]["usage"]["cache_creation"]
        price, output_price = USD_PER_MTOK[record["request"]["model"]]
        usd = (
            usage["input_tokens"] * price
            + usage["cache_read_input_tokens"] * price / 10
            + split["ephemeral_5m_input_tokens"] * price * 5 / 4
            + split["ephemeral_1h_input_tokens"] * price * 2
            + usage["output_tokens"] * output_price
        ) / 1_000_000
        assert usd == pytest.approx(record["cost_usd"], abs=1e-9)
