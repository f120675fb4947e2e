"""Compare other cache policies with one threshold for all.

Each policy sees the whole log in order. What is chosen beforehand is chosen by the hits in one half
of the log's conversations or hours, and hits are counted in the other half, which had no part in
the choice. (The first half of the time would not do: a cache that is still filling has fewer hits,
and fewer wrong ones.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from costaudit.answers.by_topic import by_topic
from costaudit.answers.rates import Fitted, Rated
from costaudit.answers.recommend import recommend, upper
from costaudit.answers.tally import RatePoint
from costaudit.contracts.grades import Money, micro_usd
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.semantic import PolicyKind, PolicyRow, PolicyTrials
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.pipeline.semantic.variants import TTLS_S
from costaudit.simulate.semantic.policies.curated import most_asked, serve_curated
from costaudit.simulate.semantic.policies.learned import MOST, Rule, learn
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import Decisions

_REVIEWED = 100  # most answers that are reviewed: a person can read as many in a day


@dataclass(frozen=True)
class Tried:
    """The decisions of one policy."""

    kind: PolicyKind
    served: np.ndarray  # int32 (n,)
    how: str


def policy_trials(
    run: SemanticRun, decisions: Decisions, rated: Rated, max_wrong_share: float
) -> PolicyTrials | None:
    """Return the comparison; None if hits can't be judged or only identical text is compared.

    `decisions` are those of the sweep's thresholds and of exact matching, and `rated` judges them.
    """
    if len(decisions.policies) < 2:
        return None
    if not all(run.eligible[half].any() for half in _halves(run)):
        return PolicyTrials(
            0,
            (),
            "Other policies are not compared: the log has one hour or one conversation with "
            "questions, so no half can choose for the other.",
        )
    trials = Trials(run, decisions, rated, max_wrong_share)
    tried, left_out = trials.tried()
    points = trials.counted.rates(np.stack([one.served for one in tried])).points
    if any(one.valid_hit_share is None for one in points):
        return None
    kinds = [one.kind for one in tried]
    one = points[kinds.index("one")]
    priced = bool(run.log.sent_usd.any())
    rows = tuple(
        _row(policy, point, one, priced=priced) for policy, point in zip(tried, points, strict=True)
    )
    return PolicyTrials(
        requests=int(trials.counted.tally.counted.sum()),
        rows=rows,
        why=" ".join([_shown(rows, max_wrong_share), *left_out]),
    )


class Trials:
    """The policies that are tried on one log."""

    def __init__(
        self, run: SemanticRun, decisions: Decisions, rated: Rated, max_wrong_share: float
    ) -> None:
        self.run, self.decisions, self.max_wrong_share = run, decisions, max_wrong_share
        first, second = _halves(run)
        self.chosen_by: Fitted = rated.fitted.within(first)
        self.counted: Fitted = rated.fitted.within(second)
        points = self.chosen_by.rated(rated.pairs, rated.verdicts, rated.place).points
        self.thresholds = [one.min_similarity for one in decisions.policies[:-1]]
        choice = recommend(self.thresholds, points[:-1], points[-1], max_wrong=max_wrong_share)
        self.chosen = len(self.thresholds) if choice.index is None else choice.index

    def tried(self) -> tuple[list[Tried], list[str]]:
        """Return the policies that can be simulated, and why others can't."""
        served = self.decisions.served
        tried = [
            Tried("exact", served[-1], ""),
            Tried("one", served[self.chosen], self._one()),
        ]
        if not _plain(self.run.options.policy):
            return tried, [
                "Thresholds of entries or topics and reviewed answers are not simulated with a "
                "lifetime, a size limit, a guard or --scope-after."
            ]
        found = [self._by_entry(), *self._by_topic(), self._curated()]
        tried += [one for one in found if isinstance(one, Tried)]
        return tried, [one for one in found if isinstance(one, str)]

    def _one(self) -> str:
        if self.chosen == len(self.thresholds):
            return "No threshold qualifies, so only identical questions are served."
        at = self.thresholds[self.chosen]
        return f"The threshold is {at:.2f}, by the rule that recommends one."

    def _judge(self, asked: np.ndarray, matched: np.ndarray) -> np.ndarray:
        return self.counted.verdicts_on(asked.astype(np.int32), matched.astype(np.int32))

    def _by_entry(self) -> Tried | str:
        run = self.run
        rule = Rule(min(self.thresholds), self.max_wrong_share, run.options.seed)
        learned = learn(run.stream, run.vectors, rule, self._judge, run.search)
        if learned is None:
            return (
                "A cache whose entries learn their thresholds is not simulated: the log has more "
                f"than {MOST:,} eligible requests, or too many similar pairs."
            )
        compared = int((learned.compared >= 0).sum())
        return Tried(
            "entry",
            learned.served,
            f"To learn, {compared:,} calls were compared with an entry's answer.",
        )

    def _by_topic(self) -> list[Tried | str]:
        """Return thresholds by topic, without and with lifetimes; entries stay in their topic."""
        run, own = self.run, self.run.topic
        stream = replace(run.stream, partition=_parted(run.stream, own))
        ttls: list[float | None] = [None, *(TTLS_S if run.stream.timed else ())]
        policies = [
            replace(one, ttl_s=ttl) for one in self.decisions.policies for ttl in reversed(ttls)
        ]
        swept = run.swept(policies, stream)
        rated = self.chosen_by.rates(swept.served)
        lasting = [k for k, one in enumerate(policies) if one.ttl_s is None]
        found: list[Tried | str] = [self._chosen("topic", swept, rated, lasting)]
        if len(ttls) > 1:
            found.append(self._chosen("topic_ttl", swept, rated, list(range(len(policies)))))
        shown = [one for one in found if isinstance(one, Tried)]
        return [*shown] or found[:1]

    def _chosen(
        self, kind: PolicyKind, swept: Decisions, rated: Rated, runs: Sequence[int]
    ) -> Tried | str:
        own = self.run.topic
        part = replace(rated, pairs=replace(rated.pairs, row=rated.pairs.row[runs]))
        choices = np.asarray(runs)[by_topic(part, own)]
        place = np.arange(len(own))
        served = np.stack([swept.served[one[np.maximum(own, 0)], place] for one in choices])
        points = self.chosen_by.rates(served).points
        allowed = [k for k, one in enumerate(points) if upper(one) <= self.max_wrong_share]
        if not allowed:
            return (
                "Thresholds by topic are not shown: none of those tried keeps wrong answers within "
                f"{self.max_wrong_share:.2%} of all requests."
            )
        best = max(allowed, key=lambda k: float(points[k].earned_usd[0]))
        chosen = [swept.policies[k] for k in choices[best]]
        return Tried(kind, served[best], _told(chosen))

    def _curated(self) -> Tried | str:
        run, policy = self.run, self.decisions.policies[self.chosen]
        reviewed = most_asked(run.stream, len(run.stream.text) // 2, _REVIEWED)
        if not len(reviewed.requests):
            return (
                "Reviewed answers are not simulated: no question is asked twice in the first half "
                "of the log."
            )
        found = serve_curated(
            run.stream,
            run.vectors,
            reviewed,
            (min(self.thresholds), policy.min_similarity),
            lambda stream: run.swept([policy], stream).served[0],
            self._judge,
        )
        later = np.arange(len(found.served)) >= reviewed.start
        own = np.isin(found.served, reviewed.requests) & later & ~found.direct
        promoted = int((found.promoted >= 0).sum())
        return Tried(
            "curated",
            found.served,
            f"{len(reviewed.requests):,} answers to the questions asked most in the first half of "
            f"the log serve {int(found.direct.sum()):,} requests of its second half at once, and "
            f"{int(own.sum()):,} more by verification: {int(found.verified.sum()):,} calls were "
            f"compared with a reviewed answer, and {promoted:,} took it over.",
        )


def _halves(run: SemanticRun) -> tuple[np.ndarray, np.ndarray]:
    """Return two halves of the requests, by conversation or hour, each bool (n,)."""
    odd = run.counted.block % 2 == 1
    return ~odd, odd


def _plain(policy: SemanticPolicy) -> bool:
    """Return whether a policy has none of the rules that the other policies don't know."""
    limited = policy.ttl_s is not None or policy.max_entries is not None
    return not (limited or policy.guard or policy.scope_after)


def _parted(stream: Stream, topic: np.ndarray) -> np.ndarray:
    """Return the partitions divided by topic, int32 (n,)."""
    key = stream.partition.astype(np.int64) * (int(topic.max(initial=0)) + 2) + topic + 1
    return np.unique(key, return_inverse=True)[1].reshape(-1).astype(np.int32)


def _told(chosen: Sequence[SemanticPolicy]) -> str:
    """Say what was chosen for the topics."""
    similar = sorted(one.min_similarity for one in chosen if one.min_similarity <= 1)
    ending = sum(one.ttl_s is not None for one in chosen)
    told = (
        f"{len(chosen) - len(similar):,} of {len(chosen):,} topics serve only identical questions"
    )
    if similar:
        told = f"{len(similar):,} topics have thresholds from {similar[0]:.2f} to {similar[-1]:.2f}"
        if len(similar) < len(chosen):
            told += f", and {len(chosen) - len(similar):,} serve only identical questions"
    return f"{told}; entries of {ending:,} topics expire." if ending else f"{told}."


def _row(policy: Tried, point: RatePoint, one: RatePoint, *, priced: bool) -> PolicyRow:
    valid, unsafe = point.valid_hit_share, point.unsafe_served_share
    assert valid is not None and unsafe is not None  # the caller has looked
    saved = more = None
    if priced:
        saved = _money(point.earned_usd, one.earned_usd)
        if policy.kind != "one":
            more = _money(point.earned_usd - one.earned_usd, one.earned_usd)
    return PolicyRow(
        kind=policy.kind,
        hits=point.hits,
        raw_hit_share=point.raw_hit_share,
        valid_hit_share=valid,
        unsafe_served_share=unsafe,
        saved=saved,
        more=more,
        how=policy.how,
    )


def _money(earned: np.ndarray, whole: np.ndarray) -> Money:
    """Return an amount with its interval, to three digits of `whole`; the first is the log's."""
    low, high = np.quantile(earned[1:] if len(earned) > 1 else earned, [0.025, 0.975])
    usd, size = float(earned[0]), abs(float(whole[0]))
    digits = 2 - math.floor(math.log10(size)) if size else 6
    value, least, most = (
        micro_usd(round(end, digits)) for end in (usd, min(float(low), usd), max(float(high), usd))
    )
    return Money(value, "estimated", least, most)


_NAMES: dict[PolicyKind, str] = {
    "exact": "Exact matching",
    "entry": "A threshold that each entry learns",
    "topic": "A threshold for each topic",
    "topic_ttl": "A threshold and a lifetime for each topic",
    "curated": "Reviewed answers",
}


def _shown(rows: Sequence[PolicyRow], max_wrong_share: float) -> str:
    """Say which policy saves more within the bound, if one surely does."""

    def surely(row: PolicyRow) -> bool:
        low = None if row.more is None else row.more.low_usd
        high = row.unsafe_served_share.high
        return low is not None and low > 0 and high is not None and high <= max_wrong_share

    better = [row for row in rows if row.more is not None and surely(row)]
    if not better:
        return (
            "No other policy surely saves more than one threshold and keeps wrong answers within "
            f"{max_wrong_share:.2%}."
        )
    best = max(better, key=lambda row: row.saved.usd if row.saved else 0)
    assert best.more is not None and best.more.low_usd is not None
    return (
        f"{_NAMES[best.kind]} would save ${best.more.usd:,.2f} more than one threshold (95%: at "
        f"least ${best.more.low_usd:,.2f}), before what it costs to run."
    )
