"""Count the calls of each hour, of parts of a log or of a whole one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property

import numpy as np
import polars as pl

from costaudit.contracts.requests import HOUR, SENT_TO_PROVIDER
from costaudit.costing.months.calendar import HOUR_S, Floats
from costaudit.costing.months.month import Month, month_at
from costaudit.costing.months.partial_days import PartialDays, partial_days


@dataclass(frozen=True)
class Times:
    """When calls were made."""

    first: datetime | None  # None if no call has a time
    last: datetime | None
    hours: pl.DataFrame  # hour since 1970, in order, null without a time; requests, sent

    @classmethod
    def of(cls, requests: pl.DataFrame) -> "Times":
        """Return the times of REQUESTS; only `ts` and `served_by` are needed."""
        calls = requests.select(
            "ts", hour=HOUR,
            sent=SENT_TO_PROVIDER.cast(pl.Int64),
        )  # fmt: skip
        first, last = calls.select(pl.col("ts").min(), last=pl.col("ts").max()).row(0)
        counted = calls.group_by("hour").agg(
            pl.len().cast(pl.Int64).alias("requests"), pl.col("sent").sum()
        )
        return cls(first, last, counted.sort("hour", nulls_last=True))

    @classmethod
    def together(cls, parts: Iterable["Times"]) -> "Times":
        """Return the times of a log by those of its parts, at least one."""
        every = list(parts)
        hours = pl.concat(one.hours for one in every)
        return cls(
            min((one.first for one in every if one.first), default=None),
            max((one.last for one in every if one.last), default=None),
            hours.group_by("hour").agg(pl.all().sum()).sort("hour", nulls_last=True),
        )

    @property
    def last_day(self) -> date | None:
        """Return the day of the last call, in UTC; None without a time."""
        return self.last.astimezone(UTC).date() if self.last else None

    def month(self, covered_days: float, seed: int = 0) -> Month:
        """Return the month of the calls, as `month_of` does, but with the place of no call."""
        ts_s, requests, sent = self._moments
        month = month_at(ts_s, covered_days, seed, requests)
        total = month.daily(sent).sum() if month.facts.is_month else sent.sum()
        facts = replace(month.facts, requests=round(float(total)))
        return replace(month, facts=facts, place=month.place[:0])

    def partial_days(self) -> PartialDays:
        """Return the days that the log does not or may not cover in full."""
        ts_s, requests, _ = self._moments
        timed = np.isfinite(ts_s)
        return partial_days(ts_s[timed], requests[timed])

    @cached_property
    def _moments(self) -> tuple[Floats, Floats, Floats]:
        """Return a time in each hour, in seconds, and the requests and sent calls at it.

        The first and the last one are those of the log; NaN means no time.
        """
        table = self.hours.with_columns(ts_s=pl.col("hour").cast(pl.Float64) * HOUR_S)
        ts_s, requests, sent = (
            table[name].cast(pl.Float64).fill_null(np.nan).to_numpy().copy()
            for name in ("ts_s", "requests", "sent")
        )
        if self.first is None or self.last is None:
            return ts_s, requests, sent
        timed = int(np.isfinite(ts_s).sum())
        ts_s[0], end = self.first.timestamp(), self.last.timestamp()
        if timed > 1:
            ts_s[timed - 1] = end
            return ts_s, requests, sent
        at_end = [np.append(one, 0.0) for one in (requests, sent)]
        return np.append(ts_s, end), at_end[0], at_end[1]
