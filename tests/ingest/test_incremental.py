"""Data already read is not read again, and the tables are the same however it was read."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from polars.testing import assert_frame_equal

from costaudit.contracts.run_dir import RunDir
from costaudit.errors import UsageError
from tests.ingest.conftest import Ingest, chat, write_lines

FORMATS = Path(__file__).parents[2] / "sample_logs" / "formats"


def records(start: int, stop: int) -> list[dict[str, Any]]:
    return [chat(n, f"Question {n % 50}", answer=f"Answer {n % 70}") for n in range(start, stop)]


def lines(start: int, stop: int) -> bytes:
    return b"".join(json.dumps(r).encode() + b"\n" for r in records(start, stop))


def assert_same_run(one: RunDir, other: RunDir) -> None:
    assert_frame_equal(one.requests(), other.requests())
    assert_frame_equal(one.blocks(), other.blocks())
    assert_frame_equal(one.skips(), other.skips())
    for name in ("requests", "blocks", "skips"):
        path = f"{name}.parquet"
        assert (one.path / path).read_bytes() == (other.path / path).read_bytes()


SMALL = {"task_bytes": 20_000, "piece_rows": 20}  # splits small files into many tasks and pieces


def test_units_and_pieces_leave_no_trace(ingested: Ingest, tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    log.write_bytes(lines(0, 500) + b"garbage\n" + lines(400, 600))
    whole, _ = ingested(log, into="whole")
    cut, summary = ingested(log, into="cut", **SMALL)
    assert len(list((cut.path / "staging").glob("*/span-*.json"))) > 5
    assert_same_run(whole, cut)
    assert (summary.records, summary.merged, summary.skipped) == (701, 100, 1)


def test_a_pool_gives_the_same_as_one_process(ingested: Ingest, tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    log.write_bytes(lines(0, 400))
    one, _ = ingested(log, into="one", **SMALL)
    pool, _ = ingested(log, into="pool", workers=2, **SMALL)
    assert_same_run(one, pool)


def test_a_growing_file_is_read_from_where_it_ended(ingested: Ingest, tmp_path: Path) -> None:
    log, content = tmp_path / "x.jsonl", lines(0, 300)
    cuts = [0, 60_000, 60_001, 150_000, 151_000, len(content)]  # most cuts are inside a line
    for cut in cuts[1:]:
        before = log.stat().st_size if log.exists() else 0
        log.write_bytes(content[:cut])
        grown, summary = ingested(log, into="grown")
        # only new data is read, and the unfinished line before it
        assert summary.read_bytes <= cut - before + 1_000
    whole, _ = ingested(log, into="whole")
    assert_same_run(grown, whole)


def test_an_unfinished_last_line_is_skipped_until_it_is_finished(
    ingested: Ingest, tmp_path: Path
) -> None:
    log, content = tmp_path / "x.jsonl", lines(0, 3)
    log.write_bytes(content[:-100])
    run, summary = ingested(log)
    assert (summary.kept, summary.skip_reasons) == (2, {"truncated": 1})
    log.write_bytes(content)
    run, summary = ingested(log)
    assert (summary.kept, summary.skip_reasons) == (3, {})
    assert run.skips().is_empty()


def test_an_unchanged_log_is_not_read_again(ingested: Ingest, tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    log.write_bytes(lines(0, 50))
    (tmp_path / "y.jsonl.gz").write_bytes(gzip.compress(lines(50, 99)))
    _, first = ingested(log, tmp_path / "y.jsonl.gz")
    before = (tmp_path / "run" / "requests.parquet").read_bytes()
    _, second = ingested(log, tmp_path / "y.jsonl.gz")
    assert (first.read_bytes > 0, second.read_bytes) == (True, 0)
    assert (tmp_path / "run" / "requests.parquet").read_bytes() == before
    assert second.kept == first.kept == 99


def test_tables_are_written_again_only_where_they_are_not_there(
    ingested: Ingest, tmp_path: Path
) -> None:
    log = tmp_path / "x.jsonl"
    log.write_bytes(lines(0, 50) + b"{broken\n")
    _, first = ingested(log)
    tables = [tmp_path / "run" / f"{name}.parquet" for name in ("requests", "blocks", "skips")]
    content, written = [t.read_bytes() for t in tables], [t.stat().st_mtime_ns for t in tables]
    _, second = ingested(log)
    assert [t.stat().st_mtime_ns for t in tables] == written
    assert second == replace(first, read_bytes=0)
    tables[0].unlink()
    tables[1].write_bytes(content[1][:100])
    _, third = ingested(log)
    assert third == second
    assert [t.read_bytes() for t in tables] == content
    _, undeduped = ingested(log, dedupe=False)
    assert (undeduped.kept, undeduped.skipped) == (50, 1)


def test_a_new_file_joins_those_that_are_named_with_it(ingested: Ingest, tmp_path: Path) -> None:
    paths = [write_lines(tmp_path / f"{n}.jsonl", records(n * 20, n * 20 + 30)) for n in range(3)]
    for first in (2, 1, 0):
        joined, summary = ingested(*paths[first:], into="joined")
        assert 0 < summary.read_bytes < 1.2 * paths[first].stat().st_size
    whole, summary = ingested(*paths, into="whole")
    assert_same_run(joined, whole)
    assert (summary.kept, summary.merged) == (70, 20)


def test_a_file_that_is_no_longer_named_leaves_the_run(ingested: Ingest, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    paths = [write_lines(folder / f"{n}.jsonl", records(n * 20, n * 20 + 30)) for n in range(3)]
    run, _ = ingested(folder)
    paths[0].unlink()  # rotated away
    run, summary = ingested(folder)
    assert summary.read_bytes == 0
    only, _ = ingested(*paths[1:], into="only")
    assert_same_run(run, only)


def test_another_log_is_another_run(ingested: Ingest, tmp_path: Path) -> None:
    one, other = (write_lines(tmp_path / f"{n}.jsonl", records(n, n + 20)) for n in (0, 50))
    run, _ = ingested(one)
    before = run.requests_path.read_bytes()
    with pytest.raises(UsageError, match=r"run of another log: 0\.jsonl"):
        ingested(other)
    assert run.requests_path.read_bytes() == before
    moved = tmp_path / "elsewhere" / one.name
    moved.parent.mkdir()
    one.rename(moved)
    assert ingested(moved)[1].kept == 20  # the same log at another path


def test_files_of_others_are_left_alone(ingested: Ingest, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "x.jsonl", records(0, 5))
    for name, content in (("requests.parquet", b"mine"), ("manifest.json", b'{"name": "a site"}')):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).write_bytes(content)
        with pytest.raises(UsageError, match="not costaudit's"):
            ingested(log, into=folder.name)
        assert [path.name for path in folder.iterdir()] == [name]
        assert (folder / name).read_bytes() == content


def test_two_processes_do_not_write_one_run(ingested: Ingest, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "x.jsonl", records(0, 5))
    run, _ = ingested(log)
    with run.claimed(), pytest.raises(UsageError, match=f"written by process {os.getpid()} on"):
        ingested(log)
    assert ingested(log)[1].kept == 5


def test_a_rewritten_file_is_read_anew(ingested: Ingest, tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    log.write_bytes(lines(0, 100))
    ingested(log)
    log.write_bytes(lines(200, 300) + lines(300, 310))
    run, summary = ingested(log)
    whole, _ = ingested(log, into="whole")
    assert summary.kept == 110
    assert_same_run(run, whole)


def test_other_options_read_everything_anew(ingested: Ingest, tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    log.write_bytes(lines(0, 20))
    run, _ = ingested(log)
    assert run.blocks()["text"].null_count() == 0
    run, summary = ingested(log, redact="hash")
    assert summary.read_bytes > 0
    assert run.blocks()["text"].null_count() == len(run.blocks())


def test_a_redacted_run_stays_redacted(ingested: Ingest, tmp_path: Path) -> None:
    log = tmp_path / "x.jsonl"
    log.write_bytes(lines(0, 20))
    run, _ = ingested(log, redact="mask")
    before = run.blocks_path.read_bytes()
    with pytest.raises(UsageError, match="read with --redact mask"):
        ingested(log)
    assert run.blocks_path.read_bytes() == before
    ingested(log, redact="hash")
    with pytest.raises(UsageError, match="read with --redact hash"):
        ingested(log)


KILLED = """
import sys
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.ingest import ingest
from costaudit.progress import SilentProgress
from pathlib import Path

options = IngestOptions(task_bytes=40_000, piece_rows=40)
ingest(sys.argv[2:], RunDir(Path(sys.argv[1])), options, SilentProgress())
"""


def kill_and_resume(tmp_path: Path, ingested: Ingest, times: int, seed: int) -> list[int]:
    """Kill an ingest `times` times, then finish it; return the committed pieces after each kill."""
    logs = [tmp_path / "plain.jsonl", tmp_path / "packed.jsonl.zst", tmp_path / "session.jsonl"]
    logs[0].write_bytes(lines(0, 1_500) + b'{"broken": \n')
    logs[1].write_bytes(zstandard.compress(lines(1_000, 3_000)))
    logs[2].write_bytes((FORMATS / "claude_code.jsonl").read_bytes())
    run = RunDir(tmp_path / "killed")
    command = [sys.executable, "-c", KILLED, str(run.path), *map(str, logs)]
    chance, committed = random.Random(seed), []
    for _ in range(times):
        process = subprocess.Popen(command, start_new_session=True)
        moment = time.monotonic() + chance.uniform(0.2, 3.0)
        while process.poll() is None and time.monotonic() < moment:
            time.sleep(0.005)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        committed.append(len(list(run.path.glob("staging/*/span-*.json"))))
    subprocess.run(command, check=True)
    whole, _ = ingested(*logs, into="whole")
    assert_same_run(run, whole)
    assert not list(run.path.rglob("*.part"))
    return committed


def test_a_killed_ingest_resumes(tmp_path: Path, ingested: Ingest) -> None:
    committed = kill_and_resume(tmp_path, ingested, times=3, seed=7)
    assert committed == sorted(committed)  # committed pieces are never lost


@pytest.mark.slow
def test_an_ingest_killed_twenty_times_resumes(tmp_path: Path, ingested: Ingest) -> None:
    committed = kill_and_resume(tmp_path, ingested, times=20, seed=11)
    assert committed == sorted(committed)
