"""A log that needs more memory than there is says so before it is loaded."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from costaudit.cli.analyze import Asked
from costaudit.contracts.requests import REQUESTS
from costaudit.contracts.run_dir import RunDir, column
from costaudit.embed.embedder import EmbedderSpec
from costaudit.pipeline.analyze import audit_of
from costaudit.pipeline.loaded import ingested
from costaudit.pipeline.memory import (
    ANALYZE,
    Comparison,
    Need,
    free_bytes,
    say_need,
)
from costaudit.pipeline.semantic.section import swept
from costaudit.progress import SilentProgress
from costaudit.simulate.semantic.pairs import Sizes
from tests.ingest.conftest import chat, write_lines


class Notes(SilentProgress):
    """Keeps the notes of finished stages."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def finish(self, note: str = "") -> None:
        self.said.append(note)


class Letters:
    """Counts the letters of a text."""

    spec = EmbedderSpec(name="letters", revision="1", dimensions=26, max_tokens=99, batch_tokens=99)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([len(text.split()) for text in texts], np.int32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.array([[0.1 + text.count(chr(97 + n)) for n in range(26)] for text in texts])
        unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit.astype(np.float32)


def said(run: RunDir, need: Need) -> list[str]:
    notes = Notes()
    say_need(need, run, notes)
    return notes.said


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """Return a run of 1,000 requests."""
    found = RunDir(tmp_path)
    row = {"request_id": "r", "source_file": "log"}
    pl.DataFrame([row] * 1_000, schema=REQUESTS).write_parquet(found.requests_path)
    return found


def test_what_does_not_fit_is_said(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("costaudit.pipeline.memory.free_bytes", lambda: 1e9)
    assert said(run, Need(600_000)) == []  # 0.9 GB
    (note,) = said(run, Need(800_000))
    assert note.startswith("1,000 requests need about 1.1 GB, and 1.0 GB are free")
    monkeypatch.setattr("costaudit.pipeline.memory.free_bytes", lambda: None)
    assert said(run, Need(800_000)) == []


def test_a_comparison_needs_vectors_and_decisions() -> None:
    """Of 585,466 questions and as many answers, 1,536 bytes each; of 31 policies, 8 per call."""
    found = Comparison(questions=585_466, calls=1_000_000, policies=31, dimensions=384)
    assert found.size == 585_466 * 2 * 1_536 + 1_000_000 * 248


@pytest.mark.parametrize(
    ("limits", "is_exact"),
    [
        ({}, True),
        ({"deadline_s": math.inf}, True),
        ({"deadline_s": 0.0, "sizes": Sizes(most_nodes=999)}, False),
        ({"sizes": Sizes(most_nodes=999)}, False),
    ],
    ids=["exact", "enough time", "no time and a large scope", "a large scope"],
)
def test_only_an_exact_sweep_says_what_its_vectors_need(
    limits: dict[str, Any], is_exact: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(tmp_path / "log.jsonl", [chat(n, f"Question {n}") for n in range(1_000)])
    options = replace(Asked(embedder="tests.pipeline.test_memory:Letters").options(), **limits)
    log = ingested([str(path)], RunDir(tmp_path / "run"), options, SilentProgress())
    notes = Notes()
    monkeypatch.setattr("costaudit.pipeline.memory.free_bytes", lambda: 8e4)
    result = swept(log, options, notes)
    assert result is not None and bool(result.section.points) == is_exact
    told = [note for note in notes.said if " GB are free" in note]
    needed = 1_000 * 2 * 4 * 26 + 1_000 * 8 * 31
    assert needed > 8e4
    if not is_exact:
        assert told == []
        return
    assert [note.partition(" about")[0] for note in told] == [
        "1,000 questions, compared with their answers, need"
    ]
    notes.said.clear()
    monkeypatch.setattr("costaudit.pipeline.memory.free_bytes", lambda: float(needed))
    swept(log, options, notes)
    assert not [note for note in notes.said if " GB are free" in note]


def test_a_run_that_cannot_be_read_is_left_to_its_reader(tmp_path: Path) -> None:
    assert said(RunDir(tmp_path), ANALYZE) == []
    (tmp_path / "requests.parquet").write_bytes(b"no table")
    assert said(RunDir(tmp_path), ANALYZE) == []


def test_free_memory_is_less_than_all_memory() -> None:
    free, meminfo = free_bytes(), Path("/proc/meminfo")
    if not meminfo.exists():
        assert free is None
        return
    total = int(meminfo.read_text().split("MemTotal:")[1].split()[0]) * 1024
    assert free is not None and 0 < free <= total


def test_columns_with_one_value_take_no_memory_after_an_audit(tmp_path: Path) -> None:
    """Polars would lay such a column out, and keep it so, wherever a stage reads it as a series."""
    path = write_lines(tmp_path / "log.jsonl", [chat(n, f"Question {n % 40}") for n in range(80)])
    options = Asked().options()
    log = ingested([str(path)], RunDir(tmp_path / "run"), options, SilentProgress())
    tables = {
        "requests": log.requests,
        "keyed": log.keyed,
        "priced": log.tariff.requests,
        "classes": log.tariff.classes,
    }
    before = {name: table.estimated_size() for name, table in tables.items()}
    laid_out = sum(column(log.requests, name).estimated_size() for name in REQUESTS)
    assert before["requests"] < laid_out / 1.5  # most columns have one value
    audit = audit_of(log, options, SilentProgress())
    assert audit.semantic is not None and audit.prefix is not None and audit.ledger.before.usd
    assert {name: table.estimated_size() for name, table in tables.items()} == before
