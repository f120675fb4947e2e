"""What the monthly figures of an audit cover: the days that a log has and lacks."""

from dataclasses import dataclass
from typing import Literal

MONTH_DAYS = 365.25 / 12
Period = Literal["month", "log"]  # log: too few days for a month; the figures are those of the log


@dataclass(frozen=True)
class Hole:
    """A stretch without any request in hours that are usually busy: the log lacks it."""

    start: str  # ISO 8601, UTC, the first hour without requests
    end: str  # the first hour with requests again
    hours: int


@dataclass(frozen=True)
class Trend:
    """How the spend of a day changes, weekdays compared with weekdays."""

    per_week: float  # as a share of the mean day
    low: float  # 95 % bounds
    high: float
    significant: bool  # the bounds exclude 0


@dataclass(frozen=True)
class MonthFacts:
    """How figures of the log become figures of a month."""

    period: Period
    days: float  # that a figure covers: MONTH_DAYS, or the length of the log
    traffic_days: float  # days of usual traffic that the log covers
    holes: tuple[Hole, ...] = ()
    closed: tuple[str, ...] = ()  # weekdays without traffic, or taken to have none
    unseen: tuple[str, ...] = ()  # weekdays that the log does not cover
    reasons: tuple[str, ...] = ()  # why intervals are wide, or why there is no month: sentences
    trend: Trend | None = None
    requests: int = 0  # a month, sent to a provider; of the log where the period is the log

    @property
    def is_month(self) -> bool:
        """Return whether there are figures of a month."""
        return self.period == "month"


def unknown_month() -> MonthFacts:
    """Return a month about which nothing more is known."""
    return MonthFacts("month", MONTH_DAYS, 0.0)
