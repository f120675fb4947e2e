"""The plan of reading a log: its parts, and an estimate from a trial that keeps nothing."""

import gzip
import json
import os
from pathlib import Path

import pytest

from costaudit.contracts.run_dir import RunDir
from costaudit.errors import InputError, UsageError
from costaudit.ingest.content.redaction import Redaction
from costaudit.ingest.files.inputs import expand
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.reading_plan import (
    MEMORY_BYTES,
    MEMORY_BYTES_PER_CALL,
    TRIAL_BYTES,
    ReadingPlan,
    reading_plan,
)
from costaudit.ingest.staging.plan import plan_file
from costaudit.scratch import scratch_folder
from tests.conftest import ROOT, installed
from tests.ingest.conftest import chat, write_lines

RECORDS = 3_000


def write_log(path: Path) -> int:
    """Write calls that all have the same length; return the bytes."""
    write_lines(path, [chat(n, f"Question {n:06d}?") for n in range(RECORDS)])
    return path.stat().st_size


def plan_of(
    inputs: list[str], options: IngestOptions, trial_bytes: int = TRIAL_BYTES
) -> ReadingPlan:
    with scratch_folder() as folder:
        return reading_plan(inputs, options, RunDir(folder), trial_bytes)


def test_equal_calls_are_counted_from_a_fifth_of_them(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    size = write_log(log)
    asked = IngestOptions(workers=2, task_bytes=size // 7 + 1)
    plan = plan_of([str(log)], asked, trial_bytes=size // 5)
    assert (plan.files, plan.stored_bytes, plan.partitions) == (1, size, 7)
    assert (plan.workers, plan.whole_files, plan.untold_bytes, plan.no_logs) == (2, 0, 0, 0)
    assert size // 5 <= plan.tried_bytes < size  # whole chunks are read
    # a record less may be tried than its bytes say, and time is shared by two workers
    assert plan.records == pytest.approx(RECORDS, rel=2 / plan.tried_records)
    assert plan.read_s == pytest.approx(plan.tried_s * size / plan.tried_bytes / 2)
    assert plan.memory_bytes == MEMORY_BYTES + MEMORY_BYTES_PER_CALL * plan.records
    assert not plan.is_whole


def test_a_compressed_file_is_one_partition_and_takes_the_time_of_one_worker(
    tmp_path: Path,
) -> None:
    size = write_log(tmp_path / "a.jsonl")
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    (tmp_path / "notes.txt").write_text("not a log")
    plan = plan_of([str(tmp_path)], IngestOptions(workers=2, task_bytes=size // 2 + 1))
    assert (plan.files, plan.partitions, plan.whole_files, plan.no_logs) == (2, 3, 1, 1)
    assert plan.stored_bytes == plan.tried_bytes == size + packed.stat().st_size
    assert plan.records == plan.tried_records == 2 * RECORDS
    assert plan.tried_s / 2 <= plan.read_s <= plan.tried_s
    assert plan.is_whole
    part = plan_of([str(packed)], IngestOptions(), trial_bytes=size // 5)
    assert not part.is_whole  # although all of its few bytes were read


def test_what_was_not_tried_is_said() -> None:
    table = ROOT / "sample_logs" / "formats" / "litellm_spend.csv"
    plan = plan_of([str(table)], IngestOptions())
    assert (plan.untold_bytes, plan.tried_records) == (table.stat().st_size, 0)


def test_a_pipe_can_t_be_tried_and_no_log_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="only once"):
        plan_of([str(tmp_path / "pipe")], IngestOptions())
    (tmp_path / "notes.jsonl").write_text(json.dumps({"a": 1}) + "\n")
    with pytest.raises(InputError):
        plan_of([str(tmp_path / "notes.jsonl")], IngestOptions())


def test_the_command_prints_it_and_writes_nothing(tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    said = installed("ingest", "log.jsonl", "--dry-run", cwd=tmp_path)
    assert said.code == 0, said.err
    assert said.out.startswith("1 file of 1.") and "about 3,000 records" in said.out
    assert said.out.endswith("Nothing was written.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_the_last_tasks_are_small_so_that_all_workers_end_together(tmp_path: Path) -> None:
    line = json.dumps(chat(1, "x" * 1_000)) + "\n"
    count = (56 << 20) // len(line)
    (tmp_path / "log.jsonl").write_text(line * count)
    [item] = expand([str(tmp_path / "log.jsonl")])
    units, _ = plan_file(item, tmp_path / "run", IngestOptions(task_bytes=8 << 20), Redaction())
    ends = [unit.end or 0 for unit in units]
    assert [unit.start for unit in units] == [0, *ends[:-1]]
    assert ends[-1] == len(line) * count
    sizes = [end - unit.start for unit, end in zip(units, ends, strict=True)]
    assert all(0 <= size - (8 << 20) < len(line) for size in sizes[:3])
    assert max(sizes[3:]) < (4 << 20) + len(line)
