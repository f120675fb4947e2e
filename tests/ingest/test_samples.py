"""Ingesting the logs in sample_logs gives back what their generator wrote."""

import csv
import gzip
from pathlib import Path

import polars as pl
import pytest

from costaudit.contracts.requests import INPUT_CLASSES
from tests.ingest.conftest import Ingest

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_logs"


def line_offsets(path: Path) -> dict[int, int]:
    """Map each line's byte offset to its number; the first line follows a byte order mark."""
    offsets, at = {}, 0
    for number, line in enumerate(gzip.decompress(path.read_bytes()).split(b"\n"), 1):
        offsets[at + (3 if number == 1 else 0)] = number
        at += len(line) + 1
    return offsets


def test_each_line_of_the_broken_file_meets_its_fate(ingested: Ingest) -> None:
    run, summary = ingested(SAMPLES / "broken.jsonl.gz")
    lines = line_offsets(SAMPLES / "broken.jsonl.gz")
    found = {lines[offset]: ("kept", "") for offset in run.requests()["source_offset"]}
    for offset, fate, reason in run.skips().select("source_offset", "fate", "reason").iter_rows():
        assert lines[offset] not in found
        found[lines[offset]] = (fate, reason)
    with (ROOT / "tests/data/broken_expected.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            fate, reason = found.pop(int(row["line"]), ("blank", ""))
            assert (fate, reason in row["reason"].split("|")) == (row["fate"], True), row
    assert not found
    assert summary.records == summary.kept + summary.merged + summary.skipped


@pytest.mark.parametrize("name", ["agent_anthropic.jsonl.gz", "support_chatbot.jsonl.zst"])
def test_segments_add_up_to_the_billed_input(ingested: Ingest, name: str) -> None:
    run, _ = ingested(SAMPLES / name)
    requests = run.requests()
    split = pl.col("segments").list.eval(pl.element().struct.field("tokens")).list.sum()
    billed = requests.filter(pl.col("usage_source") == "provider")
    assert len(billed) > 300
    assert (billed.select(split - pl.sum_horizontal(INPUT_CLASSES)).to_series() == 0).all()
    assert requests["request_id"].is_unique().all()
    ids = set(run.blocks()["block_id"])
    assert len(ids) == len(run.blocks())
    assert set(requests["segments"].explode().struct.field("block_id")) <= ids


def test_gateway_hits_and_retries_of_the_chatbot_are_seen(ingested: Ingest) -> None:
    run, _ = ingested(SAMPLES / "support_chatbot.jsonl.zst")
    requests = run.requests()
    assert requests["served_by"].value_counts().rows_by_key("served_by").keys() == {
        "provider",
        "gateway_cache",
    }
    failed = requests.filter(pl.col("status") == "error")
    assert failed["usage_source"].unique().to_list() == ["missing"]
    assert requests["attempt"].min() == 0
    assert max(requests["attempt"].to_list()) <= 5
