"""A log that needs more memory than there is says so before it is loaded."""

from pathlib import Path

import polars as pl
import pytest

from costaudit.cli.analyze import Asked
from costaudit.contracts.requests import REQUESTS
from costaudit.contracts.run_dir import RunDir, column
from costaudit.pipeline.analyze import audit_of
from costaudit.pipeline.loaded import ingested
from costaudit.pipeline.memory import ANALYZE, SPEND, Need, free_bytes, say_need
from costaudit.progress import SilentProgress
from tests.ingest.conftest import chat, write_lines


class Notes(SilentProgress):
    """Keeps the notes of finished stages."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def finish(self, note: str = "") -> None:
        self.said.append(note)


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


def test_spend_reads_no_prompts() -> None:
    assert not SPEND.prompts and SPEND.bytes_per_call < ANALYZE.bytes_per_call


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
