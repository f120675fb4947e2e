"""Policies reject impossible values and have a name."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costaudit.contracts.policies import SCOPE_FIELDS, PrefixPolicy, SemanticPolicy
from costaudit.errors import UsageError


@pytest.mark.parametrize(
    "settings",
    [
        {"min_similarity": 0.0},
        {"min_similarity": -0.1},
        {"min_similarity": math.nan},
        {"min_similarity": math.inf},
        {"min_similarity": 0.9, "ttl_s": 0.0},
        {"min_similarity": 0.9, "ttl_s": math.inf},
        {"min_similarity": 0.9, "max_entries": 0},
        {"min_similarity": 0.9, "scope": ("planet",)},
    ],
)
def test_impossible_settings_are_refused_with_a_next_step(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        SemanticPolicy(**settings)
    assert caught.value.hint


def test_a_threshold_above_one_is_exact_matching_and_allowed() -> None:
    assert SemanticPolicy(1.01).min_similarity == 1.01


policies = st.builds(
    SemanticPolicy,
    min_similarity=st.floats(0.01, 1.5),
    scope=st.lists(st.sampled_from(SCOPE_FIELDS), unique=True).map(tuple),
    key=st.sampled_from(["last_user", "conversation", "full"]),
    ttl_s=st.none() | st.floats(1, 1e6),
    ttl_kind=st.sampled_from(["fixed", "sliding"]),
    max_entries=st.none() | st.integers(1, 10**9),
)


@given(policies, policies)
def test_policy_ids_are_printable_and_differ_where_policies_do(
    one: SemanticPolicy, two: SemanticPolicy
) -> None:
    assert one.policy_id.isprintable() and "\n" not in one.policy_id
    if one == two:
        assert one.policy_id == two.policy_id
    else:
        assert one.policy_id != two.policy_id


def test_prefix_policy_id_names_every_setting() -> None:
    assert PrefixPolicy().policy_id == "prefix:rules=own,markers=as_is,ttl=as_is"
