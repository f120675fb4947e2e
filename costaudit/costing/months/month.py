"""Compute a month from the days of a log, with the range of a next, similar month."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import Grade, Money, micro_usd, weakest
from costaudit.contracts.month import MONTH_DAYS, MonthFacts, Trend
from costaudit.contracts.requests import SENT_TO_PROVIDER, TS_S
from costaudit.costing.months.calendar import WEEKDAYS, Calendar, Floats, calendar, summed
from costaudit.costing.months.resampling import REPLICATES, ResampledDays, resampled, student

FEWEST_DAYS = 2.0  # of usual traffic, for a month
FEW_DAYS = 14.0  # with fewer, the report says that intervals are wide
DRIFT_PER_DAY = 0.007  # drift of spend if the log can't show it: 20 % a month, up or down
_TOLERANCE = 0.1  # days, for logs that start late or end early by a few hours
_ENOUGH_DAYS = FEW_DAYS - _TOLERANCE
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Month:
    """Turns the cost of each request into the cost of a month."""

    facts: MonthFacts
    hours: Calendar | None  # None if the period is the log
    place: npt.NDArray[np.int32]  # hour of each request in the calendar; -1 without a time
    seed: int = 0

    def usd(self, by_request: Floats, exact: Decimal | None = None) -> Decimal:
        """Return the month's sum of `by_request`, in millionths; `exact` is the log's sum."""
        total = Decimal(repr(float(by_request.sum()))) if exact is None else exact
        if not self.facts.is_month:
            return total if exact is not None else micro_usd(total)
        return micro_usd(self.daily(by_request).sum())

    def money(
        self,
        by_request: Floats,
        grade: Grade,
        exact: Decimal | None = None,
        bounds: Bounds | None = None,
    ) -> Money:
        """Return a month with its 95 % interval.

        `bounds` are the 95 % bounds of the uncertainty about the logged requests, as multiples of
        their sum. If the period is the log, they alone make the interval.
        """
        return self.ranged(self.usd(by_request, exact), self.daily(by_request), grade, bounds)

    def ranged(
        self, usd: Decimal, daily: Floats, grade: Grade, bounds: Bounds | None = None
    ) -> Money:
        """Return a month's value with its interval; `daily` are its parts by day."""
        low, high = (usd * Decimal(repr(bound)) for bound in bounds or (1.0, 1.0))
        low, high = min(low, high, usd), max(low, high, usd)
        if not self.facts.is_month:
            if bounds is None:
                return Money(usd, grade)
            return Money(usd, grade, micro_usd(low), micro_usd(high))
        below, above = self.range_of(daily)
        total = float(daily.sum())
        below = max(below, 0.0) if daily.min() >= 0 else below
        ends = (
            float(usd) - float(np.hypot(total - below, float(usd - low))),
            float(usd) + float(np.hypot(above - total, float(high - usd))),
        )
        written = [micro_usd(end) for end in ends]
        return Money(usd, weakest([grade, "estimated"]), min(written[0], usd), max(written[1], usd))

    def daily(self, by_request: Floats) -> Floats:
        """Return what each day of the log adds to the month, including days without traffic."""
        if self.hours is None:
            return np.array([float(by_request.sum())])
        return self._by_day(by_request, self.hours.weight)

    @property
    def weights(self) -> Floats:
        """Return how often each request counts in a month; 1 if the period is the log."""
        if self.hours is None:
            return np.ones(len(self.place))
        weight = self.hours.weight[self.place]
        weight[self.place < 0] = np.nan
        weight[np.isnan(weight)] = np.nanmean(weight)
        return np.asarray(weight, np.float64)

    @property
    def pace(self) -> Decimal:
        """Return how often the log's traffic fits in a month; 1 if the period is the log."""
        if self.hours is None or not len(self.place):
            return Decimal(1)
        return Decimal(repr(float(self.weights.mean())))

    def paced(self, usd: Decimal) -> Decimal:
        """Return the month's value of an amount that is spread over the log like all requests."""
        return micro_usd(usd * self.pace)

    def by_group(self, bills: pl.DataFrame, count: int) -> Floats:
        """Return what each of `count` groups adds to the month on each day: (count, days).

        bills: columns group (its number), hour (since 1970; null without a time) and usd.
        """
        assert self.hours is not None
        day, weight = self.hours.day, self.hours.weight
        days = int(day[-1]) + 1
        timed, untimed = bills.drop_nulls("hour"), bills.filter(pl.col("hour").is_null())
        place = timed["hour"].to_numpy() - self.hours.first_h
        cell = timed["group"].to_numpy() * days + day[place]
        cells = summed(cell, timed["usd"].to_numpy() * weight[place], count * days)
        rest = summed(untimed["group"].to_numpy(), untimed["usd"].to_numpy(), count)
        return cells.reshape(count, days) + np.outer(rest * self._mean_weight, self._even)

    def log_daily(self, by_request: Floats) -> Floats:
        """Return what each day's requests cost in the log; requests without a time are left out."""
        if self.hours is None:
            return np.array([float(by_request.sum())])
        return self._by_day(by_request, np.ones(len(self.hours.requests)))

    def range_of(self, daily: Floats) -> tuple[float, float]:
        """Return the 95 % bounds of the next period: as long as the log, but at most a month.

        Days are resampled within classes of weekdays, twice: once for the error of the log's mean,
        once for the days to come. The drift between both is sampled too.
        """
        if self.hours is None:
            total = float(daily.sum())
            return total, total
        days = self._days
        total = float(daily.sum())
        drawn = total + self._deviation(daily, 0) + self._deviation(daily, 1)
        slope, error = self._slope(daily)
        drift = (slope + error * days.normal) * total * (days.span + min(days.span, MONTH_DAYS)) / 2
        low, high = np.quantile(drawn + drift, [0.025, 0.975]).tolist()
        ends = [total + (end - total) * days.widening for end in (low, high)]
        ends += [total, self._other_reading(daily)]
        return min(ends), max(ends)

    def projected(self, daily: Floats, ahead_days: float) -> tuple[float, float, float]:
        """Return a month at the pace of the days that follow, with its 95 % bounds.

        Growth continues by the same amount each day, a fall by the same share: it stays above 0.
        Fewer than FEW_DAYS can't show that spend doesn't drift, even if they are all alike: the
        bounds then allow for a usual drift, and include those of a month like the log.
        """
        days = self._days
        total = float(daily.sum())
        few = self.facts.traffic_days < _ENOUGH_DAYS
        slope, error = self._slope(daily)
        error = DRIFT_PER_DAY if few else error
        away = (days.span + ahead_days) / 2  # from the log's middle to the middle of the next days
        middle = total * (1 + slope * away if slope > 0 else float(np.exp(slope * away)))
        coming = self._deviation(daily, 1) * np.sqrt(days.span / ahead_days)
        drawn = self._deviation(daily, 0) + coming + error * days.normal * total * away
        low, high = (np.quantile(drawn, [0.025, 0.975]) * days.widening).tolist()
        ends = [middle + low, middle + high]
        ends += self.range_of(daily) if few else []
        return middle, min(ends), max(ends)

    def trend(self, daily: Floats) -> Trend | None:
        """Return the slope over the days, within weekdays; None with fewer than FEW_DAYS."""
        found = self._regression(daily)
        if found is None or self.facts.traffic_days < _ENOUGH_DAYS:
            return None
        slope, error, freedom = found
        wide = error * student(freedom)
        low, high = 7 * (slope - wide), 7 * (slope + wide)
        return Trend(7 * slope, low, high, significant=low > 0 or high < 0)

    @cached_property
    def steady_days(self) -> npt.NDArray[np.bool_] | None:
        """Return the days of the log's second half; None if it is shorter than a week."""
        if self.hours is None or self._days.share.sum() < _ENOUGH_DAYS:
            return None
        seen = np.cumsum(self._days.share)
        return np.asarray(seen > seen[-1] / 2, np.bool_)

    def _by_day(self, by_request: Floats, weight: Floats) -> Floats:
        assert self.hours is not None
        timed = self._timed
        hourly = summed(self.place[timed], by_request[timed], len(weight)) * weight
        daily = summed(self.hours.day, hourly)
        untimed = 0.0 if isinstance(timed, slice) else float(by_request[~timed].sum())
        if untimed:
            every = self.hours.requests * weight
            daily = daily + untimed * every.sum() / self.hours.requests.sum() * self._even
        return daily

    @property
    def _mean_weight(self) -> float:
        """Return how often a request with a time counts in the month, on average."""
        assert self.hours is not None
        requests = self.hours.requests
        return float((self.hours.weight * requests).sum() / requests.sum())

    @cached_property
    def _timed(self) -> slice | npt.NDArray[np.bool_]:
        """Return which requests have a time; a slice of all if every request has one."""
        timed = self.place >= 0
        return slice(None) if timed.all() else timed

    @property
    def _even(self) -> Floats:
        share = self._days.share
        return np.asarray(share / max(share.sum(), 1e-12), np.float64)

    @cached_property
    def _days(self) -> ResampledDays:
        assert self.hours is not None
        return resampled(self.hours, self.seed)

    def _deviation(self, daily: Floats, draw: int) -> Floats:
        """Return each replicate's month minus the log's month, for the first or second draw."""
        total = np.zeros(REPLICATES)
        lone = []
        for one in self._days.classes:
            own = daily[one.days]
            if len(own) < 2:
                lone.append(float(own.sum()))
                continue
            drawn = one.counts[draw] @ own / one.drawn_share[draw]
            spread = np.sqrt(len(own) / (len(own) - 1))
            total += (drawn * one.share - own.sum()) * spread
        rest = float(daily.sum()) - sum(lone)
        if lone and rest:
            others = max(int((self._days.share > 0).sum()) - len(lone), 1)
            total *= np.sqrt(1 + (sum(lone) / rest) ** 2 * others)
        return total

    def _slope(self, daily: Floats) -> tuple[float, float]:
        """Return the drift per day (the log's slope, shrunk towards zero) and its error."""
        found = self._regression(daily)
        if found is None:
            return 0.0, DRIFT_PER_DAY
        slope, error, _ = found
        pull = DRIFT_PER_DAY**2 / (DRIFT_PER_DAY**2 + error**2)
        return slope * pull, float(np.sqrt(pull) * error)

    def _regression(self, daily: Floats) -> tuple[float, float, int] | None:
        """Fit days, relative to their class's mean: return slope, error and degrees of freedom."""
        days = self._days
        full = days.share >= 0.5
        names, kinds = np.unique(days.kind[full], return_inverse=True)
        freedom = len(kinds) - len(names) - 1
        if freedom < 2:
            return None
        level = daily[full] / days.share[full]
        each = np.bincount(kinds)
        means = (np.bincount(kinds, level) / each)[kinds]
        scale = float(daily.sum() / days.share.sum())
        if not scale:
            return None
        departure = (level - means) / scale
        at = np.flatnonzero(full).astype(np.float64)
        at = at - (np.bincount(kinds, at) / each)[kinds]
        squares = float(at @ at)
        if not squares:
            return None
        slope = float(at @ departure) / squares
        error = float(np.sqrt(((departure - slope * at) ** 2).sum() / freedom / squares))
        return slope, max(error, 1e-6), freedom

    def _other_reading(self, daily: Floats) -> float:
        """Return the month's value under the other assumption about weekends that the log lacks."""
        assert self.hours is not None
        total = float(daily.sum())
        other = self.hours.weekend_weight
        if other is None or not self.hours.weight.sum():
            return total
        requests = self.hours.requests
        return total * float(
            (other * requests).sum() / max((self.hours.weight * requests).sum(), 1e-12)
        )


def month_of(requests: pl.DataFrame, covered_days: float, seed: int = 0) -> Month:
    """Return the month of REQUESTS; `covered_days` is the time from the first to the last one.

    Failed calls and calls served by a gateway's cache also show that the log covers an hour.
    """
    ts_s = requests.select(TS_S).to_series().fill_null(np.nan).to_numpy()
    month = month_at(ts_s, covered_days, seed)
    sent = requests.select(SENT_TO_PROVIDER).to_series()
    if not month.facts.is_month:
        return replace(month, facts=replace(month.facts, requests=int(sent.sum())))
    sent_a_month = month.daily(sent.cast(pl.Float64).to_numpy()).sum()
    return replace(month, facts=replace(month.facts, requests=round(sent_a_month)))


def month_at(
    ts_s: Floats, covered_days: float, seed: int = 0, counts: Floats | None = None
) -> Month:
    """Return the month of requests by their times in seconds, NaN if unknown.

    `counts` are the requests at each time, by default 1. The facts don't count requests.
    """
    timed = np.isfinite(ts_s)
    place = np.full(len(ts_s), -1, np.int32)
    if not timed.any():
        why = "No request has a time, so there is no month: the figures are those of the log."
        return Month(MonthFacts("log", covered_days, 0.0, reasons=(why,)), None, place)
    all_timed = bool(timed.all())
    known = ts_s if all_timed else ts_s[timed]
    hours = calendar(known, counts if counts is None or all_timed else counts[timed])
    place[timed] = known // 3_600 - hours.first_h
    days = float(summed(hours.day, hours.usual).sum())
    facts = _facts(hours, days)
    if days < FEWEST_DAYS - _TOLERANCE:
        why = (
            f"The log covers {days:.1f} days of usual traffic. A month needs {FEWEST_DAYS:.0f}: "
            "the figures are those of the log."
        )
        short = replace(facts, period="log", days=covered_days, reasons=(why,))
        return Month(short, None, np.full(len(ts_s), -1))
    return Month(facts, hours, place, seed)


def with_trend(month: Month, spend_by_request: Floats) -> Month:
    """Return the month with the trend of its spend in its facts."""
    if month.hours is None:
        return month
    found = month.trend(month.daily(spend_by_request))
    return replace(month, facts=replace(month.facts, trend=found))


def _facts(hours: Calendar, days: float) -> MonthFacts:
    return MonthFacts(
        period="month",
        days=MONTH_DAYS,
        traffic_days=days,
        holes=hours.holes,
        closed=hours.closed,
        unseen=hours.unseen,
        reasons=tuple(_reasons(hours, days)),
    )


def _reasons(hours: Calendar, days: float) -> list[str]:
    """Return a sentence for each reason why the month's interval is wide."""
    reasons = []
    if days < _ENOUGH_DAYS:
        reasons.append(
            f"The log covers {days:.1f} days of usual traffic; with fewer than {FEW_DAYS:.0f}, a "
            "month's range is wide."
        )
    weekend = [name for name in hours.unseen if name in WEEKDAYS[5:]]
    if len(weekend) == 2:
        taken = "to have no traffic, as the nights have none"
        if not set(weekend) <= set(hours.closed):
            taken = "to be like the days of the week, whose nights have traffic too"
        reasons.append(
            f"Saturday and Sunday are not in the log; they are taken {taken}. The range spans both "
            "readings."
        )
    other = [name for name in hours.unseen if name not in weekend or len(weekend) == 1]
    if other:
        reasons.append(f"{listed(other)} not in the log: taken to be like the other days.")
    if hours.unseen_hours:
        reasons.append(
            f"{hours.unseen_hours} hours of the day are in no day that the log covers: taken to "
            "have no traffic."
        )
    return reasons


def listed(names: Sequence[str]) -> str:
    """Return names as the subject of a sentence with "is" or "are"."""
    if len(names) == 1:
        return f"{names[0]} is"
    return f"{', '.join(names[:-1])} and {names[-1]} are"
