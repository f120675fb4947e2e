"""Ingest options and what a mapping defines."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from costaudit.errors import InputError, UsageError
from costaudit.ingest.doctor import diagnose
from costaudit.ingest.options import IngestOptions
from tests.ingest.conftest import Ingest, chat, write_lines


def test_a_window_of_time_is_read_and_the_rest_is_counted(ingested: Ingest, tmp_path: Path) -> None:
    timeless = chat(99)
    del timeless["timestamp"]
    log = write_lines(tmp_path / "x.jsonl", [*(chat(n) for n in range(10)), timeless])
    since, until = (datetime(2026, 10, 5, 9, 0, s, tzinfo=UTC) for s in (3, 6))
    run, summary = ingested(log, since=since, until=until)
    assert run.requests()["native_id"].str.tail(1).to_list() == ["3", "4", "5"]
    assert (summary.kept, summary.skip_reasons) == (3, {"filtered": 8})


def test_conditions_choose_calls(ingested: Ingest, tmp_path: Path) -> None:
    records = [chat(n, tenant="a" if n % 2 else "b", user=f"u{n}") for n in range(6)]
    log = write_lines(tmp_path / "x.jsonl", records)
    run, _ = ingested(log, where=("tenant=a", "user!=u3"))
    assert run.requests()["user"].to_list() == ["u1", "u5"]


def test_a_mapping_reads_nested_records(ingested: Ingest, tmp_path: Path) -> None:
    record: dict[str, Any] = {
        "meta": {"at": "2026-11-02T09:00:00Z", "who": ["u-1"]},
        "llm.model": "gpt-4o",
        "turns": [{"role": "user", "content": "Hi"}],
        "n": {"in": "1200", "cached": 1024, "out": 7},
        "ok": "failed",
    }
    (tmp_path / "map.json").write_text(
        json.dumps(
            {
                "ts": "meta.at",
                "user": "meta.who[0]",
                "model": "llm.model",
                "messages": "turns",
                "input_tokens": "n.in",
                "cache_read_tokens": "n.cached",
                "output_tokens": "n.out",
                "status": "ok",
                "tenant": "=acme",
            }
        )
    )
    log = write_lines(tmp_path / "x.jsonl", [record, {"other": 1}])
    run, summary = ingested(log, maps=(str(tmp_path / "map.json"),))
    row = run.requests().row(0, named=True)
    assert (row["user"], row["model"], row["tenant"], row["provider"]) == (
        "u-1",
        "gpt-4o",
        "acme",
        "openai",
    )
    # 1200 includes 1024 cached tokens
    assert (row["input_uncached_tokens"], row["cache_read_tokens"]) == (176, 1024)
    assert (row["status"], row["source"]) == ("error", "mapped")
    assert summary.skip_reasons == {"not-a-call": 1}


def test_a_wrong_mapping_is_refused(ingested: Ingest, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "x.jsonl", [chat(1)])
    (tmp_path / "a.toml").write_text('colour = "x"')
    (tmp_path / "b.toml").write_text("= nonsense")
    with pytest.raises(InputError, match="fields that there are not: colour"):
        ingested(log, maps=(str(tmp_path / "a.toml"),))
    with pytest.raises(InputError, match="can't be read"):
        ingested(log, maps=(str(tmp_path / "b.toml"),))
    with pytest.raises(UsageError, match="is a file"):
        ingested(log, into="x.jsonl")
    with pytest.raises(UsageError, match="exclude each other"):
        ingested(log, maps=(str(tmp_path / "a.toml"),), source="litellm")


def test_the_same_rows_come_from_parquet(ingested: Ingest, tmp_path: Path) -> None:
    rows = [
        {"when": f"2026-11-02 09:00:0{n}", "model": "gpt-4o", "q": f"Q{n}", "in": 10, "out": 1}
        for n in range(5)
    ]
    paths = {"ts": "when", "model": "model", "prompt": "q", "input_tokens": "in"}
    (tmp_path / "map.json").write_text(json.dumps({**paths, "output_tokens": "out"}))
    pl.DataFrame(rows).write_parquet(tmp_path / "x.parquet")
    write_lines(tmp_path / "x.jsonl", rows)
    tables = []
    for name in ("x.parquet", "x.jsonl"):
        run, summary = ingested(tmp_path / name, into=name[2:], maps=(str(tmp_path / "map.json"),))
        assert summary.kept == 5
        tables.append(run.requests().drop("request_id", "source_file", "source_offset"))
    assert tables[0].equals(tables[1])


def test_the_doctor_tells_what_a_log_is_and_lacks(tmp_path: Path) -> None:
    bare = [
        {"timestamp": n, "input_length": 600, "output_length": 5, "hash_ids": [1, n + 2]}
        for n in range(4)
    ]
    log = write_lines(tmp_path / "x.jsonl", bare)
    found = diagnose([str(log)], IngestOptions())
    (file,) = found.summary.files
    assert (file.source, found.layouts) == ("mooncake", {"x.jsonl": "lines"})
    assert "input_length, output_length, hash_ids" in file.evidence
    assert found.shares["prompts"] == 1.0
    assert any(sentence.startswith("No answers") for sentence in found.cannot_tell)
    assert any(sentence.startswith("No costs") for sentence in found.cannot_tell)
    assert found.conventions[0].convention == "openai, without cache detail"
    assert {check.name: check.failing for check in found.checks}["there is a time"] == 0


def test_hashed_blocks_of_a_trace_keep_their_lengths(ingested: Ingest, tmp_path: Path) -> None:
    # 1,100 tokens are two blocks of 512 and one of 76; the next request shares the first two
    records = [
        {"timestamp": 0, "input_length": 1100, "output_length": 5, "hash_ids": [7, 8, 9]},
        {"timestamp": 5, "input_length": 1024, "output_length": 5, "hash_ids": [7, 8]},
    ]
    run, _ = ingested(write_lines(tmp_path / "x.jsonl", records))
    first, second = run.requests()["segments"].to_list()
    assert [s["tokens"] for s in first] == [512, 512, 76]
    assert [s["block_id"] for s in first][:2] == [s["block_id"] for s in second]
    assert run.blocks()["text"].null_count() == 3
