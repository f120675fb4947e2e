"""A cache that checks fields of the nearest entry only: by hand and against a plain loop."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.policies import SemanticPolicy
from costaudit.errors import UsageError
from costaudit.simulate.semantic.division import Search
from costaudit.simulate.semantic.pairs import Sizes
from costaudit.simulate.semantic.sweep import MISS, sweep
from tests.simulate.semantic.oracle import replay_checked
from tests.simulate.semantic.streams import POLICIES, Drawn, make_stream, streams

AFTER = SemanticPolicy(0.5, scope=(), scope_after=("model",))


@settings(max_examples=150)
@given(streams(), st.lists(POLICIES, min_size=1, max_size=4), st.integers(0, 99), st.booleans())
def test_every_decision_equals_the_plain_loop(
    drawn: Drawn, policies: list[SemanticPolicy], seed: int, dense: bool
) -> None:
    stream, vectors = drawn
    checked = np.random.default_rng(seed).integers(3, size=len(stream.text)).astype(np.int32)
    after = [replace(one, max_entries=None, scope_after=("model",)) for one in policies]
    sizes = Sizes(listed_pairs=-1, look_ahead=17) if dense else Sizes()
    search = Search(sizes=sizes)
    decisions = sweep(replace(stream, checked=checked), vectors, after, search=search)
    for place, policy in enumerate(after):
        expected = replay_checked(
            stream.text.tolist(), stream.partition.tolist(), checked.tolist(),
            stream.ts_s.tolist(), stream.ready_s.tolist(), vectors, policy,
        )  # fmt: skip
        assert decisions.served[place].tolist() == expected, policy


def test_the_nearest_entry_of_another_model_hides_the_right_one() -> None:
    # Text 1 is near 0 (.8); text 2 is near both (.6 to 0, .96 to 1). Models: a b a a b a.
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], dtype=np.float32)
    stream = make_stream([0, 1, 2, 0, 0, 0], [0] * 6, [0] * 6, range(6), [0] * 6)
    models = np.array([0, 1, 0, 0, 1, 0], dtype=np.int32)
    served = sweep(replace(stream, checked=models), vectors, [AFTER]).served[0].tolist()
    # 0 a: empty. 1 b: the nearest, 0, is a's. 2 a: the nearest, 1, is b's, although 0 is near
    # enough. 0 a: hit. 0 b: its own text has a's answer, which b's replaces. 0 a: now b's.
    assert served == [MISS, MISS, MISS, 0, MISS, MISS]
    before = replace(stream, partition=models, pool=models)  # filtering before the search
    apart = sweep(before, vectors, [SemanticPolicy(0.5, scope=("model",))]).served[0].tolist()
    assert apart == [MISS, MISS, 0, 0, 1, 0]


def test_a_guard_or_a_size_limit_is_refused() -> None:
    with pytest.raises(UsageError, match="without guards"):
        SemanticPolicy(0.8, scope_after=("model",), max_entries=5)
    with pytest.raises(UsageError, match="Unknown scope field"):
        SemanticPolicy(0.8, scope_after=("modle",))  # type: ignore[arg-type]


def test_a_policy_is_named_and_read_again() -> None:
    assert SemanticPolicy.named(AFTER.policy_id) == AFTER
    assert "scope_after" not in SemanticPolicy(0.8).policy_id
