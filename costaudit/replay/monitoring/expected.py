"""Compute limits by hour of the week from a log, for a month as predicted."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
HOUR_S = 3600
DAY_H, WEEK_H = 24, 168
FIRST_SUNDAY_H = 72  # 1970-01-04 00:00 UTC, in hours since 1970: weeks begin on Sunday, as PromQL's
WINDOWS_H = (1, 2, 3, 6, 12, 24)  # the shortest window that shows a fall is used
ENOUGH = 30  # minimum number of requests in a window
ERRORS = 4.0  # standard errors; chance exceeds them in one window of 30,000
HEADROOM = 1.3  # factor above the log's own largest departure
PRIOR = 50.0  # requests; the weight of the overall mean in an hour of the week
VISIBLE_FALL = 0.6  # a rate times this must exceed the limit
VISIBLE_RISE = 1.8  # a mean times this must exceed the limit
TWO_WEEKS_H = 14 * DAY_H  # minimum length of a log to distinguish hours of the week


@dataclass(frozen=True)
class Traffic:
    """The requests of a log, as predicted with the cache, in order of time."""

    ts_s: Floats
    looked_up: npt.NDArray[np.bool_]
    hit: npt.NDArray[np.bool_]
    cost_usd: Floats  # of the model's answer; 0 for a hit
    read_tokens: Floats  # from a provider's prompt cache; 0 for a hit
    input_tokens: Floats  # all input; 0 for a hit


@dataclass(frozen=True)
class Outlook:
    """What the month model knows about the log's hours and the next month.

    Changes are factors from the log's mean to the last day of that month; 1 means no change.
    """

    covered: Floats | None = None  # share of each hour that the log covers, 0 in a hole; None: all
    hit_rate: float = 1.0
    cost_per_answer: float = 1.0
    read_share: float = 1.0
    day_cost: float = 1.0  # upper 95 % bound, and not below 1


@dataclass(frozen=True)
class Limit:
    """A limit within a sliding window, by hour of the week or of the day, UTC."""

    window_h: int
    by_hour: tuple[float, ...]  # 168, from Sunday 00:00, or 24
    usual: float  # value over the whole log


@dataclass(frozen=True)
class ExpectedTraffic:
    """Limits that predicted traffic does not exceed; None if no window shows a fall."""

    warm_up_s: float = 0.0  # until a new cache reaches its usual hit rate
    hit_rate_low: Limit | None = None
    hit_rate_high: Limit | None = None
    cost_per_answer_high: Limit | None = None
    read_share_low: Limit | None = None
    day_cost_high: Limit | None = None  # US dollars within 24 hours
    notes: tuple[str, ...] = field(default=())  # which rules are left out, and why


@dataclass(frozen=True)
class _Hours:
    first_h: int  # hours since 1970
    sums: dict[str, Floats]  # name → by hour
    hole: Floats  # 1 for an hour that the log does not cover

    def whole(self, window_h: int) -> npt.NDArray[np.bool_]:
        """Return whether the log covers all hours of each window."""
        return np.asarray(self._sliding(self.hole, window_h) == 0, np.bool_)

    def sliding(self, name: str, window_h: int) -> Floats:
        """Return sums over the last hours, at the end of each hour."""
        return self._sliding(self.sums[name], window_h)

    @staticmethod
    def _sliding(column: Floats, window_h: int) -> Floats:
        total = np.cumsum(column)
        before = np.concatenate([np.zeros(window_h), total[:-window_h]])[: len(total)]
        return np.asarray(total - before, np.float64)

    def slots(self, window_h: int) -> tuple[npt.NDArray[np.int64], int]:
        """Return the hour of the week, or of the day, at the end of each window."""
        count = len(next(iter(self.sums.values())))
        ended = self.first_h + np.arange(count) + 1
        if count >= TWO_WEEKS_H:
            return (ended - FIRST_SUNDAY_H) % WEEK_H, WEEK_H
        return ended % DAY_H, DAY_H


def expected_traffic(traffic: Traffic, outlook: Outlook = Outlook()) -> ExpectedTraffic:
    """Return limits that the log and the month after it do not exceed.

    A log without times, or shorter than a day, has none.
    """
    if len(traffic.ts_s) < 2 or traffic.ts_s[-1] - traffic.ts_s[0] < DAY_H * HOUR_S:
        return ExpectedTraffic(notes=("The log is shorter than a day: no limit is known.",))
    hours = _by_hour(traffic, outlook)
    warm_h = _warm_up_h(hours)
    rate = _limits(hours, ("hits", "lookups"), warm_h, outlook.hit_rate)
    cost = _limits(hours, ("cost", "answers"), 0, outlook.cost_per_answer)
    reads = _limits(hours, ("read", "input"), 0, outlook.read_share)
    found = {
        "hit rate": rate[0],
        "cost of an answer": cost[1],
        "share read from the prompt cache": reads[0],
    }
    return ExpectedTraffic(
        warm_up_s=float(warm_h * HOUR_S),
        hit_rate_low=rate[0],
        hit_rate_high=rate[1],
        cost_per_answer_high=cost[1],
        read_share_low=reads[0],
        day_cost_high=_day_cost(hours, outlook.day_cost),
        notes=tuple(
            f"No alert on the {name}: with this traffic no window up to {WINDOWS_H[-1]} hours "
            "distinguishes a fall from chance."
            for name, limit in found.items()
            if limit is None
        ),
    )


def _day_cost(hours: _Hours, growth: float) -> Limit | None:
    """Return the highest cost of 24 hours, by the hour of the week at their end."""
    days, usable = hours.sliding("cost", DAY_H), hours.whole(DAY_H)
    usable[: DAY_H - 1] = False
    if not days[usable].sum():
        return None
    slots, slot_count = hours.slots(DAY_H)
    usual = float(days[usable].mean())
    centre = _centre(days[usable], slots[usable], slot_count, usual)
    departure = float((days[usable] - centre[slots[usable]]).max())
    high = (centre + HEADROOM * max(departure, (HEADROOM - 1) * usual)) * max(growth, 1.0)
    return Limit(DAY_H, tuple(high.tolist()), usual)


def _by_hour(traffic: Traffic, outlook: Outlook) -> _Hours:
    hour = (traffic.ts_s // HOUR_S).astype(np.int64)
    place = hour - hour[0]
    count = int(place[-1]) + 1
    answered = ~traffic.hit
    columns = {
        "lookups": traffic.looked_up,
        "hits": traffic.hit,
        "answers": answered,
        "cost": np.where(answered, traffic.cost_usd, 0.0),
        "square": np.where(answered, traffic.cost_usd**2, 0.0),
        "read": np.where(answered, traffic.read_tokens, 0.0),
        "input": np.where(answered, traffic.input_tokens, 0.0),
    }
    sums = {
        name: np.asarray(np.bincount(place, one.astype(float), count), np.float64)
        for name, one in columns.items()
    }
    hole = np.zeros(count)
    if outlook.covered is not None:
        hole[: len(outlook.covered)] = outlook.covered[:count] == 0
    return _Hours(int(hour[0]), sums, hole)


def _warm_up_h(hours: _Hours) -> int:
    """Return the hours until a day's rate first reaches 90 % of the rest's."""
    hits, lookups = np.cumsum(hours.sums["hits"]), np.cumsum(hours.sums["lookups"])
    half = len(hits) // 2
    later = (hits[-1] - hits[half]) / max(lookups[-1] - lookups[half], 1.0)
    daily = hours.sliding("hits", DAY_H) / np.maximum(hours.sliding("lookups", DAY_H), 1.0)
    reached = np.flatnonzero(daily >= 0.9 * later)
    return int(min(reached[0] + 1 if len(reached) else half, half))


def _limits(
    hours: _Hours, names: tuple[str, str], skipped_h: int, change: float
) -> tuple[Limit | None, Limit | None]:
    """Return the low and high limits of a ratio, each over the shortest window that shows a change.

    The limits allow a change of the ratio by the factor `change`.
    """
    low: Limit | None = None
    high: Limit | None = None
    for window_h in WINDOWS_H:
        part, whole = (hours.sliding(name, window_h) for name in names)
        answers = hours.sliding(names[1] if names[1] != "input" else "answers", window_h)
        usable = (answers >= ENOUGH) & (whole > 0) & hours.whole(window_h)
        usable[: skipped_h + window_h - 1] = False
        if usable.sum() < DAY_H // 2:
            continue
        slots, slot_count = hours.slots(window_h)
        usual = float(part[usable].sum() / whole[usable].sum())
        if usual <= 0:
            break
        centre = _centre(part[usable] / whole[usable], slots[usable], slot_count, usual)
        departure = part[usable] / whole[usable] - centre[slots[usable]]
        error = ERRORS * _standard_error(hours, names, usual) / np.sqrt(np.median(answers[usable]))
        below = (centre - max(error, -HEADROOM * float(departure.min()))) * min(change, 1.0)
        above = (centre + max(error, HEADROOM * float(departure.max()))) * max(change, 1.0)
        if low is None and float(np.median(below)) > (1 - VISIBLE_FALL) * usual:
            low = Limit(window_h, tuple(np.maximum(below, 0.0).tolist()), usual)
        if high is None and float(np.median(above)) < VISIBLE_RISE * usual:
            high = Limit(window_h, tuple(above.tolist()), usual)
    return low, high


def _centre(rates: Floats, slots: npt.NDArray[np.int64], slot_count: int, usual: float) -> Floats:
    """Return the expected ratio per slot; a slot with few requests stays near the mean."""
    seen = np.bincount(slots, minlength=slot_count)
    sums = np.bincount(slots, rates, minlength=slot_count)
    return np.asarray((sums + usual) / (seen + 1.0), np.float64)


def _standard_error(hours: _Hours, names: tuple[str, str], usual: float) -> float:
    """Return the standard deviation of one request's contribution to a ratio."""
    if names[0] == "hits":
        return float(np.sqrt(usual * (1 - usual)))
    if names[0] == "cost":
        answers = max(hours.sums["answers"].sum(), 1.0)
        return float(np.sqrt(max(hours.sums["square"].sum() / answers - usual**2, 0.0)))
    return float(np.sqrt(usual * max(1 - usual, 0.0)))
