"""Recommend a threshold, exact matching only, or no response cache."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from costaudit.answers.tally import RatePoint
from costaudit.contracts.semantic import CacheKind

_LOWER = 0.025


@dataclass(frozen=True)
class Recommendation:
    """A point of a sweep, exact matching, or no response cache at all."""

    kind: CacheKind
    index: int | None  # of the recommended threshold; None: none is recommended
    min_similarity: float | None  # cosine; None: none is recommended
    why: str  # one sentence


def recommend(
    thresholds: Sequence[float],
    points: Sequence[RatePoint],
    exact: RatePoint,
    *,
    max_wrong: float = 0.01,
) -> Recommendation:
    """Return the threshold that earns most within the bound on wrong answers.

    A threshold qualifies if the upper 95 % bound on its unsafe-served share is at most `max_wrong`
    (a share of all requests), and if the lower bound on its gain over exact matching, paired by
    replicate, is positive. If none does, exact matching is recommended, or no response cache if
    exact matching exceeds the bound too. The cost of machines doesn't count here, because the plan
    buys them for all levers together.
    """
    hits = [one for one in (*points, exact) if one.hits]
    if hits and all(one.unsafe_served_share is None for one in hits):
        return _none(
            "No response cache can be defended: the log holds no answers, so no hit can be shown"
            " to be right."
        )
    allowed = [i for i, one in enumerate(points) if upper(one) <= max_wrong]
    better = [i for i in allowed if _gain(points[i], exact, _LOWER) > 0]
    if better:
        best = max(better, key=lambda i: (float(points[i].earned_usd[0]), thresholds[i]))
        return Recommendation(
            "similar",
            best,
            thresholds[best],
            f"A similarity of {thresholds[best]:.2f} saves most among the {len(allowed)} of"
            f" {len(points)} thresholds whose wrong answers stay within {max_wrong:.2%} of all"
            f" requests, at an upper 95% bound of {upper(points[best]):.2%}.",
        )
    why = _why_not(points, allowed, max_wrong)
    if upper(exact) > max_wrong:
        return _none(
            "No response cache can be defended: even identical questions may get wrong answers in"
            f" {upper(exact):.2%} of all requests, above the limit of {max_wrong:.2%}."
        )
    return Recommendation("exact", None, None, f"Exact matching only: {why}")


def _none(why: str) -> Recommendation:
    return Recommendation("none", None, None, why)


def _why_not(points: Sequence[RatePoint], allowed: Sequence[int], max_wrong: float) -> str:
    right = [one for one in points if one.valid_hit_share and one.valid_hit_share.value > 0]
    if right and not any(one.earned_usd.any() for one in right):
        return "what hits would save has no known price, so no threshold can be chosen."
    if allowed:
        return (
            f"no threshold with at most {max_wrong:.2%} wrong answers earns more by its right hits."
        )
    least = min((upper(one) for one in points), default=1.0)
    return (
        f"at every threshold tried, wrong answers may reach {least:.2%} of all requests or more,"
        f" above the limit of {max_wrong:.2%}."
    )


def _gain(point: RatePoint, exact: RatePoint, quantile: float) -> float:
    """Return a threshold's gain over exact matching, at a quantile of the replicates."""
    more = point.earned_usd - exact.earned_usd
    return float(np.quantile(more[1:], quantile)) if len(more) > 1 else float(more[0])


def upper(point: RatePoint) -> float:
    """Return the upper bound on the unsafe-served share; 1 if it is unknown."""
    share = point.unsafe_served_share
    if share is None:
        return 1.0
    return share.value if share.high is None else share.high
