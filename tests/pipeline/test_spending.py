"""What a run's calls cost is the same part by part on any engine as from tables in memory."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from costaudit.contracts.run_dir import RunDir
from costaudit.costing.spend import GROUPS
from costaudit.errors import RunDirError
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.pipeline.loaded import load, spent_by
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.pipeline.spending import spend_of_run
from costaudit.progress import SilentProgress
from tests.ingest.killing import Killing

SAMPLES = sorted(Path("sample_logs").glob("*.jsonl*"))


def made(log: Path, folder: Path) -> RunDir:
    run = RunDir(folder)
    ingest([str(log)], run, IngestOptions(), SilentProgress())
    return run


def options(engine: str = "local", workers: int = 1) -> AnalyzeOptions:
    return AnalyzeOptions(ingest=IngestOptions(engine=engine, workers=workers))


@pytest.mark.parametrize("log", SAMPLES, ids=lambda path: path.name)
def test_parts_of_a_sample_cost_what_its_tables_do(log: Path, tmp_path: Path) -> None:
    run = made(log, tmp_path / "run")
    whole = load(run, options())
    for rows in (1_000, 1 << 18):
        found, month = spend_of_run([str(run.path)], run, options(), SilentProgress(), rows=rows)
        assert found == whole.spend
        assert month == replace(whole.month.facts, trend=None)
    by = ("user", "provider", "session", "agent")
    found, _ = spend_of_run([str(run.path)], run, options(), SilentProgress(), by, rows=1_000)
    assert found == spent_by(whole, options(), by)


def test_spend_reads_no_prompts(tmp_path: Path) -> None:
    run = made(SAMPLES[0], tmp_path / "run")
    whole = spend_of_run([str(run.path)], run, options(), SilentProgress())
    run.blocks_path.write_bytes(b"no table")
    assert spend_of_run([str(run.path)], run, options(), SilentProgress()) == whole


@pytest.mark.parametrize(("engine", "workers"), [("pool", 2), ("ray", 2)])
def test_every_engine_adds_up_the_same(engine: str, workers: int, tmp_path: Path) -> None:
    run = made(SAMPLES[0], tmp_path / "run")
    one, two = (
        spend_of_run([str(run.path)], run, of, SilentProgress(), rows=100)
        for of in (options(), options(engine, workers))
    )
    assert one == two
    assert len(one[0].by) >= len(GROUPS)


def test_a_killed_worker_s_parts_are_added_up_by_another(tmp_path: Path) -> None:
    run = made(SAMPLES[0], tmp_path / "run")
    whole = spend_of_run([str(run.path)], run, options(), SilentProgress())
    press = Killing(this=False, stage="price")
    found = spend_of_run([str(run.path)], run, options("pool", 2), press, rows=20)
    assert press.killed > 1  # it counts itself, too
    assert found == whole


def test_a_run_is_checked_before_it_is_added_up(tmp_path: Path) -> None:
    run = made(SAMPLES[0], tmp_path / "run")
    pl.read_parquet(run.requests_path).drop("tenant").write_parquet(run.requests_path)
    with pytest.raises(RunDirError, match="lacks the column 'tenant'"):
        spend_of_run([str(run.path)], run, options(), SilentProgress())
    run.requests_path.unlink()
    with pytest.raises(RunDirError, match=r"has no requests\.parquet"):
        spend_of_run([str(run.path)], run, options(), SilentProgress())
