"""The days that the monthly figures of an audit cover, and the days that the log lacks."""

from dataclasses import dataclass
from typing import Literal

MONTH_DAYS = 365.25 / 12
Period = Literal["month", "log"]  # log: too few days for a month; the figures are those of the log


@dataclass(frozen=True)
class Hole:
    """Usually busy hours without any request: the log lacks the requests of these hours."""

    start: str  # ISO 8601, UTC, the first hour without requests
    end: str  # the first hour with requests again
    hours: int


@dataclass(frozen=True)
class Trend:
    """The change of daily spend, where each day is compared with the same weekday."""

    per_week: float  # as a share of the mean day
    low: float  # 95 % bounds
    high: float
    significant: bool  # the bounds exclude 0


@dataclass(frozen=True)
class MonthFacts:
    """How figures of the log are scaled to a month."""

    period: Period
    days: float  # days that a figure covers: MONTH_DAYS, or the length of the log
    traffic_days: float  # days of usual traffic that the log covers
    holes: tuple[Hole, ...] = ()
    closed: tuple[str, ...] = ()  # weekdays without traffic, known or assumed
    unseen: tuple[str, ...] = ()  # weekdays that the log does not cover
    reasons: tuple[str, ...] = ()  # why intervals are wide, or why there is no month: sentences
    trend: Trend | None = None
    requests: int = 0  # sent to a provider, per `period`

    @property
    def is_month(self) -> bool:
        """Return whether the figures are those of a month."""
        return self.period == "month"


def unknown_month() -> MonthFacts:
    """Return the facts of a month when nothing else is known."""
    return MonthFacts("month", MONTH_DAYS, 0.0)
