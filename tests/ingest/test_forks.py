"""Calls that a fork repeats count once; sessions that merely look alike count separately."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.conftest import Ingest, write_lines

START = datetime(2026, 11, 2, 9, tzinfo=UTC)
Turn = tuple[int, int, int]  # input, cached part of the input, output
PARENT: list[Turn] = [(10_411, 0, 397), (12_093, 9_984, 311), (14_310, 11_904, 502)]
OWN: list[Turn] = [(15_127, 13_952, 251)]


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def codex(
    session: str, turns: Iterable[tuple[Turn, float]], *, forked: str = "", tag: str = ""
) -> list[dict[str, Any]]:
    """Return a Codex session file; each turn has its time in seconds after START."""
    meta: dict[str, Any] = {"id": session, "cwd": "/srv", "model_provider": "openai"}
    if forked:
        meta["forked_from_id"] = forked
    lines: list[dict[str, Any]] = [
        {"timestamp": at(0), "type": "session_meta", "payload": meta},
        {"timestamp": at(0), "type": "turn_context", "payload": {"model": "gpt-5.6-sol"}},
    ]
    total = dict.fromkeys(("input_tokens", "cached_input_tokens", "output_tokens"), 0)
    for number, ((sent, cached, received), seconds) in enumerate(turns):
        for role, text in (("user", f"Step {number}"), ("assistant", f"Done {number}{tag}")):
            kind = "input_text" if role == "user" else "output_text"
            item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
            lines.append({"timestamp": at(seconds), "type": "response_item", "payload": item})
        last = {"input_tokens": sent, "cached_input_tokens": cached, "output_tokens": received}
        total = {name: total[name] + count for name, count in last.items()}
        info = {"total_token_usage": dict(total), "last_token_usage": last}
        payload = {"type": "token_count", "info": info}
        lines.append({"timestamp": at(seconds), "type": "event_msg", "payload": payload})
    return lines


def timed(turns: list[Turn], start: float, step: float = 300) -> list[tuple[Turn, float]]:
    return [(turn, start + step * number) for number, turn in enumerate(turns)]


def ingest_all(ingested: Ingest, folder: Path, files: dict[str, list[dict[str, Any]]]) -> Any:
    for name, lines in files.items():
        write_lines(folder / f"{name}.jsonl", lines)
    run, summary = ingested(*sorted(folder.glob("*.jsonl")))
    assert summary.records == summary.kept + summary.merged + summary.skipped
    return run.requests(), summary


FIRST = timed(PARENT, 10)


@pytest.mark.parametrize(
    "fork",
    [
        pytest.param(timed(PARENT, 2_000, 0.003) + timed(OWN, 2_030), id="in-a-burst"),
        pytest.param(timed(PARENT, 2_000, 40) + timed(OWN, 2_300), id="with-new-times"),
        pytest.param(FIRST + timed(OWN, 2_030), id="with-the-same-times"),
        pytest.param(timed(PARENT[:2], 2_000, 0.002) + timed(OWN, 2_030), id="a-part-of-it"),
        pytest.param(timed(PARENT, 2_000, 0) + timed(OWN, 2_030), id="all-at-one-moment"),
    ],
)
def test_a_fork_repeats_no_call(fork: Any, ingested: Ingest, tmp_path: Path) -> None:
    files = {"a": codex("a", FIRST), "b": codex("b", fork)}
    requests, summary = ingest_all(ingested, tmp_path, files)
    assert requests["output_tokens"].to_list() == [397, 311, 502, 251]
    assert (
        summary.skip_reasons.get("replayed", 0) + summary.skip_reasons.get("duplicate-id", 0)
        == len(fork) - 1
    )
    assert requests["session"].to_list() == ["a", "a", "a", "b"]


def test_a_fork_after_one_turn_is_known_by_what_it_says(ingested: Ingest, tmp_path: Path) -> None:
    again = [(PARENT[0], 2_000.0), (OWN[0], 2_060.0)]
    files = {"a": codex("a", FIRST), "b": codex("b", again, forked="a")}
    assert len(ingest_all(ingested, tmp_path, files)[0]) == 4


def test_without_a_word_of_it_one_equal_turn_is_a_call(ingested: Ingest, tmp_path: Path) -> None:
    again = [(PARENT[0], 2_000.0), (OWN[0], 2_060.0)]
    files = {"a": codex("a", FIRST), "b": codex("b", again)}
    assert len(ingest_all(ingested, tmp_path, files)[0]) == 5


def test_forks_of_one_parent_and_a_fork_of_a_fork(ingested: Ingest, tmp_path: Path) -> None:
    second = (15_800, 14_000, 77)
    files = {
        "a": codex("a", FIRST),
        "b": codex("b", timed(PARENT, 2_000, 0.004) + timed(OWN, 2_030)),
        "c": codex("c", [*timed(PARENT, 3000, 0.004), (second, 3050.0)]),
        "d": codex("d", [*timed(PARENT + OWN, 4000, 0.004), ((16000, 15000, 9), 4050.0)]),
    }
    requests, _ = ingest_all(ingested, tmp_path, files)
    assert sorted(requests["output_tokens"].to_list()) == [9, 77, 251, 311, 397, 502]


def test_forks_of_a_parent_that_is_not_there_count_it_once(
    ingested: Ingest, tmp_path: Path
) -> None:
    files = {
        "b": codex("b", timed(PARENT, 2_000, 0.004) + timed(OWN, 2_030), forked="gone"),
        "c": codex("c", [*timed(PARENT, 3000, 0.004), ((15800, 14000, 77), 3050.0)]),
    }
    assert len(ingest_all(ingested, tmp_path, files)[0]) == 5


SMALL: list[Turn] = [(120, 0, 10), (140, 0, 12)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(timed(SMALL, 10), timed(SMALL, 5_000), id="alike-small-counts"),
        pytest.param(timed(PARENT, 10), timed(PARENT, 200), id="at-the-same-time"),
        pytest.param(timed(PARENT[:1], 10), timed(PARENT[:1], 5_000), id="a-nightly-job"),
    ],
)
def test_alike_sessions_are_two(one: Any, other: Any, ingested: Ingest, tmp_path: Path) -> None:
    files = {"a": codex("a", one), "b": codex("b", other)}
    assert len(ingest_all(ingested, tmp_path, files)[0]) == len(one) + len(other)


def test_other_answers_make_another_session(ingested: Ingest, tmp_path: Path) -> None:
    files = {"a": codex("a", FIRST), "b": codex("b", timed(PARENT, 5_000, 30), tag="!")}
    assert len(ingest_all(ingested, tmp_path, files)[0]) == 6


def opencode(session: str, prefix: str, turns: list[tuple[Turn, float]]) -> list[dict[str, Any]]:
    start = int(START.timestamp() * 1_000)
    return [
        {
            "id": f"msg_{prefix}{number}", "sessionID": session, "role": "assistant",
            "providerID": "anthropic", "modelID": "claude-sonnet-4-5", "mode": "build",
            "time": {"created": start + int(seconds * 1_000)},
            "tokens": {"input": sent - cached, "output": received, "reasoning": 0,
                       "cache": {"read": cached, "write": 0}},
        }
        for number, ((sent, cached, received), seconds) in enumerate(turns)
    ]  # fmt: skip


def claude(session: str, prefix: str, turns: list[tuple[Turn, float]]) -> list[dict[str, Any]]:
    return [
        {
            "type": "assistant", "uuid": f"{session}{number}", "parentUuid": None,
            "sessionId": session, "timestamp": at(seconds), "cwd": "/srv",
            "requestId": f"req_{session}{number}",
            "message": {
                "id": f"msg_{prefix}{number}", "role": "assistant", "model": "claude-sonnet-4-5",
                "content": [{"type": "text", "text": f"Done {number}"}],
                "usage": {"input_tokens": sent - cached, "output_tokens": received,
                          "cache_read_input_tokens": cached},
            },
        }
        for number, ((sent, cached, received), seconds) in enumerate(turns)
    ]  # fmt: skip


def gemini(session: str, prefix: str, turns: list[tuple[Turn, float]]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{prefix}{number}", "sessionId": session, "timestamp": at(seconds),
            "type": "gemini", "content": f"Done {number}", "model": "gemini-2.5-pro",
            "tokens": {"input": sent, "output": received, "cached": cached, "thoughts": 0,
                       "tool": 0, "total": sent + received},
        }
        for number, ((sent, cached, received), seconds) in enumerate(turns)
    ]  # fmt: skip


def plain(session: str, prefix: str, turns: list[tuple[Turn, float]]) -> list[dict[str, Any]]:
    return [
        {
            "timestamp": at(seconds), "session_id": session,
            "request": {"model": "gpt-4o", "messages": [{"role": "user", "content": str(number)}]},
            "response": {
                "id": f"chatcmpl-{prefix}{number}", "object": "chat.completion", "model": "gpt-4o",
                "choices": [{"message": {"role": "assistant", "content": "Yes."}}],
                "usage": {"prompt_tokens": sent, "completion_tokens": received,
                          "total_tokens": sent + received,
                          "prompt_tokens_details": {"cached_tokens": cached}},
            },
        }
        for number, ((sent, cached, received), seconds) in enumerate(turns)
    ]  # fmt: skip


@pytest.mark.parametrize("write", [opencode, claude, gemini], ids=lambda f: f.__name__)
@pytest.mark.parametrize("prefix", ["a", "b"], ids=["same-ids", "other-ids"])
@pytest.mark.parametrize("step", [0.005, 40.0], ids=["in-a-burst", "with-new-times"])
def test_other_agents_fork_too(
    write: Any, prefix: str, step: float, ingested: Ingest, tmp_path: Path
) -> None:
    fork = timed(PARENT, 2_000, step) + timed(OWN, 2_300)
    files = {"a": write("a", "a", FIRST), "b": write("b", prefix, fork)}
    assert len(ingest_all(ingested, tmp_path, files)[0]) == 4


def test_a_script_that_asks_the_same_each_day_is_billed_each_day(
    ingested: Ingest, tmp_path: Path
) -> None:
    files = {
        day: plain(day, day, timed(PARENT, 86_400 * number, 30))
        for number, day in enumerate(("mon", "tue", "wed"))
    }
    assert len(ingest_all(ingested, tmp_path, files)[0]) == 9


def test_a_session_with_its_own_times_told_again_is_one(ingested: Ingest, tmp_path: Path) -> None:
    files = {"a": plain("a", "a", FIRST), "b": plain("b", "b", FIRST)}
    assert len(ingest_all(ingested, tmp_path, files)[0]) == 3


def test_a_subagents_file_repeats_the_end_of_its_parent(ingested: Ingest, tmp_path: Path) -> None:
    main = claude("s", "m", FIRST)
    side = claude("s", "m", [FIRST[-1]])[:1]
    side[0]["message"] |= {"id": "msg_m2", "content": [{"type": "text", "text": "Done 2"}]}
    side[0] |= {"isSidechain": True, "requestId": "req_side"}
    side += claude("s", "side", timed(OWN, 2_000))
    assert len(ingest_all(ingested, tmp_path, {"main": main, "agent": side})[0]) == 4


def test_no_dedupe_counts_every_row(ingested: Ingest, tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", codex("a", FIRST))
    write_lines(tmp_path / "b.jsonl", codex("b", timed(PARENT, 2_000, 0.003)))
    run, _ = ingested(tmp_path / "a.jsonl", tmp_path / "b.jsonl", dedupe=False)
    assert len(run.requests()) == 6


@pytest.mark.parametrize("scope", ["local", "global"])
def test_sessions_of_a_trace_that_begins_each_at_0_are_sessions_of_their_own(
    ingested: Ingest, tmp_path: Path, scope: str
) -> None:
    """Their times count from their own start, so equal times prove nothing."""
    calls = [
        {"t": 5.0 * n, "type": "n", "model": "claude-sonnet-4-5-20250929", "in": 64 * (n + 1),
         "out": 5, "hash_ids": list(range(n + 1))}
        for n in range(30)
    ]  # fmt: skip
    sessions = [
        {"id": f"s{n}", "models": [], "block_size": 64, "hash_id_scope": scope, "requests": calls}
        for n in range(2)
    ]
    _, summary = ingested(write_lines(tmp_path / "trace.jsonl", sessions))
    assert (summary.kept, summary.merged) == (60, 0)
