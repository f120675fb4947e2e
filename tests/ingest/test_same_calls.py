"""The same calls exported through several sources give the same rows."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from costaudit.pipeline.loaded import load
from costaudit.pipeline.settings import AnalyzeOptions
from tests.ingest.conftest import Ingest, write_lines

SYSTEM = "You are the triage bot."
TOOL = {
    "type": "function",
    "function": {"name": "lookup", "description": "Find.", "parameters": {"type": "object"}},
}
MODEL = "gpt-4o-2024-08-06"
COLUMNS = [
    *("ts", "provider", "model", "user", "tenant", "turn_index", "segments", "answer_id"),
    *("answer_kind", "input_uncached_tokens", "cache_read_tokens", "output_tokens"),
    *("reasoning_tokens", "status", "finish_reason", "served_by", "latency_ms"),
]


def calls() -> list[dict[str, Any]]:
    """Return 20 calls: number, question, and prompt, cached and completion tokens."""
    return [
        {"n": n, "q": f"Where is order {n}?", "sent": 1500 + n, "cached": 1024, "out": 30 + n}
        for n in range(20)
    ]


def moment(n: int) -> str:
    return f"2026-11-02T09:{n:02d}:00.000Z"


def messages(c: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": c["q"]}]


def usage(c: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt_tokens": c["sent"],
        "completion_tokens": c["out"],
        "total_tokens": c["sent"] + c["out"],
        "prompt_tokens_details": {"cached_tokens": c["cached"]},
        "completion_tokens_details": {"reasoning_tokens": 10},
    }


def answer(c: dict[str, Any]) -> str:
    return f"Order {c['n']} ships today."


def response(c: dict[str, Any]) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": answer(c)}, "finish_reason": "stop"}
    return {
        "id": f"chatcmpl-{c['n']}",
        "object": "chat.completion",
        "model": MODEL,
        "choices": [choice],
        "usage": usage(c),
    }


def openai(c: dict[str, Any]) -> dict[str, Any]:
    request = {"model": "gpt-4o", "tools": [TOOL], "messages": messages(c)}
    return {
        "ts": moment(c["n"]),
        "latency_ms": 2000,
        "user": "u-1",
        "tenant": "acme",
        "request": request,
        "response": response(c),
    }


def litellm(c: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{c['n']}",
        "call_type": "acompletion",
        "status": "success",
        "custom_llm_provider": "openai",
        "model": MODEL,
        "startTime": moment(c["n"]),
        "endTime": moment(c["n"]).replace(":00.", ":02."),
        "end_user": "u-1",
        "metadata": {"user_api_key_org_id": "acme", "usage_object": usage(c)},
        "messages": messages(c),
        "model_parameters": {"tools": [TOOL]},
        "response": response(c),
        "hidden_params": {},
        "model_map_information": {},
    }


def langfuse(c: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"obs-{c['n']}",
        "traceId": f"trace-{c['n']}",
        "type": "GENERATION",
        "startTime": moment(c["n"]),
        "latency": 2.0,
        "model": MODEL,
        "userId": "u-1",
        "metadata": {"tenant": "acme"},
        "input": {"tools": [TOOL], "messages": messages(c)},
        "output": {"role": "assistant", "content": answer(c), "finish_reason": "stop"},
        "usageDetails": {
            "input": c["sent"] - c["cached"],
            "input_cached_tokens": c["cached"],
            "output": c["out"] - 10,
            "output_reasoning_tokens": 10,
            "total": c["sent"] + c["out"],
        },
    }


def helicone(c: dict[str, Any]) -> dict[str, Any]:
    return {
        "request_id": f"q-{c['n']}",
        "request_created_at": moment(c["n"]),
        "response_status": 200,
        "delay_ms": 2000,
        "provider": "OPENAI",
        "request_model": "gpt-4o",
        "request_user_id": "u-1",
        "request_properties": {"tenant": "acme"},
        "request_body": {"model": "gpt-4o", "tools": [TOOL], "messages": messages(c)},
        "response_body": response(c),
        "prompt_tokens": c["sent"] - c["cached"],
    }


def otel(c: dict[str, Any]) -> dict[str, Any]:
    start = (1_793_610_000 + 60 * c["n"]) * 10**9  # 2026-11-02T09:00:00Z
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": MODEL,
        "gen_ai.response.id": f"chatcmpl-{c['n']}",
        "gen_ai.usage.input_tokens": c["sent"],
        "gen_ai.usage.cache_read.input_tokens": c["cached"],
        "gen_ai.usage.output_tokens": c["out"],
        "gen_ai.usage.reasoning.output_tokens": 10,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.system_instructions": [{"type": "text", "content": SYSTEM}],
        "gen_ai.tool.definitions": [{"type": "function", **TOOL["function"]}],  # type: ignore[dict-item]
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": c["q"]}]}],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "text", "content": answer(c)}]}
        ],
        "user.id": "u-1",
        "tenant": "acme",
    }
    return {
        "traceId": f"t{c['n']}",
        "spanId": f"s{c['n']}",
        "name": "chat gpt-4o",
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 2 * 10**9),
        "attributes": attributes,
    }


EXPORTS = (openai, litellm, langfuse, helicone, otel)


def test_five_sources_tell_the_same(ingested: Ingest, tmp_path: Path) -> None:
    tables = []
    for export in EXPORTS:
        log = write_lines(tmp_path / f"{export.__name__}.jsonl", [export(c) for c in calls()])
        run, summary = ingested(log, into=export.__name__)
        assert summary.kept == 20, export.__name__
        tables.append(run.requests())
    first = tables[0].with_columns(finish_reason=pl.lit("stop"))
    for export, table in zip(EXPORTS[1:], tables[1:], strict=True):
        found = table.with_columns(finish_reason=pl.lit("stop"))
        try:
            assert_frame_equal(found.select(COLUMNS), first.select(COLUMNS))
        except AssertionError as error:
            raise AssertionError(f"{export.__name__}: {error}") from None


def test_five_sources_in_one_run_are_counted_once(ingested: Ingest, tmp_path: Path) -> None:
    for export in EXPORTS:
        write_lines(tmp_path / f"{export.__name__}.jsonl", [export(c) for c in calls()])
    run, summary = ingested(*sorted(tmp_path.glob("*.jsonl")))
    assert (summary.records, summary.kept, summary.merged) == (100, 20, 80)
    assert summary.skip_reasons == {"other-instrument": 80}
    assert run.requests()["segments"].list.len().to_list() == [3] * 20
    alone, _ = ingested(tmp_path / "openai.jsonl", into="alone")
    tokens = ["input_uncached_tokens", "cache_read_tokens", "output_tokens"]
    assert (
        run.requests().select(tokens).sum().rows() == alone.requests().select(tokens).sum().rows()
    )


def test_a_prompt_comes_from_the_copy_that_has_it(ingested: Ingest, tmp_path: Path) -> None:
    bare = litellm(calls()[0])
    del bare["messages"], bare["model_parameters"]
    bare["metadata"]["usage_object"]["completion_tokens"] += 1  # the fuller row is kept
    write_lines(tmp_path / "a.jsonl", [bare])
    write_lines(tmp_path / "b.jsonl", [openai(calls()[0])])
    run, summary = ingested(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    row = run.requests().row(0, named=True)
    assert (summary.kept, row["source"]) == (1, "litellm")
    assert [s["role"] for s in row["segments"]] == ["tools", "system", "user"]
    assert sum(s["tokens"] for s in row["segments"]) == 1500


def test_the_exports_are_of_the_five_sources(ingested: Ingest, tmp_path: Path) -> None:
    names = []
    for export in EXPORTS:
        log = write_lines(tmp_path / "x.jsonl", [json.dumps(export(calls()[0]))])
        _, summary = ingested(log, into=f"run-{export.__name__}")
        names.append(summary.files[0].source)
    assert names == ["openai_chat", "litellm", "langfuse", "helicone", "otel"]


def test_five_sources_cost_the_same_dollars(ingested: Ingest, tmp_path: Path) -> None:
    """9,710 uncached, 20,480 cached and 790 output tokens at $2.50, $1.25 and $10 per million."""
    usd = Decimal("0.057775")
    for export in EXPORTS:
        write_lines(tmp_path / f"{export.__name__}.jsonl", [export(c) for c in calls()])
    each = {export.__name__: [tmp_path / f"{export.__name__}.jsonl"] for export in EXPORTS}
    every = {"all": sorted(tmp_path.glob("*.jsonl"))}
    for name, paths in (each | every).items():
        run, _ = ingested(*paths, into=f"run-{name}")
        log = load(run, AnalyzeOptions())
        assert (name, log.spend.total.total_usd) == (name, usd)
        assert (name, log.spend.unpriced_share) == (name, 0)
