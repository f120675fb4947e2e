"""What a live cache did with the same requests: a part of the audit."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from costaudit.contracts.grades import Estimate
from costaudit.contracts.requests import Result

Reason = Literal[
    "error",
    "another rule",
    "start state",
    "earlier difference",
    "clock",
    "expiry",
    "no longer held",
    "rounding",
    "approximate index",
    "unexplained",
]
REASONS: dict[Reason, str] = {
    "error": "the cache or the model failed",
    "another rule": "the cache has another rule than was simulated; the rules are listed",
    "start state": "the cache served an answer that nothing in this replay had stored",
    "earlier difference": "the entry was stored on one side only, after a difference before",
    "clock": "the answer arrived at about the same moment",
    "expiry": "the entry expired at about the same moment",
    "no longer held": "the live cache no longer held the identical text",
    "rounding": "the similarity is at the threshold, within the index's rounding",
    "approximate index": "the index did not find the nearest entry",
    "unexplained": "none of these",
}  # why a request went otherwise than predicted, in the order in which they are tried


LatencyName = Literal[
    "as logged",
    "through the cache",
    "lookups",
    "hits",
    "misses",
    "embedding a question, part of hits and misses",
]
RuleKind = Literal["threshold", "TTL", "visibility", "size", "scope", "key"]


@dataclass(frozen=True)
class LatencyRow:
    """Latency of one kind of request."""

    name: LatencyName
    requests: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class HourRow:
    """What was looked up within one hour, and what of it hit."""

    hour: str  # 2026-05-01 13:00, or 13:00 where it is every day's
    lookups: int
    predicted_hits: int
    measured_hits: int


@dataclass(frozen=True)
class ReplayCost:
    """What the models cost over the log's period."""

    before_usd: Decimal  # as billed
    predicted_usd: Decimal  # less the requests that the simulation served
    after_usd: Decimal  # less those that the live cache served; of a live upstream, as it billed


@dataclass(frozen=True)
class Difference:
    """One request that went otherwise than predicted."""

    request_id: str
    predicted: Result
    measured: Result
    reason: Reason


@dataclass(frozen=True)
class JudgedHits:
    """The hits of the live cache, each judged by the logged answers of its own pair.

    Law: right + wrong + untold = hits.
    """

    hits: int
    right: int  # the likelier verdict
    wrong: int
    untold: int  # the two answers can't be compared, or the log lacks the served one
    unsafe_served_share: Estimate | None  # wrong answers, of all requests; None: no two answers


@dataclass(frozen=True)
class RuleChange:
    """What the log, simulated with one rule of the cache changed, explains of the differences."""

    kind: RuleKind
    rule: str  # in words, such as TTL 1 h, fixed
    explains: int  # decisions that differ, and with this rule do not
    breaks: int  # decisions that agree, and with this rule would not
    taken: int = 0  # 1: explains most; 2: explains most of the others on top of it; 0: not taken

    @property
    def net(self) -> int:
        """Return how many more decisions agree with this rule."""
        return self.explains - self.breaks


@dataclass(frozen=True)
class Crossed:
    """Hits that served an answer that was made for somebody else; None: the log names nobody."""

    tenant: int | None
    user: int | None


@dataclass(frozen=True)
class ReplaySection:
    """Predicted against measured, hit by hit. Law: agreed + Σ reasons = requests."""

    cache: str  # printable address
    policy_id: str
    pace: str  # in words, such as 10 times the log's speed
    requests: int
    agreed: int  # same result on both sides
    confusion: dict[str, dict[str, int]]  # predicted → measured → requests
    reasons: dict[Reason, int]  # why → requests that went otherwise than predicted
    errors: dict[str, int]  # reason → requests
    latencies: tuple[LatencyRow, ...]
    spent_usd: Decimal  # charged by live models
    resumed: int = 0  # requests that an earlier, interrupted run had done
    both_hit: int = 0
    same_entry: int = 0  # of these, served the answer that was predicted
    differences: tuple[Difference, ...] = ()  # the first ones
    hours: tuple[HourRow, ...] = ()  # of a log without times none
    daily: bool = False  # hours of the day, over all days; else of the log, one by one
    cost: ReplayCost | None = None
    unsafe_predicted: Estimate | None = None  # wrong answers, of all requests, as audited
    unsafe_served_share: Estimate | None = None  # the same, over the hits that were served
    unsafe_from: str = ""  # where that comes from, a sentence
    judged: JudgedHits | None = None
    crossed: Crossed | None = None
    notes: tuple[str, ...] = ()  # what the cache, its server or the upstream did, sentences
    failed_share: float = 0.0  # of the requests that were sent
    rules: tuple[RuleChange, ...] = ()  # that explain differences, those taken first

    @property
    def predicted_hits(self) -> int:
        """Count the hits of the simulation."""
        return sum(self.confusion.get("hit", {}).values())

    @property
    def measured_hits(self) -> int:
        """Count the hits of the live cache."""
        return sum(row.get("hit", 0) for row in self.confusion.values())

    @property
    def hit_share(self) -> Estimate:
        """Return the share of lookups that the live cache answered: counted, not estimated."""
        return Estimate(self.measured_hits / max(self.lookups, 1), "replayed")

    @property
    def lookups(self) -> int:
        """Count the requests that the simulation looked up."""
        return self.predicted_hits + sum(self.confusion.get("miss", {}).values())
