"""The audit's numbers are applied to a replay of the same cache, and to no other."""

from dataclasses import replace

import pytest

from costaudit.contracts.grades import Estimate
from costaudit.contracts.policies import SemanticPolicy
from costaudit.pipeline.replaying.replay import (
    audited_point,
    differing_settings,
    unsafe_origin,
    unsafe_share,
)
from tests.report.sample_audit import REPLAY
from tests.report.sample_semantic import SEMANTIC

POLICY = SemanticPolicy(0.93)
AUDITED = replace(SEMANTIC, policy_id=SemanticPolicy(0.9).policy_id)


def test_a_threshold_is_no_other_policy_but_every_other_setting_is() -> None:
    assert differing_settings(SemanticPolicy(0.5).policy_id, POLICY) == ()
    other = SemanticPolicy(0.93, max_entries=5, guard=("numbers",), scope=("tenant", "model"))
    assert differing_settings(other.policy_id, POLICY) == ("scope", "max_entries", "guard")


def test_the_point_of_the_same_threshold_is_found() -> None:
    first = AUDITED.points[0]
    point = audited_point(AUDITED, replace(POLICY, min_similarity=first.min_similarity))
    assert point == first
    assert audited_point(AUDITED, replace(POLICY, min_similarity=0.123)) is None
    assert audited_point(AUDITED, replace(POLICY, ttl_s=60.0)) is None
    assert audited_point(AUDITED, replace(POLICY, min_similarity=1.01)) is AUDITED.exact
    assert audited_point(None, POLICY) is None


def test_wrong_answers_follow_the_hits_that_were_served() -> None:
    # 200 simulated hits, 0.5 % of all requests wrong; 153,900 served are 769.5 times as many.
    of_all = Estimate(0.005, "estimated", 0.002, 0.009)
    point = replace(AUDITED.points[0], hits=200, unsafe_served_share=of_all)
    found = unsafe_share(point, REPLAY)
    assert found is not None and found.grade == "estimated"
    assert (found.value, found.low, found.high) == pytest.approx((3.8475, 1.539, 6.9255))
    assert "over 200 simulated hits, scaled to the 153,900" in unsafe_origin(point, REPLAY)


def test_where_nothing_is_known_it_is_said() -> None:
    assert "did not try this policy" in unsafe_origin(None, REPLAY)
    silent = replace(AUDITED.points[0], unsafe_served_share=None)
    assert unsafe_share(silent, REPLAY) is None
    assert "no answers to compare" in unsafe_origin(silent, REPLAY)
