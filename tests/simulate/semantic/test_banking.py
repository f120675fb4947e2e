"""The simulator compared with the plain loop on real questions."""

import dataclasses
import itertools

import numpy as np
import pytest

from costaudit.contracts.policies import Eviction, SemanticPolicy, TtlKind
from costaudit.simulate.semantic.division import Search
from costaudit.simulate.semantic.pairs import Sizes
from costaudit.simulate.semantic.sweep import sweep
from tests.simulate.semantic.banking import WEEK_S, embedded, questions, zipf
from tests.simulate.semantic.oracle import replay
from tests.simulate.semantic.streams import Drawn, make_stream

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Return 600 requests for 400 questions, two tenants, one week, latencies under a minute."""
    rng = np.random.default_rng(77)
    rows = rng.choice(len(questions()), 400, replace=False)
    texts = questions()[np.sort(rows)]
    vectors = embedded(texts, tmp_path_factory.mktemp("vectors"))
    text = zipf(len(texts), 600, 0.8, rng)
    text[-1] = len(texts) - 1
    ts = np.sort(rng.uniform(0, WEEK_S, 600))
    tenant = rng.integers(2, size=600)
    return make_stream(text, tenant, tenant, ts, rng.uniform(0, 60, 600)), vectors


def test_real_questions_decide_as_in_the_plain_loop(drawn: Drawn) -> None:
    stream, vectors = drawn
    base = SemanticPolicy(min_similarity=0.7)
    lifetimes: list[tuple[float | None, TtlKind]] = [
        (None, "fixed"), (DAY_S, "fixed"), (DAY_S, "sliding"),
    ]  # fmt: skip
    evictions: tuple[Eviction, ...] = ("lru", "lfu", "fifo")
    policies = [
        dataclasses.replace(base, min_similarity=t, ttl_s=ttl, ttl_kind=kind)
        for t, (ttl, kind) in itertools.product((0.7, 0.8, 0.9), lifetimes)
    ]
    policies += [
        dataclasses.replace(base, min_similarity=0.8, max_entries=40, eviction=eviction, ttl_s=ttl)
        for eviction, ttl in itertools.product(evictions, (None, DAY_S))
    ]
    decisions = sweep(stream, vectors, policies)
    each_block = Search(sizes=Sizes(listed_pairs=-1))
    streamed = sweep(stream, vectors, policies, search=each_block)
    np.testing.assert_array_equal(decisions.served, streamed.served)
    assert (decisions.served[0] >= 0).sum() > (decisions.served[6] >= 0).sum() > 100
    for place, policy in enumerate(policies):
        expected = replay(
            stream.text.tolist(), stream.partition.tolist(), stream.pool.tolist(),
            stream.ts_s.tolist(), stream.ready_s.tolist(), vectors, policy,
        )  # fmt: skip
        assert decisions.served[place].tolist() == expected.served, policy
        assert decisions.peak_entries[place] == expected.peak, policy
