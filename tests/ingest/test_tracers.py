"""Jaeger, Zipkin and Tempo traces: LLM calls among the spans of other software."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.ingest.conftest import Ingest

START_US = 1_790_000_000_000_000
USED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1_000,
    "gen_ai.usage.output_tokens": 100,
}


def jaeger_span(number: int, parent: int | None, tags: dict[str, Any]) -> dict[str, Any]:
    reference = {"refType": "CHILD_OF", "traceID": "t1", "spanID": f"s{parent}"}
    return {
        "traceID": "t1",
        "spanID": f"s{number}",
        "operationName": "work",
        "references": [] if parent is None else [reference],
        "startTime": START_US + number,
        "duration": 2_000_000,
        "tags": [{"key": name, "value": value} for name, value in tags.items()],
        "processID": "p1",
    }


def jaeger(*spans: dict[str, Any]) -> str:
    processes = {"p1": {"serviceName": "shop", "tags": [{"key": "service.version", "value": "7"}]}}
    return json.dumps({"data": [{"traceID": "t1", "spans": spans, "processes": processes}]})


def test_a_call_after_many_other_spans_is_found(ingested: Ingest, tmp_path: Path) -> None:
    others = [jaeger_span(n, None, {"http.request.method": "GET"}) for n in range(40)]
    (tmp_path / "trace.json").write_text(jaeger(*others, jaeger_span(40, 39, USED)), "utf-8")
    run, summary = ingested(tmp_path / "trace.json")
    (row,) = run.requests().iter_rows(named=True)
    assert (row["input_uncached_tokens"], row["output_tokens"]) == (1_000, 100)
    assert (row["endpoint"], row["client_version"], row["latency_ms"]) == ("shop", "7", 2_000)
    assert (summary.kept, summary.skipped) == (1, 40)


def test_a_parent_beyond_a_span_of_other_software_counts_once(
    ingested: Ingest, tmp_path: Path
) -> None:
    spans = jaeger_span(0, None, USED), jaeger_span(1, 0, {"peer": "x"}), jaeger_span(2, 1, USED)
    more = [jaeger_span(n, None, {"http.route": "/"}) for n in range(3, 9)]
    (tmp_path / "trace.json").write_text(jaeger(*spans, *more), "utf-8")
    run, summary = ingested(tmp_path / "trace.json")
    assert summary.files[0].source == "mixed"
    assert summary.kept == 1  # the outer call repeats the inner one, two spans below
    assert run.requests()["input_uncached_tokens"].to_list() == [1_000]


def test_an_error_and_the_lines_of_an_index(ingested: Ingest, tmp_path: Path) -> None:
    failed = {**USED, "error": True, "error.type": "429"}
    span = jaeger_span(0, None, failed) | {"process": {"serviceName": "shop"}}
    (tmp_path / "spans.jsonl").write_text(json.dumps(span) + "\n", "utf-8")
    run, _ = ingested(tmp_path / "spans.jsonl")
    (row,) = run.requests().iter_rows(named=True)
    assert (row["status"], row["http_status"], row["endpoint"]) == ("error", 429, "shop")


def test_numbers_that_zipkin_writes_as_texts_are_read(ingested: Ingest, tmp_path: Path) -> None:
    span = {
        "traceId": "t1",
        "id": "s1",
        "name": "chat",
        "timestamp": START_US,
        "duration": 1_500_000,
        "tags": {name: str(value) for name, value in USED.items()},
    }
    (tmp_path / "spans.json").write_text(json.dumps([span]), "utf-8")
    run, _ = ingested(tmp_path / "spans.json")
    found = run.requests().select("input_uncached_tokens", "output_tokens", "latency_ms").row(0)
    assert found == (1_000, 100, 1_500)


@pytest.mark.parametrize("holder", ["trace", "result", "data"])
def test_an_answer_of_tempo_or_jaeger_may_hold_otlp(
    ingested: Ingest, tmp_path: Path, holder: str
) -> None:
    attributes = [{"key": name, "value": {"stringValue": str(v)}} for name, v in USED.items()]
    span = {"traceId": "t1", "spanId": "s1", "attributes": attributes}
    batch = {"scopeSpans": [{"spans": [span]}]}
    page = {holder: {"resourceSpans": [batch]}}
    (tmp_path / "trace.json").write_text(json.dumps(page), "utf-8")
    run, _ = ingested(tmp_path / "trace.json")
    assert run.requests()["input_uncached_tokens"].to_list() == [1_000]


@pytest.mark.parametrize(
    "broken",
    [
        {"startTime": "soon", "duration": None},
        {"startTime": 1e400, "duration": -5},
        {"tags": {"key": 1}, "references": 7, "logs": [None, {"fields": 3}]},
        {"tags": [None, 3, {"key": 7}], "processID": 3},
    ],
)
def test_broken_spans_have_a_fate(ingested: Ingest, tmp_path: Path, broken: dict[str, Any]) -> None:
    spans = [jaeger_span(0, None, USED), jaeger_span(1, None, USED) | broken]
    text = jaeger(*spans).replace("Infinity", "1e400")
    (tmp_path / "trace.json").write_text(text, "utf-8")
    run, summary = ingested(tmp_path / "trace.json")
    assert summary.records == summary.kept + summary.merged + summary.skipped == 2
    assert run.requests().filter(pl.col("input_uncached_tokens") == 1_000).height >= 1


def test_parts_of_a_streamed_answer_of_ollama_count_once(ingested: Ingest, tmp_path: Path) -> None:
    part = {"model": "llama3.2", "created_at": "2026-10-05T09:00:00Z", "done": False}
    last = {**part, "done": True, "prompt_eval_count": 26, "eval_count": 3}
    lines = [
        *({**part, "message": {"role": "assistant", "content": text}} for text in ("It ", "is.")),
        {**last, "message": {"role": "assistant", "content": ""}},
        {**last, "response": "Whole.", "eval_count": 5},
    ]
    path = tmp_path / "ollama.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    run, summary = ingested(path)
    found = run.requests().select("input_uncached_tokens", "output_tokens").rows()
    assert sorted(found) == [(26, 3), (26, 5)]
    assert (summary.kept, summary.skipped) == (2, 2)
