"""The part of the audit on a replay: what a live cache did with the same requests."""

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
}  # why a result differs from the prediction, in the order of the checks


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
    """The lookups and hits of one hour."""

    hour: str  # 2026-05-01 13:00; 13:00 if it covers all days
    lookups: int
    predicted_hits: int
    measured_hits: int


@dataclass(frozen=True)
class ReplayCost:
    """The cost of the models over the log's period."""

    before_usd: Decimal  # as billed
    predicted_usd: Decimal  # without the requests that the simulation served
    after_usd: Decimal  # without live cache hits; a live upstream's own bill


@dataclass(frozen=True)
class Difference:
    """One request whose result differs from the prediction."""

    request_id: str
    predicted: Result
    measured: Result
    reason: Reason


@dataclass(frozen=True)
class JudgedHits:
    """The hits of the live cache, each judged by the logged answers of the two requests.

    Law: right + wrong + untold = hits.
    """

    hits: int
    right: int  # hits that are more likely right than wrong
    wrong: int
    untold: int  # hits whose two answers can't be compared, or one is missing
    unsafe_served_share: Estimate | None  # of all requests; None: no pair of answers


@dataclass(frozen=True)
class RuleChange:
    """The differences that a simulation with one changed rule of the cache explains."""

    kind: RuleKind
    rule: str  # in words, such as TTL 1 h, fixed
    explains: int  # decisions that differ, but agree with this rule
    breaks: int  # decisions that agree, but differ with this rule
    taken: int = 0  # 1: explains most; 2: explains most of the rest; 0: not taken

    @property
    def net(self) -> int:
        """Return how many more decisions agree with this rule."""
        return self.explains - self.breaks


@dataclass(frozen=True)
class Crossed:
    """Hits that served another user's or tenant's answer; None: the log names no users."""

    tenant: int | None
    user: int | None


@dataclass(frozen=True)
class ReplaySection:
    """Predicted and measured results of each request. Law: agreed + Σ reasons = requests."""

    cache: str  # printable address
    policy_id: str
    pace: str  # in words, such as 10 times the log's speed
    requests: int
    agreed: int  # predicted and measured result are the same
    confusion: dict[str, dict[str, int]]  # predicted → measured → requests
    reasons: dict[Reason, int]  # why → requests that differ from the prediction
    errors: dict[str, int]  # reason → requests
    latencies: tuple[LatencyRow, ...]
    spent_usd: Decimal  # charged by live models
    resumed: int = 0  # requests done by an earlier, interrupted run
    both_hit: int = 0
    same_entry: int = 0  # hits that served the predicted answer
    differences: tuple[Difference, ...] = ()  # the first ones
    hours: tuple[HourRow, ...] = ()  # empty if the log has no times
    daily: bool = False  # hours of the day, over all days; else each hour of the log
    cost: ReplayCost | None = None
    unsafe_predicted: Estimate | None = None  # share of all requests, from the audit
    unsafe_served_share: Estimate | None = None  # the same, from the served hits
    unsafe_from: str = ""  # source of that share, a sentence
    judged: JudgedHits | None = None
    crossed: Crossed | None = None
    notes: tuple[str, ...] = ()  # what the cache, its server or the upstream did, sentences
    failed_share: float = 0.0  # of the requests that were sent
    rules: tuple[RuleChange, ...] = ()  # explain differences; taken rules first

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
        """Return the share of lookups that the live cache answered, counted without an estimate."""
        return Estimate(self.measured_hits / max(self.lookups, 1), "replayed")

    @property
    def lookups(self) -> int:
        """Count the requests that the simulation looked up."""
        return self.predicted_hits + sum(self.confusion.get("miss", {}).values())
