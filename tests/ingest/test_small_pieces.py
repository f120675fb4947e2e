"""Pieces of many small files are joined before they become tables, which stay the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from tests.ingest.conftest import Ingest, chat, write_lines


def folder_of_logs(tmp_path: Path) -> Path:
    """Write twelve files: repeated questions, audio units, odd texts, and a broken line in each."""
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(12):
        spoken = chat(number + 500, "Read this aloud")
        spoken["response"]["usage"]["prompt_tokens_details"] = {"audio_tokens": 30}
        told: list[Any] = [chat(number * 5 + n, f"Question {n % 7}") for n in range(6)]
        told += [chat(number * 5 - 5, "Question 0")] if number else []  # from the previous file
        odd = json.dumps(chat(number + 900, "odd")).replace('"odd"', '"\\ud800 caf\\u00e9"')
        write_lines(logs / f"{number:02d}.jsonl", [*told, spoken, "{broken", odd])
    return logs


def test_small_pieces_are_joined_into_the_tables_of_the_run(
    tmp_path: Path, ingested: Ingest
) -> None:
    run, summary = ingested(folder_of_logs(tmp_path))
    staging = run.path / "staging"
    assert len(list(staging.rglob("*.small"))) == 12
    assert not list(staging.rglob("*.rows"))  # the joined files are removed
    assert (summary.records, summary.merged, summary.skipped) == (119, 11, 12)
    for name in run.requests()["source_file"].unique():
        alone, _ = ingested(tmp_path / "logs" / name, into=f"alone-{name}")
        columns = ["native_id", "segments", "answer_id", "model", "user", "output_tokens", "ts"]
        own = run.requests().filter(source_file=name).select(columns)
        others = own.select("native_id").join(alone.requests(), on="native_id", how="left")
        assert_frame_equal(own, others.select(columns))
        missing = set(alone.blocks()["block_id"]) - set(run.blocks()["block_id"])
        assert not missing


@pytest.mark.parametrize("redact", ["hash", "mask"])
def test_what_is_redacted_is_never_kept_as_plain_values(
    redact: str, tmp_path: Path, ingested: Ingest
) -> None:
    log = write_lines(tmp_path / "x.jsonl", [chat(1, "Call me: 555-0100", user="ann@example.org")])
    ingested(log, redact=redact)
    assert not list((tmp_path / "run").rglob("*.small"))


def test_a_text_with_a_secret_is_not_kept_as_plain_values(tmp_path: Path, ingested: Ingest) -> None:
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    log = write_lines(tmp_path / "x.jsonl", [chat(1, user=secret), chat(2)])
    ingested(log)
    assert all(secret.encode() not in p.read_bytes() for p in (tmp_path / "run").rglob("*.*"))
