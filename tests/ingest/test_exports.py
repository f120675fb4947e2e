"""Formats in other containers: tables, pages and bodies in separate files."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.ingest.conftest import Ingest, chat, write_lines

FORMATS = Path(__file__).parents[2] / "sample_logs" / "formats"
PLACE = ("source_file", "source_offset", "request_id")


def records(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FORMATS / name).read_text("utf-8").splitlines()]


def test_langfuse_as_csv_is_as_json(ingested: Ingest, tmp_path: Path) -> None:
    rows = records("langfuse.jsonl")
    with (tmp_path / "x.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        for row in rows:
            cells = {k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()}
            writer.writerow({k: "" if v == "null" else v for k, v in cells.items()})
    table, summary = ingested(tmp_path / "x.csv", into="csv")
    lines, _ = ingested(FORMATS / "langfuse.jsonl", into="lines")
    assert summary.files[0].source == "langfuse"
    assert table.requests().drop(PLACE).equals(lines.requests().drop(PLACE))


def test_langsmith_as_parquet_is_as_json(ingested: Ingest, tmp_path: Path) -> None:
    rows = records("langsmith.jsonl")
    flat = [{k: json.dumps(v) if isinstance(v, dict) else v for k, v in r.items()} for r in rows]
    pl.DataFrame(flat, infer_schema_length=None).write_parquet(tmp_path / "x.parquet")
    table, summary = ingested(tmp_path / "x.parquet", into="parquet")
    lines, _ = ingested(FORMATS / "langsmith.jsonl", into="lines")
    assert summary.files[0].source == "langsmith"
    assert table.requests().drop(PLACE).equals(lines.requests().drop(PLACE))


def test_bedrock_through_insights_and_the_export_to_s3(ingested: Ingest, tmp_path: Path) -> None:
    events = json.loads((FORMATS / "bedrock.json").read_text("utf-8"))["events"]
    messages = [e["message"] for e in events if e["message"].startswith("{")]
    rows = [
        [{"field": "@timestamp", "value": "x"}, {"field": "@message", "value": m}] for m in messages
    ]
    (tmp_path / "insights.json").write_text(json.dumps(rows))
    (tmp_path / "stamped.log").write_text(
        "".join(f"2026-11-02T09:30:12.000Z {m}\n" for m in messages)
    )
    with (tmp_path / "insights.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["@timestamp", "@message"], *(["x", m] for m in messages)])
    expected, _ = ingested(FORMATS / "bedrock.json", into="expected")
    for name in ("insights.json", "stamped.log", "insights.csv"):
        run, summary = ingested(tmp_path / name, into=name.replace(".", "-"))
        assert summary.files[0].source == "bedrock", name
        assert run.requests().drop(PLACE).equals(expected.requests().drop(PLACE)), name


def test_bedrock_bodies_are_fetched_from_beside_the_log(ingested: Ingest, tmp_path: Path) -> None:
    record = {
        "schemaType": "ModelInvocationLog",
        "timestamp": "2026-11-02T09:33:00Z",
        "requestId": "r-4",
        "operation": "InvokeModel",
        "modelId": "anthropic.claude-haiku-4-5-20251001-v1:0",
        "input": {"inputTokenCount": 9, "inputBodyS3Path": "s3://b/x/data/r-4_input.json.gz"},
        "output": {"outputTokenCount": 3, "outputBodyS3Path": "s3://b/x/data/r-4_output.json.gz"},
    }
    (tmp_path / "log.json").write_text(json.dumps(record) + "\n")
    missing, _ = ingested(tmp_path / "log.json", into="missing")
    (tmp_path / "data").mkdir()
    request = {"anthropic_version": "b", "messages": [{"role": "user", "content": "Long one"}]}
    response = {
        "id": "msg_bdrk_9",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Short"}],
        "usage": {"input_tokens": 9, "output_tokens": 3},
    }
    for name, body in (("input", request), ("output", response)):
        (tmp_path / "data" / f"r-4_{name}.json.gz").write_bytes(
            gzip.compress(json.dumps(body).encode())
        )
    found, _ = ingested(tmp_path / "log.json", into="found")
    assert (missing.requests()["truncated"][0], found.requests()["truncated"][0]) == (True, False)
    assert missing.requests()["input_uncached_tokens"].to_list() == [9]
    assert found.blocks()["text"].to_list() == ["Long one", "Short"]


def test_batch_halves_in_two_files_are_joined(ingested: Ingest, tmp_path: Path) -> None:
    lines = (FORMATS / "openai_batch.jsonl").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "input.jsonl").write_text("".join(x for x in lines if '"method"' in x))
    (tmp_path / "output.jsonl").write_text("".join(x for x in lines if '"method"' not in x))
    run, summary = ingested(tmp_path / "input.jsonl", tmp_path / "output.jsonl")
    assert summary.skip_reasons == {"joined": 2, "no-response": 1}
    assert run.requests()["source_file"].unique().to_list() == ["output.jsonl"]
    assert run.requests()["segments"].list.len().to_list() == [2, 2]


def test_stored_completions_are_joined_with_their_messages(
    ingested: Ingest, tmp_path: Path
) -> None:
    def message(number: int, role: str, content: Any, parts: Any = None) -> dict[str, Any]:
        own = f"chatcmpl-Ex3-{number}"
        return {"id": own, "role": role, "content": content, "name": None, "content_parts": parts}

    parts = [{"type": "text", "text": "Ready?"}]
    listed = [message(1, "user", None, parts), message(0, "system", "Be brief.")]
    lost = {**message(0, "user", "Who?"), "id": "chatcmpl-gone-0"}
    for name, data in (("asked", listed), ("lost", [lost])):
        page = {"object": "list", "data": data, "has_more": False}
        (tmp_path / f"{name}.json").write_text(json.dumps(page, indent=1))
    log = FORMATS / "openai_stored.json"
    run, summary = ingested(log, tmp_path / "asked.json", tmp_path / "lost.json")
    assert {file.source for file in summary.files} == {"openai_stored"}
    assert summary.skip_reasons == {"joined": 1, "no-response": 1, "part": 1}
    assert (summary.records, summary.kept) == (5, 2)
    texts = dict(run.blocks().select("block_id", "text").iter_rows())
    asked = {
        row["native_id"]: [(s["role"], texts[s["block_id"]]) for s in row["segments"]]
        for row in run.requests().iter_rows(named=True)
    }
    assert asked == {
        "chatcmpl-Ex3": [("system", "Be brief."), ("user", "Ready?")],
        "chatcmpl-Ex4": [],
    }


def test_a_compaction_is_billed_beside_its_call(ingested: Ingest, tmp_path: Path) -> None:
    compaction = {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3_500}
    usage = {
        "input_tokens": 23_000,
        "output_tokens": 1_000,
        "iterations": [
            {**compaction, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 2},
            {"type": "message", "input_tokens": 23_000, "output_tokens": 1_000},
        ],
    }
    request = {"model": "claude-opus-4-6", "max_tokens": 9, "messages": []}
    response = {"id": "msg_1", "type": "message", "role": "assistant", "usage": usage}
    pair = {"timestamp": "2026-11-02T09:00:00Z", "request": request, "response": response}
    run, _ = ingested(write_lines(tmp_path / "log.jsonl", [pair]))
    names = ("input_uncached", "cache_read", "cache_write_5m", "output")
    # input 23,000 + 180,000, output 1,000 + 3,500
    found = run.requests().select(f"{name}_tokens" for name in names).row(0)
    assert found == (203_000, 7, 2, 4_500)


@pytest.mark.parametrize(
    ("ttl", "classes"), [("5m", (9, 0, 0)), ("1h", (0, 9, 0)), ("30m", (0, 0, 9))]
)
def test_writes_have_the_ttl_that_was_asked_for(
    ingested: Ingest, tmp_path: Path, ttl: str, classes: tuple[int, int, int]
) -> None:
    pair = chat(1, tokens=(100, 0, 20))
    pair["request"]["prompt_cache_options"] = {"mode": "implicit", "ttl": ttl}
    pair["response"]["usage"]["prompt_tokens_details"]["cache_write_tokens"] = 9
    run, _ = ingested(write_lines(tmp_path / "log.jsonl", [pair]))
    names = ("input_uncached", "cache_write_5m", "cache_write_1h", "cache_write_other")
    found = run.requests().select(f"{name}_tokens" for name in names).row(0)
    assert found == (91, *classes)  # 9 of the 100 input tokens were cache writes
