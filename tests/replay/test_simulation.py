"""memory:// and the simulation make the same decisions, row by row."""

import numpy as np
import polars as pl
import pytest

from costaudit.contracts.policies import SemanticPolicy, TtlKind
from costaudit.replay.caches.memory import MemoryCache
from costaudit.simulate.semantic.keys import ELIGIBLE
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import sweep
from tests.replay.conftest import Log, make_log


def as_simulated(log: Log) -> Stream:
    stream = log.stream
    return Stream(
        texts=pl.DataFrame({"text_id": log.texts, "text": log.texts}),
        text=stream.rows.astype(np.int32),
        partition=stream.partitions.astype(np.int32),
        pool=stream.partitions.astype(np.int32),
        ts_s=stream.ts_s,
        ready_s=stream.ready_s,
        bypass=np.where(stream.rows < 0, 1 - ELIGIBLE, ELIGIBLE).astype(np.int8),
        timed=True,
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_every_row_of_every_policy_is_the_same(seed: int) -> None:
    log = make_log(1200, seed, texts=400)
    lifetimes: list[tuple[float | None, TtlKind]] = [
        (None, "fixed"), (15.0, "fixed"), (15.0, "sliding"),
    ]  # fmt: skip
    policies = [
        SemanticPolicy(limit, ttl_s=ttl_s, ttl_kind=kind)
        for limit in (0.6, 0.75, 0.9, 1.5)
        for ttl_s, kind in lifetimes
    ]
    decisions = sweep(as_simulated(log), log.vectors, policies)
    for place, policy in enumerate(policies):
        outcomes = log.replay(
            MemoryCache(), min_similarity=policy.min_similarity, ttl_s=policy.ttl_s,
            ttl_kind=policy.ttl_kind,
        ).outcomes  # fmt: skip
        served = decisions.served[place]
        expected = [log.stream.request_ids[i] if i >= 0 else None for i in served]
        assert outcomes["matched_id"].to_list() == expected, policy
        similarity = outcomes["similarity"].to_numpy()
        assert np.array_equal(similarity[served >= 0], decisions.similarity[place][served >= 0])
        assert (served >= 0).sum() > 100
