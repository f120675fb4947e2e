"""A log that needs more memory than there is says so before it is loaded."""

from pathlib import Path

import polars as pl
import pytest

from costaudit.contracts.requests import REQUESTS
from costaudit.contracts.run_dir import RunDir
from costaudit.pipeline.memory import ANALYZE, SPEND, Need, free_bytes, say_need
from costaudit.progress import SilentProgress


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
