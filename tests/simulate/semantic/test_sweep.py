"""The simulator compared with the plain loop, decision by decision, and with general laws."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.policies import SemanticPolicy
from costaudit.errors import InputError, InsufficientDataError, UsageError
from costaudit.simulate.semantic.division import Search
from costaudit.simulate.semantic.pairs import Sizes, upper_bounds
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import BYPASS, MISS, Decisions, sweep
from tests.simulate.semantic.oracle import replay
from tests.simulate.semantic.streams import (
    POLICIES,
    Drawn,
    make_stream,
    odd_sum,
    random_vectors,
    streams,
)


def check(stream: Stream, vectors: np.ndarray, decisions: Decisions, *, guarded: bool) -> None:
    """Assert that all decisions equal the plain loop's."""
    refused = np.full(decisions.served.shape, -1)
    refusals = decisions.refusals
    refused[refusals.policy, refusals.request] = refusals.entry
    for place, policy in enumerate(decisions.policies):
        expected = replay(
            stream.text.tolist(), stream.partition.tolist(), stream.pool.tolist(),
            stream.ts_s.tolist(), stream.ready_s.tolist(), vectors, policy,
            (lambda a, b: (a + 2 * b) % 3 == 0) if guarded else None,
        )  # fmt: skip
        assert decisions.served[place].tolist() == expected.served, policy
        assert refused[place].tolist() == expected.refused, policy
        np.testing.assert_array_equal(
            decisions.similarity[place], np.array(expected.similarity, dtype=np.float32)
        )
        assert decisions.peak_entries[place] == expected.peak, policy


@settings(max_examples=150)
@given(streams(), st.lists(POLICIES, min_size=1, max_size=9), st.booleans(), st.booleans())
def test_every_decision_equals_the_plain_loop(
    drawn: Drawn, policies: list[SemanticPolicy], guarded: bool, dense: bool
) -> None:
    stream, vectors = drawn
    # dense: search pairs again for each block of a few requests
    sizes = Sizes(listed_pairs=-1, look_ahead=17, block=23) if dense else Sizes(block=23)
    guard = odd_sum if guarded else None
    decisions = sweep(stream, vectors, policies, guard, Search(sizes=sizes))
    check(stream, vectors, decisions, guarded=guarded)


def decided(policies: list[SemanticPolicy], stream: Stream, vectors: np.ndarray) -> np.ndarray:
    return sweep(stream, vectors, policies).served


@settings(max_examples=25)
@given(streams(), st.lists(POLICIES, min_size=2, max_size=6))
def test_many_policies_decide_as_each_alone(drawn: Drawn, policies: list[SemanticPolicy]) -> None:
    stream, vectors = drawn
    together = sweep(stream, vectors, policies)
    for place, policy in enumerate(policies):
        alone = sweep(stream, vectors, [policy])
        np.testing.assert_array_equal(alone.served[0], together.served[place])
        assert alone.peak_entries[0] == together.peak_entries[place]


@settings(max_examples=25)
@given(streams())
def test_a_threshold_above_one_serves_identical_text_only(drawn: Drawn) -> None:
    stream, vectors = drawn
    (served,) = decided([SemanticPolicy(min_similarity=1.5)], stream, vectors)
    hits = np.flatnonzero(served >= 0)
    assert (stream.text[served[hits]] == stream.text[hits]).all()
    assert (stream.partition[served[hits]] == stream.partition[hits]).all()
    asked: dict[tuple[int, int], float] = {}  # when the first answer arrives
    for r, (text, partition) in enumerate(zip(stream.text, stream.partition, strict=True)):
        if text < 0:
            assert served[r] == BYPASS
            continue
        ready = asked.get((text, partition), np.inf)
        assert (served[r] >= 0) == (ready <= stream.ts_s[r])
        asked[text, partition] = min(ready, stream.ready_s[r])


@settings(max_examples=50)
@given(streams(), st.lists(POLICIES, min_size=1, max_size=5))
def test_identical_text_is_matched_without_vectors(
    drawn: Drawn, policies: list[SemanticPolicy]
) -> None:
    stream, vectors = drawn
    exact = [dataclasses.replace(policy, min_similarity=1.01) for policy in policies]
    check(stream, vectors, sweep(stream, None, exact), guarded=False)
    with pytest.raises(InputError, match="without vectors"):
        sweep(stream, None, [*exact, dataclasses.replace(exact[0], min_similarity=1.0)])


def test_more_policies_than_a_mask_holds() -> None:
    rng = np.random.default_rng(7)
    n = 400
    stream = make_stream(
        [0, *rng.integers(90, size=n - 1), 89],
        [0] * (n + 1),
        [0] * (n + 1),
        range(n + 1),
        [0] * (n + 1),
    )
    vectors = random_vectors(rng, 90, coarse=False)
    policies = [
        SemanticPolicy(min_similarity=t, ttl_s=ttl)
        for t, ttl in itertools.product(np.linspace(0.3, 1.0, 40).tolist(), (None, 20.0))
    ]
    assert len(policies) > 64
    check(stream, vectors, sweep(stream, vectors, policies), guarded=False)


def test_a_guard_is_asked_only_where_a_decision_hangs_on_it() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    stream = make_stream([0, 1, 2, 1, 1], [0] * 5, [0] * 5, range(5), [0] * 5)
    asked: list[tuple[int, int]] = []

    def refuse(wanted: np.ndarray, held: np.ndarray) -> np.ndarray:
        asked.extend(zip(wanted.tolist(), held.tolist(), strict=True))
        return np.ones(len(wanted), dtype=bool)

    decisions = sweep(stream, vectors, [SemanticPolicy(min_similarity=0.7)], refuse)
    assert asked == [(1, 0)]  # cosine .8; texts 0 and 2 are orthogonal, 1 and 2 at .6
    assert decisions.served.tolist() == [[MISS, MISS, MISS, 1, 1]]
    assert decisions.refusals.request.tolist() == [1]
    assert decisions.refusals.entry.tolist() == [0]


def test_what_can_not_be_swept_is_refused() -> None:
    stream = make_stream([0, 1], [0, 0], [0, 0], [0, 1], [0, 0])
    vectors = np.eye(2, dtype=np.float32)
    policy = SemanticPolicy(min_similarity=0.8)
    with pytest.raises(InputError, match="shape"):
        sweep(stream, vectors[:1], [policy])
    with pytest.raises(InputError, match="length 2"):
        sweep(stream, vectors * np.float32(2), [policy])
    with pytest.raises(UsageError, match="share scope"):
        sweep(stream, vectors, [policy, dataclasses.replace(policy, scope=())])
    untimed = dataclasses.replace(stream, timed=False)
    with pytest.raises(InsufficientDataError, match="no times"):
        sweep(untimed, vectors, [dataclasses.replace(policy, ttl_s=60.0)])


@pytest.mark.parametrize("text", [[], [-1, -1], [0]])
def test_streams_without_anything_to_match(text: list[int]) -> None:
    count = len(text)
    stream = make_stream(text, [0] * count, [0] * count, range(count), [0] * count)
    vectors = np.ones((len(stream.texts), 1), dtype=np.float32)
    decisions = sweep(stream, vectors, [SemanticPolicy(min_similarity=0.8)])
    assert decisions.served.tolist() == [[BYPASS if t < 0 else MISS for t in text]]
    assert decisions.peak_entries.tolist() == [sum(t >= 0 for t in text)]


@pytest.mark.parametrize("lowest", [0.0, 0.7, 0.99])
def test_bounds_at_hand_change_no_decision(lowest: float) -> None:
    rng = np.random.default_rng(3)
    near = rng.normal(size=(40, 1, 200)) + 0.5 * rng.normal(size=(40, 5, 200))
    vectors = near.reshape(200, 200) / np.linalg.norm(near.reshape(200, 200), axis=1)[:, None]
    vectors = vectors.astype(np.float32)
    text = rng.permutation(np.repeat(np.arange(200), 2))
    stream = make_stream(text, np.zeros(400), np.zeros(400), np.arange(400.0), np.zeros(400))
    policies = [SemanticPolicy(min_similarity=t) for t in (0.6, 0.75, 0.9)]
    alone = sweep(stream, vectors, policies)
    bounded = sweep(stream, vectors, policies, search=Search(bounds=upper_bounds(vectors, lowest)))
    assert ((alone.served >= 0) & (alone.similarity < 1)).sum() > 100
    assert np.array_equal(alone.served, bounded.served)
    assert np.array_equal(alone.similarity, bounded.similarity, equal_nan=True)


def test_identical_text_alone_needs_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    from costaudit.simulate.semantic.pairs import PairFinder

    def between(*_: object, **__: object) -> np.ndarray:
        raise AssertionError("compared")

    monkeypatch.setattr(PairFinder, "between", between)
    count = 6_000  # more pairs than are listed without a check
    text = np.concatenate([np.arange(count), np.arange(0, count, 3)])
    zeros = np.zeros(len(text))
    stream = make_stream(text, zeros, zeros, range(len(text)), zeros)
    found = sweep(stream, np.ones((count, 1), dtype=np.float32), [SemanticPolicy(1.01)])
    assert (found.served[0] >= 0).sum() == count // 3
