"""The run directory writes files atomically and reports what is missing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.manifest import (
    MANIFEST_VERSION,
    ByteRange,
    Check,
    Convention,
    IngestRecord,
    Manifest,
    ManifestInput,
    ReadingOptions,
    TablesMade,
)
from costaudit.contracts.requests import SKIPS, check_table, in_order
from costaudit.contracts.run_dir import BY_COLUMN, RunDir, atomic_write, write_table
from costaudit.errors import RunDirError


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "table.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(target) as part:
        part.write_text("half")
        _ = 1 / 0
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.txt"]


def test_a_killed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "table.txt"
    target.write_text("old")
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from costaudit.contracts.run_dir import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as part:\n"
        "    part.write_text('half')\n    os.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert run.returncode == -9
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    with atomic_write(target) as part:
        with atomic_write(target) as other:  # of a process that lives, as far as locks can tell
            assert part.exists()
            other.write_text("other")
        part.write_text("new")
    assert target.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["table.txt"]


def test_a_large_table_is_read_like_a_small_one(tmp_path: Path) -> None:
    rows = 60_000
    ids = np.random.default_rng(1).bytes(16 * rows).hex()
    table = pl.DataFrame(
        {
            "source_file": ["a.jsonl"] * (rows - 1) + ["b.jsonl"],
            "source_offset": pl.Series([7] * rows),
            "fate": pl.Series(["merged"] * (rows - 1) + [None]),
            "reason": [ids[32 * row : 32 * row + 32] for row in range(rows)],
            "detail": ["ñ"] * rows,
            "merged_into": pl.Series([None] * rows, dtype=pl.String),
        }
    )
    run = RunDir(tmp_path)
    write_table(table, run.skips_path, SKIPS)
    assert run.skips_path.stat().st_size > BY_COLUMN
    assert run.skips().equals(table)
    assert run.skips().schema == SKIPS
    assert run.skips().filter(pl.col("merged_into").is_null(), detail="ñ").height == rows


def test_tables_are_checked_where_written_and_where_read(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    good = pl.DataFrame(schema=SKIPS)
    write_table(good, run.skips_path, SKIPS)
    assert run.skips().schema == SKIPS
    for bad, word in (
        (good.drop("reason"), "lacks"),
        (good.with_columns(pl.col("source_offset").cast(pl.Int32)), "Int32"),
        (good.with_columns(extra=pl.lit(1)), "extra"),
    ):
        with pytest.raises(RunDirError, match=word):
            write_table(bad, run.skips_path, SKIPS)
        with pytest.raises(RunDirError, match=word):
            check_table(bad.lazy(), SKIPS, "skips.parquet")


def test_what_is_missing_or_spoilt_is_said_with_a_next_step(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    for read in (run.manifest, run.requests, run.blocks, run.skips):
        with pytest.raises(RunDirError) as caught:
            read()
        assert "costaudit ingest" in caught.value.hint
    run.manifest_path.write_text("{")
    with pytest.raises(RunDirError, match=r"manifest\.json"):
        run.manifest()
    run.manifest_path.write_text('{"manifest_version": 999}')
    with pytest.raises(RunDirError, match="another version"):
        run.manifest()
    run.requests_path.write_bytes(b"PAR1 not really")
    with pytest.raises(RunDirError, match=r"requests\.parquet"):
        run.requests()


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    options = ReadingOptions("auto", (), False, True, None, None, ("model=m",), "mask", 2, 1000.0)
    record = IngestRecord(
        records=3, kept=1, merged=1, skipped=1, skip_reasons={"bad-json": 1}, merged_cost={},
        colliding_ids=(0, 0),
        ambiguous_conventions=0, conventions=(Convention("a", "openai", "m", "inclusive", 1, 0),),
        checks=(Check("a", "there is a time", 1, 0),), unread_usage={"x": (1, 2.5)},
            unreadable_usage={"web search": 2},
        options=options, made=TablesMade("key", {"requests.parquet": (10, 20)}),
    )  # fmt: skip
    file = ManifestInput(
        "a", "openai_chat", "choices", 9, 3, 1, 1, 1, "lines", (ByteRange(0, 9, "d"),)
    )
    written = Manifest((file,), "o200k_base", record)
    run = RunDir(tmp_path)
    run.write_manifest(written)
    assert run.manifest() == written


def test_a_manifest_without_its_parts_can_not_be_read(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.manifest_path.write_text(f'{{"manifest_version": {MANIFEST_VERSION}, "inputs": [1]}}')
    with pytest.raises(RunDirError, match=r"manifest\.json can't be read: .*inputs"):
        run.manifest()


def test_requests_stand_in_one_order_and_rows_without_time_go_last() -> None:
    frame = pl.DataFrame(
        {
            "ts": [None, 2, 1, 1],
            "source_file": ["a", "a", "b", "a"],
            "source_offset": [0, 9, 3, 7],
        }
    )
    assert in_order(frame)["source_offset"].to_list() == [7, 3, 9, 0]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, 1, 2]), st.sampled_from([None, "a", "b"]), st.integers(0, 2)
        ),
        max_size=4,
    )
)
@settings(max_examples=100)
def test_the_order_is_that_of_time_file_and_offset(rows: list[tuple[Any, ...]]) -> None:
    schema = {"ts": pl.Int64, "source_file": pl.String, "source_offset": pl.Int64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    by_place = sorted(rows, key=lambda row: [(one is None, one or 0) for one in row[:1]]
                      + [(row[1] is None, row[1] or ""), (False, row[2])])  # fmt: skip
    assert in_order(frame).rows() == by_place
