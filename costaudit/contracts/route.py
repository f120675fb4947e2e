"""What trying a cheaper model on a sample of the log's calls showed."""

from dataclasses import dataclass
from decimal import Decimal

from costaudit.contracts.grades import Estimate, Money


@dataclass(frozen=True)
class RouteTopic:
    """One topic of the calls that could go to the candidate."""

    topic: str  # its most typical words
    calls: int
    spend: Money  # a month, as billed
    tried: int  # calls of the sample that have a verdict
    right: int  # of these: the candidate's answer would have been acceptable
    agreement: Estimate  # share of the topic's calls with an acceptable answer; exact bounds
    sent_share: float  # of its calls that the router sends to the candidate


@dataclass(frozen=True)
class CacheEffect:
    """What a router does to the prompt caches, in shares of input tokens that are read."""

    large_before: float  # all calls, as simulated with the models of today
    large_after: float  # calls that stay, with the longer gaps between them
    candidate: float  # calls that move, under the candidate's rules, starting cold
    colder: Money  # a month: what the calls that stay cost more


@dataclass(frozen=True)
class Router:
    """A rule that can be pasted, and its error by cross-validation."""

    code: str  # a Python function; "" where no rule keeps to the limit
    sent_share: float  # of the calls
    loss: Estimate  # share of all calls that get a worse answer, by parts that it has not seen
    agrees: float  # share of the calls that the pasted code decides as the rule does


@dataclass(frozen=True)
class RouteSection:
    """One candidate."""

    candidate: str
    judge: str
    calls: int  # that could be sent to the candidate
    spend: Money  # a month, as billed
    sampled: int
    tried: int  # with an answer of the candidate
    judged: int  # with a verdict
    right_share: Estimate | None  # of all calls, by prediction-powered inference
    verdicts_alone_share: Estimate | None
    topics: tuple[RouteTopic, ...]
    router: Router
    caches: CacheEffect | None  # None where the log holds no prompts to simulate
    saved: Money  # a month, by the router; low: at the upper bound of its loss
    saved_all: Money  # a month, if every call went to the candidate
    most_loss: float  # that was allowed, share of all calls
    spent_usd: Decimal  # on this sample, earlier runs included
    note: str  # the judge's own errors; why it stopped early
