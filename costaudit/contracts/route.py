"""The result of trying a cheaper model on a sample of the log's calls."""

from dataclasses import dataclass
from decimal import Decimal

from costaudit.contracts.grades import Estimate, Money


@dataclass(frozen=True)
class RouteTopic:
    """One topic among the calls that could go to the candidate."""

    topic: str  # its most typical words
    calls: int
    spend: Money  # per month, as billed
    tried: int  # sampled calls with a verdict
    right: int  # of these, calls for which the candidate's answer would have been acceptable
    agreement: Estimate  # share of the topic's calls with an acceptable answer; exact bounds
    sent_share: float  # share of its calls that the router sends to the candidate


@dataclass(frozen=True)
class CacheEffect:
    """How a router changes prompt caching, as shares of input tokens read from the cache."""

    large_before: float  # all calls, simulated with today's models
    large_after: float  # calls that stay, with longer gaps between them
    candidate: float  # calls that move, under the candidate's rules and with a cold cache at first
    colder: Money  # per month: extra cost of the calls that stay


@dataclass(frozen=True)
class Router:
    """A routing rule as code to paste, with its cross-validated error."""

    code: str  # a Python function; "" if no rule stays within the limit
    sent_share: float  # share of calls sent to the candidate
    loss: Estimate  # share of all calls that get a worse answer, measured on held-out folds
    agrees: float  # share of calls that the code routes like the rule that was validated


@dataclass(frozen=True)
class RouteSection:
    """One candidate model, tried on a sample of calls."""

    candidate: str
    judge: str
    calls: int  # calls that could be sent to the candidate
    spend: Money  # per month, as billed
    sampled: int
    tried: int  # sampled calls that the candidate answered
    judged: int  # sampled calls with a verdict
    right_share: Estimate | None  # of all calls, by prediction-powered inference
    verdicts_alone_share: Estimate | None
    topics: tuple[RouteTopic, ...]
    router: Router
    caches: CacheEffect | None  # None if the log has no prompts to simulate
    saved: Money  # per month, with the router; its low bound is at the upper bound of the loss
    saved_all: Money  # per month, if every call went to the candidate
    most_loss: float  # allowed loss, as a share of all calls
    spent_usd: Decimal  # spent on this sample, earlier runs included
    note: str  # the judge's error rates, and why the judge stopped early
