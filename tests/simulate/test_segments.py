"""Flat segments are the same whatever slices they are unpacked in."""

from pathlib import Path

import numpy as np
import pytest

from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.progress import SilentProgress
from costaudit.simulate import segments

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
