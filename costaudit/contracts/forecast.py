"""The next month of a log, what made its spend grow, and the unusual days."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from costaudit.contracts.grades import Money
from costaudit.contracts.month import MonthFacts

Factor = Literal["requests", "tokens per request", "mix of models", "prices"]


@dataclass(frozen=True)
class Driver:
    """One factor of the change between the two halves of the log. Law: Σ usd = change."""

    factor: Factor
    usd: Decimal  # per month


@dataclass(frozen=True)
class Cause:
    """The group within a dimension that adds most to a day's excess."""

    dimension: str  # endpoint | model | user | tenant | template | part
    group: str
    usd: Decimal  # above the usual cost of the group on the same weekday
    share: float  # of the day's excess; above 1 where other groups cost less than usual


@dataclass(frozen=True)
class Spike:
    """A day that costs far more than is usual for its weekday."""

    day: str  # YYYY-MM-DD
    usd: Decimal
    usual_usd: Decimal
    causes: tuple[Cause, ...]  # one for each dimension, the clearest first


@dataclass(frozen=True)
class Inflation:
    """Prompts of an endpoint that grew and stayed longer."""

    endpoint: str
    since: str  # YYYY-MM-DD, the first day of the longer prompts
    before_tokens: float  # per request
    after_tokens: float
    part: str  # the part of the prompt that grew most; "" if prompts are not known
    part_tokens: float  # growth of that part, per request
    usd_month: Decimal  # cost of the growth, at the input price of those requests


@dataclass(frozen=True)
class Backtest:
    """Forecasts made inside the log, compared with the actual values."""

    made: int
    covered: int  # actual values within the 95 % interval of their forecast
    mean_error: float  # mean absolute error, as a share of the actual value


@dataclass(frozen=True)
class Forecast:
    """The forecast of the next month, as far as the log supports it."""

    month: MonthFacts
    like_log: Money  # cost of a month like the log
    next_month: Money  # cost of the next month, trend included
    backtest: Backtest
    change: Decimal  # month like the log's second half - month like its first half
    drivers: tuple[Driver, ...]
    spikes: tuple[Spike, ...]
    inflation: tuple[Inflation, ...]
    # these amounts are the least, where some calls are not fully priced
    unpriced_requests: int = 0
    unpriced_share: float = 0.0  # of all tokens
