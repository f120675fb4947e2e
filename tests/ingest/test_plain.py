"""Plain pairs give the same tables on the fast path as when their source reads every record."""

import copy
import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.content.redaction import Redaction
from costaudit.ingest.files.sniff import open_source
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions, IngestSummary
from costaudit.ingest.staging import read_task as unit
from costaudit.progress import SilentProgress
from tests.ingest.conftest import chat, write_lines

SAMPLES = Path(__file__).parents[2] / "sample_logs"
LOGS = sorted(
    path
    for path in (*SAMPLES.glob("*.jsonl*"), *SAMPLES.glob("formats/*.*"))
    if path.suffix not in (".md", ".toml") and path.stem != "mapped"  # "mapped" needs a map
)
CHAT = chat(
    7,
    system="Answer in one sentence.",
    tokens=(1_200, 1_024, 30),
    user="u-1",
    conversation_id="c-1",
    attempt=1,
    status=200,
    cost_usd=0.0072225,
)
CHAT["request"]["tools"] = [{"type": "function", "function": {"name": "track", "parameters": {}}}]
MESSAGE = {
    "ts": 1_791_190_000.25,
    "latency_ms": 2_100,
    "tenant": "t-1",
    "session_id": "s-1",
    "request": {
        "model": "claude-sonnet-4-5",
        "max_tokens": 800,
        "system": [{"type": "text", "text": "Help.", "cache_control": {"type": "ephemeral"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Where is it?"}]}],
    },
    "response": {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "On its way."}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 12,
            "output_tokens": 9,
            "cache_read_input_tokens": 1_500,
            "cache_creation_input_tokens": 40,
            "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 10},
        },
    },
}
NAMES = (
    *("ts", "timestamp", "time", "created_at", "latency_ms", "ttft_ms", "latency", "tenant"),
    *("tenant_id", "user", "user_id", "conversation", "session_id", "cost_usd", "cost", "provider"),
    *("endpoint", "route", "region", "service_tier", "attempt", "is_batch", "status", "error"),
    *("http_status", "cache_status", "cached", "metadata", "headers", "model", "messages", "tools"),
    *("system", "temperature", "stream", "max_tokens", "id", "object", "created", "choices"),
    *("usage", "type", "content", "stop_reason", "message", "finish_reason", "role", "refusal"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "input_tokens"),
    *("cache_creation", "cache_read_input_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("prompt_tokens_details", "completion_tokens_details", "inference_geo", "request", "response"),
    *("safety_identifier", "cache_control", "unheard_of"),
)
VALUES: tuple[Any, ...] = (
    *(None, "", "x", "hit", "error", "timeout", "200", "503", "flex", "default", "batch", "us"),
    *("gpt-4o", "claude-opus-4-5", "grok-4", "msg_bdrk_1", "length", "end_turn", "max_tokens"),
    *("2026-10-05T09:00:01.5+02:00", "1791190000", "u-2", "message", "response"),
    *(0, 1, 7, 200, 429, 1_024, -1, 1 << 31, 1 << 40, 1_791_190_000, 0.5, -0.5, 1e13, 1e300),
    *(True, False, [], {}, [[]], [{}], {"user_id": "u-3", "tenant": "t-3"}, {"cached_tokens": 5}),
    *({"feature": "search", "session": "s-2"}, '{"user": "u-4", "application": "a"}'),
    *([{"role": "user", "content": "Hi"}], {"role": "assistant", "content": "Hello"}),
    *({"ephemeral_1h_input_tokens": 90}, "sk-abcdefghijklmnopqrstuvwx", "\u00e9\u2028"),
)


def places(value: Any) -> list[dict[str, Any]]:
    """List the objects within a value, starting with itself."""
    found = [value] if isinstance(value, dict) else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [*found, *(place for item in inner for place in places(item))]


@st.composite
def changed(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a plain pair; most have a few fields set or removed somewhere."""
    record: dict[str, Any] = copy.deepcopy(draw(st.sampled_from([CHAT, MESSAGE])))
    record["response"]["id"] += draw(st.sampled_from(["a", "b", "c", "d", "e"]))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(places(record)))
        name = draw(st.sampled_from([*place, *NAMES]))
        if draw(st.booleans()):
            place[name] = draw(st.sampled_from(VALUES))
        else:
            place.pop(name, None)
    return record


LINE = st.one_of(changed().map(json.dumps), st.sampled_from(["{", '{"a": 1}', "[]", '{"request":']))


def read(log: Path, folder: Path, **options: Any) -> tuple[RunDir, IngestSummary]:
    run = RunDir(folder)
    return run, ingest([str(log)], run, IngestOptions(**options), SilentProgress())


def assert_no_difference(log: Path, folder: Path, **options: Any) -> None:
    """Ingest a log with and without the fast path and compare all output."""
    fast, fast_summary = read(log, folder / "fast", **options)
    with mock.patch.object(unit, "plain_reader", lambda *_: None):
        slow, slow_summary = read(log, folder / "slow", **options)
    assert fast_summary == slow_summary
    for name in ("requests", "blocks", "skips"):
        assert_frame_equal(getattr(fast, name)(), getattr(slow, name)())
    for table in ("requests.parquet", "blocks.parquet", "skips.parquet"):
        assert (fast.path / table).read_bytes() == (slow.path / table).read_bytes()


@given(lines=st.lists(LINE, min_size=1, max_size=40), plain=st.sampled_from([CHAT, MESSAGE]))
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_changed_pairs_come_to_the_same_tables(
    lines: list[str], plain: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("plain")
    log = write_lines(folder / "log.jsonl", [*([plain] * 3), *lines])
    assert_no_difference(log, folder, piece_rows=5)


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.name)
def test_sample_logs_come_to_the_same_tables(log: Path, tmp_path: Path) -> None:
    assert_no_difference(log, tmp_path)


@pytest.mark.parametrize("redact", ["hash", "mask"])
def test_redaction_is_the_same(redact: str, tmp_path: Path) -> None:
    secret = "Bearer abcdefghijklmnopqrstuvwxyz012345"
    pairs = [{**CHAT, "user": user, "tenant": secret} for user in ("a@b.example", "u-1", None)]
    log = write_lines(tmp_path / "log.jsonl", pairs)
    one_key = Redaction("mask" if redact == "mask" else "hash", b"k" * 32)
    with mock.patch("costaudit.ingest.ingest.redaction_of", return_value=one_key):
        assert_no_difference(log, tmp_path, redact=redact)
    for path in (tmp_path / "fast").rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("pair", "source"), [(CHAT, "openai_chat"), (MESSAGE, "anthropic_messages")]
)
def test_plain_pairs_are_read_the_fast_way(
    pair: dict[str, Any], source: str, tmp_path: Path
) -> None:
    log = write_lines(tmp_path / "log.jsonl", [pair] * 3)
    with mock.patch.object(type(open_source(source, None, "")), "parse") as left_to_the_source:
        _, summary = read(log, tmp_path / "run", dedupe=False)
    left_to_the_source.assert_not_called()
    assert summary.kept == 3


def test_lines_of_another_shape_are_the_only_ones_left_to_the_source(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [*([CHAT] * 4), {"a": 1}] * 1_300)
    chats = type(open_source("openai_chat", None, ""))
    with mock.patch.object(chats, "parse") as left_to_the_source:
        _, summary = read(log, tmp_path / "run", dedupe=False)
    assert (summary.kept, left_to_the_source.call_count) == (5_200, 1_300)
