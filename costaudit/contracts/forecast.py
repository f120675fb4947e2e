"""The next month of a log, what made its spend grow, and the unusual days."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from costaudit.contracts.grades import Money
from costaudit.contracts.month import MonthFacts

Factor = Literal["requests", "tokens per request", "mix of models", "prices"]


@dataclass(frozen=True)
class Driver:
    """One factor of the change between both halves of the log. Law: Σ usd = change."""

    factor: Factor
    usd: Decimal  # per month


@dataclass(frozen=True)
class Cause:
    """The group of one dimension that a day's excess comes from most."""

    dimension: str  # endpoint | model | user | tenant | template | part
    group: str
    usd: Decimal  # above what it usually costs on such a day
    share: float  # of the day's excess; above 1 where other groups cost less than usual


@dataclass(frozen=True)
class Spike:
    """A day that costs far more than its weekday does."""

    day: str  # YYYY-MM-DD
    usd: Decimal
    usual_usd: Decimal
    causes: tuple[Cause, ...]  # one a dimension, the clearest first


@dataclass(frozen=True)
class Inflation:
    """Prompts of an endpoint that grew, and stayed so."""

    endpoint: str
    since: str  # YYYY-MM-DD, the first day of the longer prompts
    before_tokens: float  # per request
    after_tokens: float
    part: str  # of the prompt that grew most; "" where prompts are not known
    part_tokens: float  # by how much, per request
    usd_month: Decimal  # what the growth costs, at what those requests paid for a token of input


@dataclass(frozen=True)
class Backtest:
    """Forecasts made inside the log, held against what came."""

    made: int
    covered: int  # within their 95 % interval
    mean_error: float  # absolute, as a share of what came


@dataclass(frozen=True)
class Forecast:
    """What comes next, as far as the log shows it."""

    month: MonthFacts
    like_log: Money  # a month like the log
    next_month: Money  # with the trend
    backtest: Backtest
    change: Decimal  # a month like the log's second half, less one like its first
    drivers: tuple[Driver, ...]
    spikes: tuple[Spike, ...]
    inflation: tuple[Inflation, ...]
