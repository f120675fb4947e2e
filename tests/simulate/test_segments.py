"""Flat segments are the same whatever slices they are unpacked in."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.contracts.requests import SEGMENT
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.progress import SilentProgress
from costaudit.simulate import segments
from costaudit.simulate.segments import numbered

SAMPLES = Path(__file__).parents[2] / "sample_logs"


@pytest.mark.parametrize("known", [1.0, 0.5, 0.0])
def test_slices_change_nothing_whatever_blocks_are_known(tmp_path: Path, known: float) -> None:
    run = RunDir(tmp_path / "run")
    ingest([str(SAMPLES / "agent_anthropic.jsonl.gz")], run, IngestOptions(), SilentProgress())
    requests, blocks = run.requests(), run.blocks()
    blocks = blocks[: int(known * len(blocks))]
    at_once = segments.flat_segments(requests, blocks)
    in_slices = segments.flat_segments(requests, blocks, 7)
    ids = requests["segments"].explode(empty_as_null=False).struct.field("block_id")
    assert len(at_once.content) == ids.len() > 100
    rows = {one: row for row, one in enumerate(blocks["block_id"].to_list())}
    assert at_once.block.tolist() == [rows.get(one, -1) for one in ids.to_list()]
    for name in ("offsets", "content", "block", "role", "marker", "kind", "tokens"):
        assert np.array_equal(getattr(at_once, name), getattr(in_slices, name)), name
    assert (at_once.kinds, at_once.contents) == (in_slices.kinds, in_slices.contents)
    whole = requests["segments"].explode(empty_as_null=False).struct.unnest()
    forms = whole.select("role", "kind", "block_id").rows()
    assert at_once.contents == len(set(forms))
    assert len(set(zip(forms, at_once.content.tolist(), strict=True))) == at_once.contents


def test_ids_are_found_at_their_first_row() -> None:
    known = [f"{number * 7919:032x}" for number in range(3_000)] * 2
    asked = [*known[::-1], "", "nowhere", "0" * 31]
    rows = segments.Rows(pl.Series(known)).of(pl.Series(asked))
    first = {one: row for row, one in reversed(list(enumerate(known)))}
    assert rows.tolist() == [first.get(one, -1) for one in asked]
    empty = pl.Series([], dtype=pl.String)
    assert segments.Rows(empty).of(pl.Series(asked[:2])).tolist() == [-1, -1]
    assert len(segments.Rows(pl.Series(known)).of(empty)) == 0


def test_more_kinds_than_a_byte_counts_stay_apart() -> None:
    kinds = [f"kind {number:03}" for number in range(300)]
    rows = [
        {"role": "user", "kind": kind, "block_id": "one", "tokens": 1, "cache_marker": None}
        for kind in kinds
    ]
    requests = pl.DataFrame({"segments": [rows]}, schema={"segments": pl.List(SEGMENT)})
    blocks = pl.DataFrame({"block_id": ["one"]})
    flat = segments.flat_segments(requests, blocks)
    assert [flat.kinds[kind] for kind in flat.kind] == kinds
    assert flat.contents == len(set(flat.content.tolist())) == len(kinds)


_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["", "a", "b", "ab"]),
        st.booleans(),
        st.integers(-3, 3),
        st.dates(date(2026, 1, 1), date(2026, 1, 3)),
    ),
    max_size=30,
)


@given(_ROWS)
def test_rows_are_numbered_like_a_rank_of_whole_rows(rows: list[tuple[Any, ...]]) -> None:
    schema = {"name": pl.String, "flag": pl.Boolean, "size": pl.Int64, "day": pl.Date}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    distinct, number = numbered(table)
    assert distinct.rows() == sorted(set(rows))
    assert [distinct.rows()[at] for at in number.tolist()] == rows
