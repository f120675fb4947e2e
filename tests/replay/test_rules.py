"""memory:// with a limit on entries and a guard decides like the simulation's oracle."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.policies import Eviction, SemanticPolicy, TtlKind
from costaudit.errors import UsageError
from costaudit.replay.backends import Recorded, cache_at, upstream_at
from costaudit.replay.cache import Guard, Pairs
from costaudit.replay.caches.memory import MemoryCache
from costaudit.replay.options import ReplayOptions
from costaudit.replay.replay import check_rules
from costaudit.replay.stream import ReplayStream
from tests.replay.conftest import TRAFFIC, Log, make_log
from tests.simulate.semantic.oracle import replay as oracle


def odd_pairs(asked: Pairs, held: Pairs) -> npt.NDArray[np.bool_]:
    """Refuse pairs whose rows have an odd sum: an arbitrary rule."""
    refused: npt.NDArray[np.bool_] = (np.asarray(asked) + np.asarray(held)) % 2 == 1
    return refused


def assert_equals_oracle(log: Log, guard: Guard | None = None, **options: Any) -> list[str | None]:
    named: dict[str, Any] = {"guard": ("numbers",)} if guard is not None else {}
    settings = {"min_similarity": 0.75, **options}
    result = log.replay(MemoryCache(), rule=guard, pipeline=16, **named, **settings)
    stream = log.stream
    expected = oracle(
        stream.rows.tolist(),
        stream.partitions.tolist(),
        (stream.partitions if stream.pools is None else stream.pools).tolist(),
        stream.ts_s.tolist(),
        stream.ready_s.tolist(),
        log.vectors,
        SemanticPolicy(**settings),
        None
        if guard is None
        else lambda one, other: bool(guard(*np.array([[one], [other]], np.int32))[0]),
    ).served
    matched = result.outcomes["matched_id"].to_list()
    assert matched == [stream.request_ids[i] if i >= 0 else None for i in expected]
    return matched


@settings(max_examples=60)
@given(
    **TRAFFIC,
    max_entries=st.sampled_from([1, 2, 5, 12]),
    eviction=st.sampled_from(["lru", "lfu", "fifo"]),
    guarded=st.booleans(),
)
def test_decisions_equal_the_oracle_at_any_traffic(
    seed: int,
    rate: float,
    latency_s: float,
    ttl_s: float | None,
    ttl_kind: TtlKind,
    max_entries: int,
    eviction: Eviction,
    guarded: bool,
) -> None:
    log = make_log(150, seed, texts=30, partitions=3, rate=rate, latency_s=latency_s)
    log = Log(with_pools(log.stream), log.vectors, log.texts)
    assert_equals_oracle(
        log, odd_pairs if guarded else None, ttl_s=ttl_s, ttl_kind=ttl_kind,
        max_entries=max_entries, eviction=eviction,
    )  # fmt: skip


def with_pools(stream: ReplayStream) -> ReplayStream:
    """Return the stream with partitions 0 and 1 in one pool, like two histories of one scope."""
    return replace(stream, pools=np.where(stream.partitions < 2, 0, 1))


def test_a_limit_costs_hits_and_each_eviction_chooses_otherwise(log: Log) -> None:
    chosen = [
        assert_equals_oracle(log, max_entries=10, eviction=eviction)
        for eviction in ("lru", "lfu", "fifo")
    ]
    hits = [sum(one is not None for one in matched) for matched in chosen]
    assert max(hits) < sum(one is not None for one in assert_equals_oracle(log))
    assert chosen[0] != chosen[1] != chosen[2]


def test_a_guard_refuses_near_entries_and_never_identical_text(log: Log) -> None:
    free, guarded = assert_equals_oracle(log), assert_equals_oracle(log, odd_pairs)
    assert 0 < sum(one is not None for one in guarded) < sum(one is not None for one in free)
    rows = dict(zip(log.stream.request_ids, log.stream.rows.tolist(), strict=True))
    pairs = [(rows[r], rows[m]) for r, m in zip(rows, guarded, strict=True) if m is not None]
    assert all((one + other) % 2 == 0 for one, other in pairs)
    assert any(one == other for one, other in pairs)


@pytest.mark.parametrize(
    ("address", "options", "said"),
    [
        ("redis://h:1", {"max_entries": 500}, "500 entries a scope"),
        ("redis://h:1?flavour=vectorset", {"guard": ("numbers",)}, "apply a guard"),
        ("http://h:1/v1?product=litellm", {"max_entries": 5}, "5 entries a scope"),
        ("http://h:1/v1", {"guard": ("all",)}, "apply a guard"),
    ],
)
def test_a_rule_that_a_cache_would_not_keep_is_refused(
    address: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        check_rules(cache_at(address), Recorded(), ReplayOptions(min_similarity=0.9, **options))
    assert "memory://" in refused.value.hint


def test_a_limit_goes_with_the_log_s_own_answers_and_no_journal(log: Log, tmp_path: Path) -> None:
    limited = ReplayOptions(min_similarity=0.9, max_entries=5)
    with pytest.raises(UsageError, match="own answers"):
        check_rules(MemoryCache(), upstream_at("http://127.0.0.1:9/v1"), limited)
    with pytest.raises(UsageError, match="no journal"):
        log.replay(MemoryCache(), max_entries=5, resume_path=tmp_path / "journal")
