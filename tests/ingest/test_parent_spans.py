"""A span isn't counted if a call inside it has usage, wherever the two are logged."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.conftest import Ingest, write_lines

START = 1_793_610_000 * 10**9


def span(
    own: str, parent: str = "", name: str = "chat", sent: int = 0, **attributes: Any
) -> dict[str, Any]:
    told: dict[str, Any] = {"gen_ai.provider.name": "openai", **attributes}
    if sent:
        told |= {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": sent,
                 "gen_ai.usage.output_tokens": sent // 10}  # fmt: skip
    if name == "chat":
        told["gen_ai.operation.name"] = "chat"
    return {
        "traceId": "t1", "spanId": own, "parentSpanId": parent, "name": name,
        "startTimeUnixNano": str(START + 1_000 * len(own)), "endTimeUnixNano": str(START + 10**9),
        "attributes": told,
    }  # fmt: skip


TREE = [
    span("a1", name="cycle", sent=3_000),  # a framework's span: names no operation, repeats the sum
    span("b22", "a1", name="plan"),
    span("c333", "b22", sent=1_000),
    span("d4444", "b22", name="execute_tool"),
    span("e55555", "d4444", sent=2_000),
]


@pytest.mark.parametrize("seed", range(4))
def test_a_parent_is_no_call_in_any_order(seed: int, ingested: Ingest, tmp_path: Path) -> None:
    spans = list(TREE)
    random.Random(seed).shuffle(spans)
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", spans))
    assert sorted(run.requests()["input_uncached_tokens"]) == [1_000, 2_000]
    assert summary.skip_reasons["parent-span"] == 1


def test_children_in_other_files_count(ingested: Ingest, tmp_path: Path) -> None:
    for number, each in enumerate(reversed(TREE)):
        write_lines(tmp_path / f"{number}.jsonl", [each])
    run, _ = ingested(*sorted(tmp_path.glob("*.jsonl")), source="otel")
    assert sorted(run.requests()["input_uncached_tokens"]) == [1_000, 2_000]


def test_a_parent_without_counted_children_is_a_call(ingested: Ingest, tmp_path: Path) -> None:
    run, _ = ingested(write_lines(tmp_path / "log.jsonl", [TREE[0], span("b22", "a1", name="x")]))
    assert run.requests()["input_uncached_tokens"].to_list() == [3_000]


def test_equal_ids_in_other_traces_are_other_spans(ingested: Ingest, tmp_path: Path) -> None:
    other = {**span("c333", "a1", sent=500), "traceId": "t2"}
    run, _ = ingested(write_lines(tmp_path / "log.jsonl", [TREE[0], other]))
    assert len(run.requests()) == 2


def test_spans_that_hold_each_other_end(ingested: Ingest, tmp_path: Path) -> None:
    circle = [span("a1", "b22", sent=10), span("b22", "a1", sent=20)]
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", circle))
    assert summary.kept + summary.merged == 2
    assert len(run.requests()) >= 1


def test_a_framework_does_not_bill(ingested: Ingest, tmp_path: Path) -> None:
    named = {"gen_ai.provider.name": "strands-agents",
             "gen_ai.request.model": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}  # fmt: skip
    each = span("a1", sent=100)
    each["attributes"] |= named
    rows = ingested(write_lines(tmp_path / "log.jsonl", [each]))[0].requests()
    assert rows["provider"].to_list() == ["aws"]


def langfuse(own: str, parent: str | None, kind: str, sent: int) -> dict[str, Any]:
    return {
        "id": own, "traceId": "t", "parentObservationId": parent, "type": kind, "name": own,
        "startTime": f"2026-11-02T15:00:0{len(own)}Z", "model": "gpt-4o",
        "usageDetails": {"input": sent, "output": sent // 10},
    }  # fmt: skip


def langsmith(own: str, parent: str | None, kind: str, sent: int) -> dict[str, Any]:
    return {
        "id": own, "trace_id": "t", "parent_run_id": parent, "dotted_order": own, "name": own,
        "run_type": "llm" if kind == "GENERATION" else "chain",
        "start_time": f"2026-11-02T15:00:0{len(own)}Z", "inputs": {}, "outputs": {},
        "extra": {"metadata": {"ls_provider": "openai", "ls_model_name": "gpt-4o"}},
        "prompt_tokens": sent, "completion_tokens": sent // 10, "total_tokens": sent * 11 // 10,
    }  # fmt: skip


def opik(own: str, parent: str | None, kind: str, sent: int) -> dict[str, Any]:
    return {
        "id": own, "trace_id": "t", "parent_span_id": parent, "name": own,
        "type": "llm" if kind == "GENERATION" else "general",
        "start_time": f"2026-11-02T15:00:0{len(own)}Z", "model": "gpt-4o", "provider": "openai",
        "usage": {"prompt_tokens": sent, "completion_tokens": sent // 10},
    }  # fmt: skip


@pytest.mark.parametrize("write", [langfuse, langsmith, opik], ids=lambda f: f.__name__)
def test_platforms_nest_too(write: Any, ingested: Ingest, tmp_path: Path) -> None:
    spans = [
        write("a", None, "GENERATION", 3_000),
        write("bb", "a", "SPAN", 0),
        write("ccc", "bb", "GENERATION", 3_000),
        write("dddd", None, "GENERATION", 700),
    ]
    rows = ingested(write_lines(tmp_path / "log.jsonl", spans))[0].requests()
    assert sorted(rows["input_uncached_tokens"]) == [700, 3_000]
