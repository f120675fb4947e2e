"""Decisions as a table that satisfies the conservation laws."""

import numpy as np
import pytest

from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.requests import check_outcomes
from costaudit.simulate.semantic.stream import keyed_stream
from costaudit.simulate.semantic.sweep import sweep, to_outcomes
from tests.simulate.traffic import Log


def test_hits_cost_nothing_and_name_what_they_served() -> None:
    log = Log()
    log.call([("user", "a", 5)], at=0, latency_ms=100.0)
    log.call([("user", "a", 5)], at=1, latency_ms=100.0)
    log.call([("user", "b", 7)], at=2, latency_ms=100.0)
    log.call([("user", "c", 9)], at=3, latency_ms=100.0)
    log.call([("user", "a", 5)], at=4, status="error")
    log.call([("user", "a", 5)], at=5, temperature=2.0)
    requests, blocks = log.tables()
    policies = [SemanticPolicy(min_similarity=t, scope=()) for t in (0.7, 0.9)]
    stream = keyed_stream(requests, blocks, policies[0])
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)  # a·b = .8, b·c = .6
    decisions = sweep(stream, vectors, policies)
    loose, strict = (to_outcomes(decisions, k, stream, requests) for k in (0, 1))
    for table in (loose, strict):
        check_outcomes(table, 6)
    assert loose["result"].to_list() == ["miss", "hit", "hit", "miss", "error", "bypass"]
    assert loose["reason"].to_list() == [
        None, "exact", "similar", None, "status_error", "temperature",
    ]  # fmt: skip
    assert loose["matched_id"].to_list() == [None, "r0", "r0", None, None, None]
    assert loose["similarity"].to_list() == [
        None, 1.0, pytest.approx(0.8), None, None, None,
    ]  # fmt: skip
    assert loose["input_uncached_tokens"].to_list() == [5, 0, 0, 9, 5, 5]
    assert loose["latency_ms"].to_list() == [100.0, None, None, 100.0, None, None]
    assert strict["result"].to_list() == ["miss", "hit", "miss", "miss", "error", "bypass"]
    assert loose["policy_id"].unique().to_list() == [policies[0].policy_id]
