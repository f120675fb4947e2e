"""Logs in any container and layout give the same run; nothing is lost or counted twice."""

import gzip
import json
import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
import zstandard
from polars.testing import assert_frame_equal

from costaudit.contracts.requests import REQUESTS
from costaudit.errors import InputError, UsageError
from tests.ingest.conftest import Ingest, chat, write_lines

PLACE = ("request_id", "source_file", "source_offset")


def records() -> list[dict[str, Any]]:
    return [chat(n, f"Question {n}, ¿cuándo? 中", tokens=(100 + n, 64, 20)) for n in range(30)]


def as_lines() -> bytes:
    return b"".join(json.dumps(r).encode() + b"\n" for r in records())


CONTAINERS = {
    "lines": as_lines(),
    "crlf": as_lines().replace(b"\n", b"\r\n"),
    "unescaped": "\n".join(json.dumps(r, ensure_ascii=False) for r in records()).encode(),
    "bom": b"\xef\xbb\xbf" + as_lines(),
    "utf16": as_lines().decode().encode("utf-16"),
    "gzip": gzip.compress(as_lines()),
    "gzip members": gzip.compress(as_lines()[:40_000]) + gzip.compress(as_lines()[40_000:]),
    "zstd": zstandard.compress(as_lines()),
    "zstd frames": zstandard.compress(as_lines()[:30_000])
    + zstandard.compress(as_lines()[30_000:]),
    "array": json.dumps(records()).encode(),
    "pretty array": json.dumps(records(), indent=2).encode(),
    "trailing comma": b"[" + b",\n".join(as_lines().splitlines()) + b",\n]",
    "pretty values": b"\n".join(json.dumps(r, indent=2).encode() for r in records()),
    "values in a row": b"".join(as_lines().splitlines()),
    "wrapped": json.dumps({"object": "list", "data": records(), "has_more": False}).encode(),
    "blank lines": as_lines().replace(b"\n", b"\n\n  \n"),
    "stamped": b"".join(b"2026-10-05T09:00:00.000Z " + x + b"\n" for x in as_lines().splitlines()),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_rows(
    ingested: Ingest, tmp_path: Path, container: str
) -> None:
    (tmp_path / "plain.log").write_bytes(CONTAINERS["lines"])
    (tmp_path / "other.log").write_bytes(CONTAINERS[container])
    plain, _ = ingested(tmp_path / "plain.log", into="plain")
    other, summary = ingested(tmp_path / "other.log", into="other")
    assert (summary.records, summary.kept) == (30, 30)
    assert_frame_equal(plain.requests().drop(PLACE), other.requests().drop(PLACE))
    assert_frame_equal(plain.blocks(), other.blocks())


def test_offsets_point_at_the_records(ingested: Ingest, tmp_path: Path) -> None:
    content = CONTAINERS["pretty values"]
    (tmp_path / "x.log").write_bytes(content)
    run, _ = ingested(tmp_path / "x.log")
    for native, offset in run.requests().select("native_id", "source_offset").iter_rows():
        value, _ = json.JSONDecoder().raw_decode(content[offset:].decode())
        assert value["response"]["id"] == native


def test_standard_input_is_read(
    ingested: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for container in ("gzip", "lines", "array"):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=BytesIO(CONTAINERS[container])))
        run, summary = ingested("-", workers=2)
        assert summary.kept == 30
        assert run.requests()["source_file"].unique().to_list() == ["stdin"]


def test_a_remote_address_is_read(ingested: Ingest) -> None:
    import fsspec

    with fsspec.open("memory://bucket/day.jsonl", "wb") as file:
        file.write(as_lines())
    run, summary = ingested("memory://bucket/day.jsonl")
    assert summary.kept == 30
    assert run.requests()["source_file"].unique().to_list() == ["day.jsonl"]


def test_equal_names_in_different_folders_stay_apart(ingested: Ingest, tmp_path: Path) -> None:
    for day in ("a", "b"):
        (tmp_path / day).mkdir()
        write_lines(tmp_path / day / "log.jsonl", [chat(n + 100 * (day == "b")) for n in range(3)])
    run, _ = ingested(tmp_path / "a" / "log.jsonl", tmp_path / "b" / "log.jsonl")
    assert sorted(run.requests()["source_file"].unique()) == ["a/log.jsonl", "b/log.jsonl"]


def test_the_same_id_with_the_same_prompt_and_tokens_is_one_call(
    ingested: Ingest, tmp_path: Path
) -> None:
    early = chat(1, tokens=(100, 0, 1))
    del early["response"]["usage"]
    log = write_lines(tmp_path / "x.jsonl", [early, chat(1), chat(1, tokens=(100, 0, 7)), chat(2)])
    run, summary = ingested(log)
    # The call without usage is an early copy of the same call; other tokens mean another call.
    assert (summary.kept, summary.merged) == (3, 1)
    assert sorted(run.requests()["output_tokens"].to_list()) == [7, 20, 20]
    assert run.skips()["merged_into"].null_count() == 0
    both, summary = ingested(log, into="both", dedupe=False)
    assert (summary.kept, summary.merged) == (4, 0)
    assert both.requests()["request_id"].is_unique().all()


def test_a_failed_call_and_its_retry_are_two_attempts(ingested: Ingest, tmp_path: Path) -> None:
    failed = chat(1, status=500, response={"error": {"type": "server_error", "message": "x"}})
    log = write_lines(tmp_path / "x.jsonl", [failed, chat(5), chat(9)])
    run, summary = ingested(log)
    rows = run.requests().select("status", "error", "http_status", "attempt").rows()
    assert summary.merged == 0
    assert rows == [("error", "server_error", 500, 0), ("ok", None, None, 1), ("ok", None, None, 0)]


def test_a_gateway_cache_hit_is_not_a_duplicate(ingested: Ingest, tmp_path: Path) -> None:
    hit = chat(1, cache_status="HIT")
    hit["timestamp"] = "2026-10-05T10:00:00Z"
    run, _ = ingested(write_lines(tmp_path / "x.jsonl", [chat(1), hit]))
    assert run.requests()["served_by"].to_list() == ["provider", "gateway_cache"]
    assert run.requests()["request_id"].is_unique().all()


def test_the_manifest_names_inputs_ranges_and_options(ingested: Ingest, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "x.jsonl", [chat(1), "garbage", chat(2)])
    run, _ = ingested(log, since=None)
    manifest = run.manifest()
    (file,) = manifest.inputs
    assert (file.name, file.source, file.rows) == ("x.jsonl", "openai_chat", 3)
    assert (file.kept, file.merged, file.skipped) == (2, 0, 1)
    assert file.ranges[0].start == 0
    assert file.ranges[0].end == log.stat().st_size
    assert manifest.tokenizer == "o200k_base"


def test_strict_stops_at_the_first_bad_record(ingested: Ingest, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "x.jsonl", [chat(1), chat(2), '{"request": {"mod'])
    with pytest.raises(InputError, match=r"x.jsonl, offset \d+: truncated"):
        ingested(log, strict=True)


BAD_INPUTS: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "There is no file"),
    "empty": (b"", "is empty"),
    "blank": (b"\n \n", "is empty"),
    "binary": (b"\x7fELF\x02\x01\x00\x00" * 50, "is a binary file"),
    "zip": (b"PK\x03\x04 and so on", "is a ZIP archive"),
    "prose": (b"Dear reader,\nthis is a letter.\n", "holds neither JSON nor a table"),
    "other json": (b'{"level": "info", "msg": "started"}\n' * 5, "no record looks like a call"),
    "other csv": (b"name,age\nAda,36\n", "no record looks like a call"),
    "cut gzip": (gzip.compress(as_lines())[:15], "can't be unpacked"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_what_is_no_log_gives_a_sentence_and_a_next_step(
    ingested: Ingest, tmp_path: Path, case: str
) -> None:
    content, sentence = BAD_INPUTS[case]
    if content is not None:
        (tmp_path / "x.log").write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        ingested(tmp_path / "x.log")
    assert caught.value.hint


def test_a_folder_without_logs_is_refused(ingested: Ingest, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with pytest.raises(InputError, match="has no files"):
        ingested(tmp_path / "logs")
    (tmp_path / "logs" / "notes.md").write_text("# Notes\n")
    with pytest.raises(InputError, match="is a log"):
        ingested(tmp_path / "logs")


def test_a_stranger_in_a_folder_is_skipped_and_counted(ingested: Ingest, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    write_lines(tmp_path / "logs" / "a.jsonl", [chat(1)])
    (tmp_path / "logs" / "notes.md").write_text("# Notes\n")
    run, summary = ingested(tmp_path / "logs")
    assert (summary.records, summary.kept, summary.skipped) == (2, 1, 1)
    assert run.skips().select("source_file", "source_offset", "reason").rows() == [
        ("notes.md", -1, "not-a-log")
    ]


def test_a_cut_gzip_keeps_what_it_holds(ingested: Ingest, tmp_path: Path) -> None:
    # level 0 doesn't compress, so half of the bytes hold about half of the records
    content = gzip.compress(as_lines(), compresslevel=0)
    (tmp_path / "x.gz").write_bytes(content[: len(content) // 2])
    run, summary = ingested(tmp_path / "x.gz")
    assert 10 <= summary.kept < 20
    assert "broken-compression" in run.skips()["reason"].to_list()


def test_a_decompression_bomb_stops(ingested: Ingest, tmp_path: Path) -> None:
    bomb = json.dumps(chat(1)).encode() + b"\n" + b"{" + b" " * (96 << 20)
    (tmp_path / "x.zst").write_bytes(zstandard.compress(bomb, 3))
    with pytest.raises(InputError, match="bombs"):
        ingested(tmp_path / "x.zst")
    (tmp_path / "x.gz").write_bytes(gzip.compress(bomb, 1))
    run, summary = ingested(tmp_path / "x.gz", max_ratio=100.0)
    assert summary.kept == 1
    assert "unpacks-too-far" in run.skips()["reason"].to_list()


def test_options_that_cannot_work_are_refused(ingested: Ingest, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "x.jsonl", [chat(1)])
    with pytest.raises(UsageError, match="not a log source"):
        ingested(log, source="nonsense")
    with pytest.raises(UsageError, match="is not a condition"):
        ingested(log, where=("colour=red",))


def test_a_log_of_which_nothing_can_be_counted_has_no_calls(
    ingested: Ingest, tmp_path: Path
) -> None:
    bare = {"response": {"object": "chat.completion", "model": "gpt-4o", "choices": []}}
    run, summary = ingested(write_lines(tmp_path / "x.jsonl", [bare, bare]))
    assert (summary.kept, summary.skip_reasons) == (0, {"unknown-format": 2})
    assert run.requests().schema == REQUESTS


def test_a_call_without_prompt_time_or_usage_is_kept_beside_others(
    ingested: Ingest, tmp_path: Path
) -> None:
    bare = {"response": {"object": "chat.completion", "model": "gpt-4o", "choices": []}}
    run, summary = ingested(write_lines(tmp_path / "x.jsonl", [chat(1), bare, bare]))
    assert summary.kept == 3
    rows = run.requests().filter(usage_source="missing")
    assert rows["ts"].null_count() == 2
    assert rows["segments"].list.len().to_list() == [0, 0]


def test_rows_are_in_order_and_those_without_time_last(ingested: Ingest, tmp_path: Path) -> None:
    timeless = chat(3)
    del timeless["timestamp"]
    run, _ = ingested(write_lines(tmp_path / "x.jsonl", [chat(9), timeless, chat(2), chat(5)]))
    assert run.requests()["native_id"].str.tail(1).to_list() == ["2", "5", "9", "3"]


def test_missing_usage_is_estimated_from_the_texts(ingested: Ingest, tmp_path: Path) -> None:
    record = chat(1, "hello world", system="hello", answer="hello world")
    del record["response"]["usage"]
    run, _ = ingested(write_lines(tmp_path / "x.jsonl", [record]))
    row = run.requests().row(0, named=True)
    # o200k_base: "hello" is one token, "hello world" two
    assert (row["usage_source"], row["input_uncached_tokens"], row["output_tokens"]) == (
        "estimated",
        3,
        2,
    )
    assert [s["tokens"] for s in row["segments"]] == [1, 2]
    assert pl.Series([s["role"] for s in row["segments"]]).to_list() == ["system", "user"]
