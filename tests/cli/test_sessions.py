"""`costaudit sessions`: causes that add up, turns, and logs with little information."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Said
from tests.ingest.conftest import write_lines

Run = Callable[..., Said]
SAMPLES = Path(__file__).parents[2] / "sample_logs"
OF_AGENTS = ("claude_code.jsonl", "codex.jsonl", "gemini_cli.json", "opencode.jsonl", "cursor.csv",
             "otel.jsonl", "claude_events.jsonl", "cline.json", "kv_trace.jsonl",
             "langfuse.jsonl")  # fmt: skip


def asked(run: Run, *arguments: str) -> Any:
    said = run(*arguments, "--format", "json", "--quiet")
    assert said.code == 0, said.err
    return json.loads(said.out)


def causes(row: Any) -> dict[str, Decimal]:
    return {one["cause"]: Decimal(one["usd"]) for one in row["causes"]}


@pytest.mark.parametrize("name", [f"formats/{one}" for one in OF_AGENTS])
def test_causes_of_a_session_add_up_to_its_spend(costaudit: Run, name: str) -> None:
    found = asked(costaudit, "sessions", str(SAMPLES / name), "--out", "run")
    for row in found["sessions"]:
        assert sum(causes(row).values()) == Decimal(row["usd"])
    assert sum(causes(found).values()) == Decimal(found["total_usd"])
    assert sum(Decimal(row["usd"]) for row in found["sessions"]) == Decimal(found["total_usd"])
    spent = asked(costaudit, "spend", "run", "--by", "session")
    named = {row["group"]: Decimal(row["cost"]["total_usd"]) for row in spent["by"]["session"]}
    if not any("belong to no session" in note for note in found["notes"]):
        assert Decimal(found["total_usd"]) == Decimal(spent["total"]["total_usd"])
    for row in found["sessions"]:
        if row["session"] in named:
            assert Decimal(row["usd"]) == named[row["session"]]


@pytest.mark.slow
def test_the_output_is_the_same_each_time(costaudit: Run) -> None:
    """Thousands of calls with tools, whose dollars parallel sums would add in any order."""
    log = str(SAMPLES / "support_chatbot.jsonl.zst")
    first = asked(costaudit, "sessions", log, "--out", "run")
    assert any(row["break_even"] for row in first["tools"])
    for _ in range(4):
        assert asked(costaudit, "sessions", "run") == first


def test_conversations_are_sessions_too(costaudit: Run) -> None:
    log = str(SAMPLES / "agent_anthropic.jsonl.gz")
    found = asked(costaudit, "sessions", log, "--out", "run")
    assert found["count"] > 1
    for row in found["sessions"]:
        assert sum(causes(row).values()) == Decimal(row["usd"])
    assert sum(causes(found).values()) == Decimal(found["total_usd"])
    name = found["sessions"][0]["session"]
    one = asked(costaudit, "sessions", "run", "--session", name)
    calls = [call for turn in one["turns"] for call in turn["calls"]]
    assert len(calls) == found["sessions"][0]["calls"]
    total = sum(Decimal(call["usd"]) for call in calls)
    assert abs(total - Decimal(one["sessions"][0]["usd"])) < Decimal("0.001")


def line(n: int, at: float, read: int, written: int, **changes: Any) -> dict[str, Any]:
    """Return a line of a Claude Code session file with counters only."""
    stamp = f"2026-11-02T{10 + int(at) // 3600:02}:{int(at) % 3600 // 60:02}:{int(at) % 60:02}.000Z"
    usage = {
        "input_tokens": 4, "output_tokens": 10, "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
    }  # fmt: skip
    message = {"id": f"msg_{n}", "type": "message", "role": "assistant", "content": [],
               "model": changes.pop("model", "claude-opus-4-8"), "usage": usage}  # fmt: skip
    return {"parentUuid": None, "isSidechain": False, "sessionId": "s1", "version": "2.1.0",
            "type": "assistant", "uuid": f"u{n}", "requestId": f"req_{n}", "timestamp": stamp,
            "message": message} | changes  # fmt: skip


CASES: dict[str, tuple[list[tuple[int, int, int]], dict[str, Any]]] = {
    "idle": ([(0, 0, 20_000), (30, 20_000, 500), (1200, 0, 21_000)], {}),
    "compaction": ([(0, 0, 90_000), (30, 90_000, 500), (60, 0, 20_000)], {}),
    "model": ([(0, 0, 20_000), (30, 20_000, 500), (60, 20_500, 100), (90, 0, 21_000)],
              {"model": "claude-sonnet-4-5"}),
    "version": ([(0, 0, 20_000), (30, 20_000, 500), (60, 0, 21_000)], {"version": "2.2.0"}),
    "provider": ([(0, 0, 20_000), (30, 20_000, 500), (60, 0, 21_000)], {}),
}  # fmt: skip


@pytest.mark.parametrize("cause", CASES)
def test_counters_alone_tell_why_the_last_call_paid_again(
    costaudit: Run, tmp_path: Path, cause: str
) -> None:
    """The last call reads nothing: 4 + 21,000 tokens; those sent before are misses."""
    calls, changes = CASES[cause]
    made = [line(n, *each) for n, each in enumerate(calls)]
    made[-1] = line(len(calls) - 1, *calls[-1], **changes)
    write_lines(tmp_path / "log.jsonl", made)
    found = asked(costaudit, "sessions", "log.jsonl")
    misses = {one["cause"]: one["tokens"] for one in found["causes"] if one["cause"] == cause}
    sent, before = calls[-1][2] + 4, calls[-2][1] + calls[-2][2] + 4
    assert misses == {cause: min(sent, before)}


def test_a_session_that_starts_in_the_middle_and_clocks_that_differ(
    costaudit: Run, tmp_path: Path
) -> None:
    """The first call reads what no logged call wrote; a subagent's clock is an hour ahead."""
    made = [line(n, 60 * n, 50_000 + 500 * n, 500) for n in range(5)]
    made += [
        line(10 + n, 3700 + 60 * n, 8_700 + 300 * n if n else 0, 300 if n else 9_000, agentId="a1",
             isSidechain=True)
        for n in range(3)
    ]  # fmt: skip
    write_lines(tmp_path / "log.jsonl", made)
    found = asked(costaudit, "sessions", "log.jsonl")
    (row,) = found["sessions"]
    assert (row["calls"], row["agents"]) == (8, 1)
    assert not set(causes(row)) & {"idle", "compaction", "provider", "model"}
    assert sum(causes(row).values()) == Decimal(row["usd"])


def test_two_tools_of_one_name_and_a_tool_that_is_never_called(
    costaudit: Run, tmp_path: Path
) -> None:
    tool = {"name": "search", "description": "Find. " * 60, "input_schema": {"type": "object"}}
    other = {**tool, "description": "Find elsewhere. " * 60}
    idle = {**tool, "name": "idle"}
    made = []
    for n in range(3):
        body = {"model": "claude-sonnet-4-5", "tools": [tool, other, idle],
                "messages": [{"role": "user", "content": f"q{n}"}], "max_tokens": 9}  # fmt: skip
        answer = {"id": f"m{n}", "type": "message", "role": "assistant", "stop_reason": "tool_use",
                  "model": "claude-sonnet-4-5",
                  "content": [{"type": "tool_use", "id": f"t{n}", "name": "search", "input": {}}],
                  "usage": {"input_tokens": 600, "output_tokens": 9}}  # fmt: skip
        made.append({"timestamp": f"2026-11-02T10:00:0{n}Z", "session_id": "s", "request": body,
                     "response": answer, "metadata": {"session_id": "s"}})  # fmt: skip
    write_lines(tmp_path / "log.jsonl", made)
    said = costaudit("sessions", "log.jsonl", "--format", "json", "--quiet")
    if said.code:
        pytest.fail(said.err)
    tools = {row["tool"]: row for row in json.loads(said.out)["tools"]}
    assert set(tools) == {"search", "idle"}
    assert (tools["search"]["uses"], tools["idle"]["uses"]) == (3, 0)
    assert Decimal(tools["idle"]["unused_usd"]) == Decimal(tools["idle"]["usd"]) > 0
    assert Decimal(tools["search"]["unused_usd"]) == 0
    # Looking it up reads 600 tokens once more, answers 60, and writes the definition.
    once = 600 * 0.3e-6 + 60 * 15e-6 + tools["idle"]["tokens"] * 3e-6  # of Sonnet's prices
    usd = float(tools["idle"]["usd"])
    assert tools["idle"]["break_even"] == pytest.approx(usd / once, rel=0.01)


def test_a_log_without_sessions_and_a_session_that_is_not_there(
    costaudit: Run, tmp_path: Path
) -> None:
    log = str(SAMPLES / "formats" / "burstgpt.csv")
    said = costaudit("sessions", str(SAMPLES / "formats" / "azure_trace.csv"), "--quiet")
    assert said.code == 4 and "names a session" in said.err
    assert log
    log = str(SAMPLES / "formats" / "claude_code.jsonl")
    said = costaudit("sessions", log, "--session", "nobody", "--quiet")
    assert said.code == 2 and "called 'nobody'" in said.err
