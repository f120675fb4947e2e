"""What a replay's hits are worth, and how many of them were wrong: from the log and its audit."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from costaudit.contracts.audit import Audit
from costaudit.contracts.grades import Estimate
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.replay import ReplayCost, ReplaySection
from costaudit.contracts.semantic import SemanticSection, SweepPoint
from costaudit.pipeline.loaded import Loaded
from costaudit.report.numbers import count, share, share_range, similarity


def with_effects(
    section: ReplaySection,
    log: Loaded,
    audit: Audit,
    policy: SemanticPolicy,
    predicted: pl.DataFrame,
    measured: pl.DataFrame,
) -> ReplaySection:
    """Add what models cost before and after, and the wrong answers that the hits imply.

    Both tables are OUTCOMES in the log's order.
    """
    point = audited_point(audit.semantic, policy)
    return replace(
        section,
        cost=ReplayCost(
            before_usd=log.usd_of((predicted["result"] != "").to_numpy()),
            predicted_usd=log.usd_of((predicted["result"] != "hit").to_numpy()),
            after_usd=log.usd_of((measured["result"] != "hit").to_numpy()),
        ),
        unsafe_predicted=None if point is None else point.unsafe_served_share,
        unsafe_served_share=None if point is None else unsafe_share(point, section),
        unsafe_from=unsafe_origin(point, section),
    )


def differing_settings(policy_id: str, policy: SemanticPolicy) -> tuple[str, ...]:
    """Name the settings, other than the threshold, in which a policy differs from an id."""
    theirs, mine = _settings(policy_id), _settings(policy.policy_id)
    return tuple(
        name for name in mine if name != "min_similarity" and theirs.get(name) != mine[name]
    )


def audited_point(semantic: SemanticSection | None, policy: SemanticPolicy) -> SweepPoint | None:
    """Find the audit's numbers for a policy; None where it did not try that one."""
    if semantic is None or differing_settings(semantic.policy_id, policy):
        return None
    if policy.min_similarity > 1:
        return semantic.exact
    near = [
        one for one in semantic.points if abs(one.min_similarity - policy.min_similarity) < 1e-9
    ]
    return near[0] if near else None


def _settings(policy_id: str) -> dict[str, str]:
    parts: Sequence[str] = policy_id.partition(":")[2].split(",")
    return dict(part.partition("=")[::2] for part in parts)


def unsafe_share(point: SweepPoint, section: ReplaySection) -> Estimate | None:
    """Let as many of the served hits be wrong as the audit says of the simulated ones."""
    of_all = point.unsafe_served_share
    if of_all is None or not point.hits:
        return of_all
    times = section.measured_hits / point.hits
    low, high = (None if one is None else one * times for one in (of_all.low, of_all.high))
    return Estimate(of_all.value * times, of_all.grade, low, high)


def unsafe_origin(point: SweepPoint | None, section: ReplaySection) -> str:
    """Say where the share of wrong answers comes from, or why there is none."""
    if point is None:
        return (
            "The audit did not try this policy at this threshold, so it has no estimate of wrong "
            "answers for it: analyze the log with the same options and this similarity."
        )
    if point.unsafe_served_share is None:
        return "The log holds no answers to compare, so nobody knows which hits were wrong."
    of_all = point.unsafe_served_share
    at = "identical text only" if point.min_similarity > 1 else similarity(point.min_similarity)
    between = share_range(of_all)
    return (
        f"The audit's estimate at similarity {at}, {share(of_all.value)}"
        f"{f' ({between})' if between else ''} of all requests over {count(point.hits)} simulated "
        f"hits, scaled to the {count(section.measured_hits)} hits that were served."
    )
