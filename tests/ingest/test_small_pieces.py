"""Many small files: their pieces are joined before they become tables, and the tables are equal."""

import json
from pathlib import Path
from typing import Any

import pytest

from costaudit.ingest.staging import piece_tables, pieces
from tests.ingest.conftest import Ingest, chat, write_lines


def folder_of_logs(tmp_path: Path) -> Path:
    """Write twelve files: questions that repeat, tools, units, a skip in each, odd texts."""
    logs = tmp_path / "logs"
    logs.mkdir()
    for number in range(12):
        spoken = chat(number + 500, "Read this aloud")
        spoken["response"]["usage"]["prompt_tokens_details"] = {"audio_tokens": 30}
        told: list[Any] = [chat(number * 5 + n, f"Question {n % 7}") for n in range(6)]
        told += [chat(number * 5 - 5, "Question 0")] if number else []  # as in the file before
        odd = json.dumps(chat(number + 900, "odd")).replace('"odd"', '"\\ud800 caf\\u00e9"')
        write_lines(logs / f"{number:02d}.jsonl", [*told, spoken, "{broken", odd])
    return logs


def same_tables(one: Path, other: Path) -> bool:
    names = ("requests", "blocks", "skips", "merged")
    return all(
        (one / f"{name}.parquet").read_bytes() == (other / f"{name}.parquet").read_bytes()
        for name in names
    )


@pytest.mark.parametrize("together", [1, 3_000, 1 << 30])
def test_small_pieces_leave_no_trace(
    together: int, tmp_path: Path, ingested: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = folder_of_logs(tmp_path)
    monkeypatch.setattr(pieces, "JOINED_BYTES", together)
    _, summary = ingested(logs, into="joined")
    staging = tmp_path / "joined" / "staging"
    assert len(list(staging.rglob("*.small"))) == 12
    assert not list(staging.rglob("*.rows"))  # what joined them is gone
    monkeypatch.setattr(piece_tables, "FEW", -1)
    _, apart = ingested(logs, into="apart")
    assert not list((tmp_path / "apart").rglob("*.small"))
    assert same_tables(tmp_path / "joined", tmp_path / "apart")
    assert summary == apart and (summary.records, summary.merged) == (119, 11)


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
