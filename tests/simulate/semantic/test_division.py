"""The decisions of a sweep are the same, wherever and in whatever partitions it is decided."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.answers.traps.signatures import Signatures, TrapGuard
from costaudit.contracts.policies import SemanticPolicy
from costaudit.errors import InsufficientDataError
from costaudit.simulate.semantic.division import Division, Search
from costaudit.simulate.semantic.pairs import Sizes
from costaudit.simulate.semantic.stream import largest_pool
from costaudit.simulate.semantic.sweep import sweep
from tests.simulate.semantic.divided import DIVIDED, FatalGuard, equal, many_scopes
from tests.simulate.semantic.streams import POLICIES, Drawn, make_stream, odd_sum, streams


@settings(max_examples=100)
@given(
    streams(),
    st.lists(POLICIES, min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from([1, 2, 7]),
)
def test_partitions_decide_as_the_whole(
    drawn: Drawn, policies: list[SemanticPolicy], guarded: bool, parts: int
) -> None:
    stream, vectors = drawn
    guard = odd_sum if guarded else None
    sizes = Sizes(together=0, divided_pairs=0.0, parts=parts, block=23)
    found = sweep(stream, vectors, policies, guard, Search(sizes=sizes), Division("pool"))
    assert equal(found, sweep(stream, vectors, policies, guard))


@pytest.mark.parametrize("guarded", [False, True])
def test_a_pool_decides_as_this_process(guarded: bool) -> None:
    stream, vectors, policies, guard = many_scopes()
    guard = guard if guarded else None
    expected = sweep(stream, vectors, policies, guard)
    assert (expected.served >= 0).any(axis=1).all()
    assert bool(len(expected.refusals.entry)) == guarded
    for parts in (1, 2, 7):
        search = Search(sizes=DIVIDED[parts])
        assert equal(sweep(stream, vectors, policies, guard, search, Division("pool", 2)), expected)


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    stream, vectors, policies, _ = many_scopes()
    guard = FatalGuard(tmp_path / "died", spared=os.getpid())
    search = Search(sizes=DIVIDED[7])
    found = sweep(stream, vectors, policies, guard, search, Division("pool", 2))
    assert guard.told.exists()
    assert equal(found, sweep(stream, vectors, policies, odd_sum))


def test_few_pairs_and_one_scope_start_no_process() -> None:
    stream, vectors, policies, _ = many_scopes()

    def here(asked: np.ndarray, held: np.ndarray) -> np.ndarray:
        return odd_sum(asked, held)

    with pytest.raises((AttributeError, pickle.PicklingError)):
        pickle.dumps(here)  # so it can't be sent to another process
    sweep(stream, vectors, policies, here, Search(), Division("pool", 2))
    one = Search(sizes=Sizes(divided_pairs=0.0))  # small scopes are decided together
    sweep(stream, vectors, policies, here, one, Division("pool", 2))


def test_a_guard_of_some_texts_refuses_what_the_whole_one_refuses() -> None:
    texts = [f"Is order {n % 5} from {2020 + n % 3} {'not ' * (n % 2)}late?" for n in range(40)]
    whole = TrapGuard(Signatures(texts), ["all"])
    rows = np.array([3, 4, 8, 15, 16, 23, 39])
    first, second = (side.ravel() for side in np.meshgrid(range(7), range(7)))
    refused = whole(rows[first], rows[second])
    assert refused.any() and not refused.all()
    assert whole.of(rows)(first, second).tolist() == refused.tolist()


def test_only_a_scope_that_is_too_large_can_not_be_swept() -> None:
    """Four scopes of five texts: 20 in all, but five in each scope."""
    stream = make_stream(
        range(20), np.repeat(range(4), 5), np.repeat(range(4), 5), range(20), [0] * 20
    )
    vectors = np.eye(20, dtype=np.float32)
    policy = SemanticPolicy(min_similarity=0.8)
    sweep(stream, vectors, [policy], search=Search(sizes=Sizes(most_nodes=5)))
    with pytest.raises(InsufficientDataError, match="5 distinct texts in one scope") as caught:
        sweep(stream, vectors, [policy], search=Search(sizes=Sizes(most_nodes=4)))
    assert "--sample" in str(caught.value.hint)
    sweep(stream, None, [SemanticPolicy(1.01)], search=Search(sizes=Sizes(most_nodes=4)))
    assert (largest_pool(stream, 4), largest_pool(stream, 5)) == (5, 0)
