"""Tables that are read with numbers as keys say the same as their files."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from costaudit.contracts.requests import BLOCKS, REQUESTS
from costaudit.contracts.run_dir import RunDir
from costaudit.pipeline import narrow
from costaudit.simulate.segments import flat_segments

ROLES = ("tools", "system", "user", "assistant", "tool")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """Return a run with random prompts: some null, some empty, some of blocks that are not there.

    Its tables are read in three slices.
    """
    chance = np.random.default_rng(3)
    keys = [f"{n:032x}" for n in chance.permutation(50)]
    blocks = pl.DataFrame(
        {
            "block_id": keys[:40],
            "kind": chance.choice(["text", "tool_use", "of its own"], 40),
            "text": [None if chance.random() < 0.2 else f"text {n}" for n in range(40)],
            "chars": 6,
            "tokens": 2,
        },
        schema=BLOCKS,
    )

    def segment() -> dict[str, object]:
        return {
            "role": str(chance.choice(ROLES)),
            "kind": str(chance.choice(["text", "image", "of its own"])),
            "block_id": str(chance.choice(keys)),
            "tokens": int(chance.integers(0, 9)) or None,
            "cache_marker": str(chance.choice(["5m", "1h"])) if chance.random() < 0.3 else None,
        }

    def prompt() -> list[dict[str, object]] | None:
        return None if chance.random() < 0.2 else [segment() for _ in range(chance.integers(0, 4))]

    rows = [
        {
            "request_id": f"r{n}",
            "status": "ok",
            "segments": prompt(),
            "answer_id": None if chance.random() < 0.2 else str(chance.choice(keys)),
        }
        for n in range(25)
    ]
    found = RunDir(tmp_path)
    pl.DataFrame(rows, schema=REQUESTS).write_parquet(found.requests_path)
    blocks.write_parquet(found.blocks_path)
    return found


def test_keys_become_numbers_and_back(run: RunDir) -> None:
    requests, blocks = narrow.read_tables(run, 10)
    assert blocks["block_id"].to_list() == list(range(40))
    again, its_blocks = narrow.with_keys(run.blocks()["block_id"], requests, blocks)
    assert its_blocks.equals(run.blocks())
    there = pl.col("block_id").is_in(run.blocks()["block_id"].implode())
    expected = run.requests()
    assert again["segments"].list.len().equals(expected["segments"].list.len())
    flat = [one["segments"].drop_nulls().explode().struct.unnest() for one in (again, expected)]
    assert flat[0].drop("block_id").equals(flat[1].drop("block_id"))
    assert flat[0]["block_id"].equals(flat[1].select(pl.when(there).then("block_id"))["block_id"])


def test_unknown_keys_stay_apart_from_each_other(run: RunDir) -> None:
    requests, _ = narrow.read_tables(run, 10)
    number = requests["segments"].drop_nulls().explode().struct.field("block_id")
    key = run.requests()["segments"].drop_nulls().explode().struct.field("block_id")
    pairs = pl.DataFrame({"number": number, "key": key}).drop_nulls().unique()
    assert pairs["number"].n_unique() == pairs["key"].n_unique() == len(pairs)
    answers = pl.DataFrame({"n": requests["answer_id"], "k": run.requests()["answer_id"]}).unique()
    assert answers["n"].n_unique() == answers["k"].n_unique() == len(answers)


def test_prompts_are_laid_out_alike(run: RunDir) -> None:
    requests, blocks = narrow.read_tables(run, 10)
    one, other = flat_segments(requests, blocks), flat_segments(run.requests(), run.blocks())
    for name in ("offsets", "content", "block", "role", "marker", "tokens"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.kinds == other.kinds and np.array_equal(one.kind, other.kind)


def test_texts_are_known_with_and_without_prompts(run: RunDir) -> None:
    texts = {key for key, text in run.blocks().select("block_id", "text").iter_rows() if text}
    prompts, answers = run.requests()["segments"].to_list(), run.requests()["answer_id"].to_list()
    expected = {
        narrow.HAS_PROMPT: [
            any(one["block_id"] in texts for one in each or []) for each in prompts
        ],
        narrow.HAS_ANSWER: [one in texts for one in answers],
    }
    found = narrow.read_tables(run, 10)[0]
    assert {name: found[name].to_list() for name in expected} == expected
