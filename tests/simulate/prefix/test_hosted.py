"""Simulating block caches of all capacities in one pass equals one LRU cache per capacity."""

import gzip
import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.requests import in_order
from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.progress import SilentProgress
from costaudit.simulate.prefix.caches.block_cache import (
    BlockTrace,
    capacity_curve,
    prompt_blocks,
    trace_blocks,
)
from costaudit.simulate.prefix.tree.prompts import read_prompts
from tests.simulate.prefix.oracle import Call, word_prefixes
from tests.simulate.prefix.strategies import tables, traffic

SHARED = [parent / "shared" for parent in Path(__file__).resolve().parents]
TRACE = Path("data", "mooncake", "conversation_trace.jsonl.gz")
MOONCAKE = next((place / TRACE for place in SHARED if (place / TRACE).is_file()), None)


def lru_hits(requests: Sequence[Sequence[object]], capacity: int | None) -> list[int]:
    """Return each request's number of leading blocks found in one LRU cache of this capacity."""
    cache: OrderedDict[object, None] = OrderedDict()
    found = []
    for blocks in requests:
        hits, unbroken = 0, True
        for block in blocks:
            unbroken = unbroken and block in cache
            hits += unbroken
            cache[block] = None
            cache.move_to_end(block)
            if capacity is not None and len(cache) > capacity:
                cache.popitem(last=False)
        found.append(hits)
    return found


def as_logged(path: Path, tmp_path: Path) -> BlockTrace:
    """Ingest a trace of block hashes like any log."""
    run = RunDir(tmp_path / "run")
    ingest([str(path)], run, IngestOptions(), SilentProgress())
    return trace_blocks(read_prompts(in_order(run.requests()), run.blocks()), 512)


def trace_of(requests: list[list[int]], size: int = 4, rest: int = 1) -> BlockTrace:
    """Return a trace with blocks of `size` tokens; each request's last block has only `rest`."""
    ids = np.array([block for blocks in requests for block in blocks], np.int64)
    lengths = [len(blocks) for blocks in requests]
    tokens = [max(0, size * (count - 1) + rest) for count in lengths]
    return BlockTrace(
        np.cumsum([0, *lengths]).astype(np.int64), ids, size, np.array(tokens, np.int64)
    )


@given(st.lists(st.lists(st.integers(0, 7), max_size=6), min_size=1, max_size=25))
@settings(max_examples=80)
def test_one_pass_equals_one_cache_per_capacity(requests: list[list[int]]) -> None:
    blocks = sum(map(len, requests))
    trace = trace_of(requests)
    for point in capacity_curve(trace, (1, 2, 3, 5, 8)):
        hits = lru_hits(requests, point.blocks)
        tokens = sum(
            min(4 * count, size) for count, size in zip(hits, trace.input_tokens, strict=True)
        )
        assert point.block_hit_share == pytest.approx(sum(hits) / max(blocks, 1))
        assert point.token_hit_share == pytest.approx(tokens / max(trace.input_tokens.sum(), 1))


@given(st.lists(st.lists(st.integers(0, 30), max_size=8), min_size=1, max_size=40))
@settings(max_examples=50)
def test_more_capacity_never_hits_less(requests: list[list[int]]) -> None:
    curve = [point.token_hit_share for point in capacity_curve(trace_of(requests))]
    assert curve == sorted(curve)


@given(traffic(marked=False), st.sampled_from([64, 128, 500]))
@settings(max_examples=40)
def test_blocks_of_a_log_are_shared_as_far_as_its_prompts_are(calls: list[Call], size: int) -> None:
    calls = [Call(c.at, c.parts, c.to_first, c.took) for c in calls]
    trace = prompt_blocks(read_prompts(*tables(calls, model="m")), size)
    unlimited = capacity_curve(trace)[-1]
    seen: set[object] = set()
    hits = 0
    for call in calls:
        prefixes = word_prefixes(call)
        shared = max((tokens for key, tokens in prefixes if key in seen), default=0)
        hits += shared // size
        seen |= {key for key, _ in prefixes}
    assert unlimited.block_hit_share == pytest.approx(hits / max(len(trace.block), 1))


def test_a_trace_by_hand(tmp_path: Path) -> None:
    rows = [
        {"timestamp": 0, "input_length": 1024, "output_length": 1, "hash_ids": [7, 8]},
        {"timestamp": 9, "input_length": 1100, "output_length": 1, "hash_ids": [7, 8, 9]},
        {"timestamp": 5, "input_length": 600, "output_length": 1, "hash_ids": [7, 5]},
    ]
    path = tmp_path / "trace.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    points = {point.blocks: point for point in capacity_curve(as_logged(path, tmp_path), (1, 2, 3))}
    # In order of time: 7 8 | 7 5 | 7 8 9. Hits without a limit: 7 | 7 8, so 3 of 7 blocks and
    # 3 x 512 of 1,024 + 600 + 1,100 = 2,724 tokens. Reuse distances: block 7 repeats after 8
    # (distance 1) and after 5 (distance 1); block 8 after 7, 5, 7 (two distinct blocks).
    assert [points[c].block_hit_share * 7 for c in (1, 2, 3, None)] == pytest.approx([0, 2, 3, 3])
    assert points[None].token_hit_share == pytest.approx(1536 / 2724)


@pytest.mark.skipif(MOONCAKE is None, reason="the Mooncake trace is not beside the project")
def test_mooncake_conversation_trace(tmp_path: Path) -> None:
    assert MOONCAKE is not None
    trace = as_logged(MOONCAKE, tmp_path)
    unlimited, at_10_000 = (
        {point.blocks: point for point in capacity_curve(trace, (10_000,))}[c]
        for c in (None, 10_000)
    )
    assert round(unlimited.token_hit_share, 3) == 0.374
    assert round(unlimited.block_hit_share, 3) == 0.366
    assert round(at_10_000.block_hit_share, 3) == 0.211
