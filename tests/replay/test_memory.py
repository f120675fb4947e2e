"""memory:// decides each request as the definition does."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.policies import TtlKind
from costaudit.replay.caches.memory import MemoryCache
from tests.replay.conftest import TRAFFIC, Log, make_log
from tests.replay.oracle import decide


def assert_equals_oracle(log: Log, **options: Any) -> int:
    result = log.replay(MemoryCache(), **options)
    keys = ("min_similarity", "ttl_s", "ttl_kind")
    expected = decide(log.stream, log.vectors, **{k: options[k] for k in keys if k in options})
    rows = result.outcomes.select("result", "matched_id", "similarity").rows()
    ids = log.stream.request_ids
    for found, (kind, matched, value) in zip(rows, expected, strict=True):
        assert found[:2] == (kind, None if matched is None else ids[matched])
        assert found[2] == value
    return sum(kind == "hit" for kind, _, _ in expected)


@pytest.mark.parametrize("ttl_s", [None, 3.0, 40.0])
@pytest.mark.parametrize("ttl_kind", ["fixed", "sliding"])
@pytest.mark.parametrize("min_similarity", [0.6, 0.8, 1.0, 1.5])
def test_every_decision_equals_the_oracle(
    log: Log, ttl_s: float | None, ttl_kind: TtlKind, min_similarity: float
) -> None:
    hits = assert_equals_oracle(log, min_similarity=min_similarity, ttl_s=ttl_s, ttl_kind=ttl_kind)
    assert hits > 20


@settings(max_examples=40)
@given(
    **TRAFFIC,
    pipeline=st.sampled_from([1, 3, 64]),
)
def test_decisions_equal_the_oracle_at_any_traffic(
    seed: int, rate: float, latency_s: float, ttl_s: float | None, ttl_kind: TtlKind, pipeline: int
) -> None:
    log = make_log(120, seed, texts=30, partitions=2, rate=rate, latency_s=latency_s)
    assert_equals_oracle(
        log, min_similarity=0.75, ttl_s=ttl_s, ttl_kind=ttl_kind, pipeline=pipeline
    )


def test_of_two_equal_entries_the_newest_is_served() -> None:
    log = make_log(3, texts=3, partitions=1, bypass_share=0)
    log.vectors[:] = log.vectors[0]
    log.stream.rows[:] = [0, 1, 2]
    log.stream.ts_s[:] = [0, 1, 10]
    log.stream.ready_s[:] = [9, 2, 11]  # the older one arrives last
    outcomes = log.replay(MemoryCache(), min_similarity=0.9).outcomes
    assert outcomes["matched_id"].to_list() == [None, None, "r1"]


def test_partitions_never_meet(log: Log) -> None:
    log.stream.partitions[:] = np.arange(len(log.stream))
    assert "hit" not in set(log.replay(MemoryCache(), min_similarity=0.1).outcomes["result"])
