"""Compare a cache whose entries learn their own thresholds with the recommended point."""

import numpy as np

from costaudit.answers.rates import Rated
from costaudit.answers.tally import RatePoint
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.semantic import LearnedRow
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.simulate.semantic.learned import MOST, Rule, learn


def learned_row(
    run: SemanticRun, rated: Rated, chosen: int, lowest: float, max_wrong_share: float
) -> LearnedRow | str:
    """Simulate learned thresholds; return why not where the policy or the log rules them out.

    `rated` has the runs of the sweep, `chosen` is the recommended one (the last is exact matching).
    Whether an entry's answer would have been right, which the cache learns from, is the verdict
    that judges the sweep. `lowest` is the sweep's lowest threshold.
    """
    if lowest > 1:
        return ""
    if not _plain(run.options.policy):
        return (
            "A cache whose entries learn their thresholds is not simulated with a lifetime, a "
            "size limit, a guard or --scope-after."
        )
    rule = Rule(lowest, max_wrong_share, run.options.seed)
    fitted = rated.fitted

    def judge(asked: np.ndarray, matched: np.ndarray) -> np.ndarray:
        return fitted.verdicts_on(asked.astype(np.int32), matched.astype(np.int32))

    learned = learn(run.stream, run.vectors, rule, judge, run.search)
    if learned is None:
        return (
            "A cache whose entries learn their thresholds is not simulated: the log has more than "
            f"{MOST:,} eligible requests, or too many similar pairs."
        )
    point = fitted.rates(learned.served[None]).points[0]
    if point.valid_hit_share is None or point.unsafe_served_share is None:
        return (
            "A cache whose entries learn their thresholds has no row: none of its hits could be "
            "judged."
        )
    return LearnedRow(
        min_similarity=lowest,
        max_wrong_share=max_wrong_share,
        hits=point.hits,
        exact_hits=int((learned.similarity == 1.0).sum()),
        explored=int((learned.compared >= 0).sum()),
        raw_hit_share=point.raw_hit_share,
        valid_hit_share=point.valid_hit_share,
        unsafe_served_share=point.unsafe_served_share,
        net_saved=run.net_saved(learned.served, learned.entries, point, lowest),
        peak_entries=learned.entries,
        why=_why(point, rated.points[chosen], exact=chosen == len(rated.points) - 1),
    )


def _plain(policy: SemanticPolicy) -> bool:
    """Return whether a policy has none of the rules that the learning cache doesn't know."""
    limited = policy.ttl_s is not None or policy.max_entries is not None
    return not (limited or policy.guard or policy.scope_after)


def _why(point: RatePoint, chosen: RatePoint, *, exact: bool) -> str:
    """Say what right hits earn more or less than those of the recommended point, both paired."""
    more = point.earned_usd - chosen.earned_usd
    low, high = (float(q) for q in np.quantile(more[1:] if len(more) > 1 else more, [0.025, 0.975]))
    other = "exact matching" if exact else "the recommended threshold"
    cents = abs(round(float(more[0]), 2)) > 0
    before = "before what it costs to run"
    if low > 0 and cents:
        told = f"saves ${more[0]:,.2f} more over this log by right answers, {before}, than {other}"
    elif high < 0 and cents:
        told = f"saves ${-more[0]:,.2f} less over this log by right answers, {before}, than {other}"
    else:
        told = f"saves as much over this log by right answers as {other}, within the uncertainty"
    return f"A threshold that each entry learns (vCache) {told}."
