"""The threshold that one can defend."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from costaudit.answers.tally import RatePoint


@dataclass(frozen=True)
class Recommendation:
    """A point of a sweep, or exact matching."""

    index: int | None  # of the recommended point; None: exact matching only
    min_similarity: float | None  # cosine; None: exact matching only
    why: str  # one sentence


def recommend(
    thresholds: Sequence[float],
    points: Sequence[RatePoint],
    net_usd: Sequence[Decimal],
    *,
    exact_net_usd: Decimal = Decimal(0),
    max_wrong: float = 0.01,
) -> Recommendation:
    """Choose the point with most net money whose upper 95 % bound on wrong answers is allowed.

    `max_wrong` is a share of all requests. Exact matching wins where no point is allowed, or none
    earns anything, and more than `exact_net_usd`; among equals the stricter threshold wins.
    """
    if all(point.unsafe_served_share is None for point in points):
        return Recommendation(
            None,
            None,
            "Exact matching only: the log holds no answers, so no similar hit can be shown to be"
            " right.",
        )
    allowed = [i for i, point in enumerate(points) if _upper(point) <= max_wrong]
    if not allowed:
        least = min(_upper(point) for point in points)
        return Recommendation(
            None,
            None,
            f"Exact matching only: at every threshold tried, wrong answers may reach"
            f" {least:.2%} of all requests or more, above the limit of {max_wrong:.2%}.",
        )
    best = max(allowed, key=lambda i: (net_usd[i], thresholds[i]))
    if net_usd[best] <= max(exact_net_usd, Decimal(0)):
        return Recommendation(
            None,
            None,
            f"Exact matching only: no threshold with at most {max_wrong:.2%} wrong answers earns"
            " more.",
        )
    return Recommendation(
        best,
        thresholds[best],
        f"A similarity of {thresholds[best]:.2f} saves most among the {len(allowed)} of"
        f" {len(points)} thresholds whose wrong answers stay within {max_wrong:.2%} of all"
        f" requests, at an upper 95 % bound of {_upper(points[best]):.2%}.",
    )


def _upper(point: RatePoint) -> float:
    """Return the upper bound on the unsafe-served share; 1 where it can't be known."""
    share = point.unsafe_served_share
    if share is None:
        return 1.0
    return share.value if share.high is None else share.high
