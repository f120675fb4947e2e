"""Find the hours that a log covers, those it lacks, and each hour's weight in a month."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from costaudit.contracts.month import MONTH_DAYS, Hole

HOUR_S = 3_600
DAY_H = 24
WEEK_H = 168
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONDAY_H = 96  # hours from the epoch, a Thursday, to the first Monday
_WORKING, _SATURDAY, _SUNDAY = 0, 1, 2
_CLASS = np.array([_WORKING] * 5 + [_SATURDAY, _SUNDAY])
_LEAST_EXPECTED = 10.0  # minimum usual requests in a stretch that counts as a hole
_LEAST_BUSY_H = 3  # minimum usually busy hours in a hole
_NIGHT_H, _NIGHT_SHARE = 6, 0.01  # hours in a row with a smaller share of the traffic: nights
_PARTIAL = 0.5  # minimum cover of the first and the last hour

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Calendar:
    """The hours from a log's first request to its last one, hour 0 first."""

    first_h: int  # hours since the epoch
    requests: Floats  # per hour
    covered: Floats  # share of each hour that the log covers; 0 in a hole
    weight: Floats  # how often the hour's cost occurs in a month
    holes: tuple[Hole, ...]
    closed: tuple[str, ...]  # weekdays without traffic, or assumed to have none
    unseen: tuple[str, ...]  # weekdays without a covered hour
    weekend_weight: Floats | None  # weights if unseen weekends are otherwise
    unseen_hours: int  # hours of the day that no day covers

    @property
    def weekday(self) -> Ints:
        """Return the weekday of each hour, Monday 0."""
        return self.slot // DAY_H

    @property
    def slot(self) -> Ints:
        """Return the hour of the week of each hour, Monday's first 0."""
        return _slots(self.first_h, len(self.requests))

    @property
    def day(self) -> Ints:
        """Return the day of each hour, in UTC; the first day is 0."""
        hours = self.first_h + np.arange(len(self.requests))
        return hours // DAY_H - self.first_h // DAY_H

    @property
    def usual(self) -> Floats:
        """Return each hour's usual share of a day's traffic, times its cover."""
        by_hour = np.bincount(self.slot % DAY_H, self.requests, DAY_H)
        seen = np.bincount(self.slot % DAY_H, self.covered, DAY_H)
        rate = by_hour / np.maximum(seen, 1e-9) * (seen > 0)
        share = rate / max(rate.sum(), 1e-12)
        return np.asarray(share[self.slot % DAY_H] * (self.covered > 0), np.float64)


def summed(place: npt.NDArray[np.integer], weight: Floats, count: int = 0) -> Floats:
    """Return the sum of weights by place, for places 0 to at least `count` - 1."""
    return np.asarray(np.bincount(place, weight, count), np.float64)


def calendar(ts_s: Floats, counts: Floats | None = None) -> Calendar:
    """Return the calendar of requests at `ts_s`, in seconds since the epoch, all finite.

    `counts` are the requests at each time, by default 1.
    """
    first, last = float(ts_s.min()), float(ts_s.max())
    first_h, last_h = int(first // HOUR_S), int(last // HOUR_S)
    count = last_h - first_h + 1
    place = np.minimum((ts_s // HOUR_S).astype(np.int64) - first_h, count - 1)
    requests = np.bincount(place, counts, count).astype(np.float64)
    slot = _slots(first_h, count)
    stretches = _holes(requests, slot)
    covered = np.ones(count)
    for start, stop in stretches:
        covered[start:stop] = 0.0
    if count > 1:
        covered[0] *= max(1 - (first / HOUR_S - first_h), _PARTIAL)
        covered[-1] *= max(last / HOUR_S - last_h, _PARTIAL)
    return _weighted(first_h, requests, covered, slot, stretches)


def _slots(first_h: int, count: int) -> Ints:
    return np.asarray((first_h + np.arange(count) - _MONDAY_H) % WEEK_H, np.int64)


def _holes(requests: Floats, slot: Ints) -> list[tuple[int, int]]:
    """Return stretches of empty hours in which the log usually has requests."""
    empty = np.concatenate([[False], requests == 0, [False]])
    edges = np.flatnonzero(empty[1:] != empty[:-1]).reshape(-1, 2)
    long = [(int(start), int(stop)) for start, stop in edges if stop - start >= _LEAST_BUSY_H]
    totals = _profile(requests, slot, np.ones(len(requests)))
    return [one for one in long if _is_hole(one, slot, totals)]


def _profile(requests: Floats, slot: Ints, counted: Floats) -> Floats:
    """Return the sums of requests, hours and busy hours by hour of the week: (3, 168)."""
    rows = (requests * counted, counted, (requests > 0) * counted)
    return np.stack([np.bincount(slot, row, WEEK_H) for row in rows])


def _is_hole(stretch: tuple[int, int], slot: Ints, totals: Floats) -> bool:
    """Compare a stretch with the same hours of other weeks, or else of similar days."""
    own = slot[stretch[0] : stretch[1]]
    others = totals.copy()
    others[1] -= np.bincount(own, minlength=WEEK_H)
    week = others.reshape(3, 7, DAY_H)
    expected = busy = 0.0
    by_class = np.stack([week[:, kind == _CLASS].sum(axis=1) for kind in range(3)], axis=1)
    for hour in own.tolist():
        day, of_day = divmod(hour, DAY_H)
        total, seen, full = week[:, day, of_day]
        if not seen:
            total, seen, full = by_class[:, _CLASS[day], of_day]
        if seen:
            expected += total / seen
            busy += full >= seen / 2
    return expected >= _LEAST_EXPECTED and busy >= _LEAST_BUSY_H


def _weighted(
    first_h: int, requests: Floats, covered: Floats, slot: Ints, stretches: list[tuple[int, int]]
) -> Calendar:
    """Return the calendar with weights: the most similar hours represent each hour of a month."""
    cover = summed(slot, covered, WEEK_H).reshape(7, DAY_H)
    traffic = summed(slot, requests, WEEK_H).reshape(7, DAY_H)
    seen_days = cover.sum(axis=1) > 0
    unseen_weekend = [day for day in (5, 6) if not seen_days[day]]
    whole_weekend = len(unseen_weekend) == 2
    office = _nights_are_quiet(cover[:5], traffic[:5])
    donors = _donors(cover, weekend_open=not (whole_weekend and office))
    other = _donors(cover, weekend_open=office) if whole_weekend else None
    silent = [day for day in range(7) if seen_days[day] and not traffic[day].sum()]
    taken = unseen_weekend if whole_weekend and office else []
    return Calendar(
        first_h=first_h,
        requests=requests,
        covered=covered,
        weight=donors.reshape(-1)[slot] * covered,
        holes=tuple(_hole(first_h, start, stop) for start, stop in stretches),
        closed=tuple(WEEKDAYS[day] for day in sorted([*silent, *taken])),
        unseen=tuple(WEEKDAYS[day] for day in range(7) if not seen_days[day]),
        weekend_weight=None if other is None else other.reshape(-1)[slot] * covered,
        unseen_hours=int((cover.sum(axis=0) == 0).sum()),
    )


def _donors(cover: Floats, *, weekend_open: bool) -> Floats:
    """Return, for each hour of the week, how often one covered hour of it occurs in a month.

    If an hour of the week is not covered, the same hour of similar days represents it: of Monday to
    Friday, of the other day of the weekend, then of any day. An hour of the day that no day covers
    is assumed to have no traffic.
    """
    each = MONTH_DAYS / 7
    if cover.all():
        return each / cover
    weight = np.zeros_like(cover)
    for day, hour in np.ndindex(7, DAY_H):
        like = range(5) if day < 5 else (5, 6)
        for days in ((day,), like, range(7)):
            chosen = [one for one in days if cover[one, hour] > 0]
            if chosen:
                break
        else:
            continue
        if day >= 5 and all(one < 5 for one in chosen) and not weekend_open:
            continue
        weight[chosen, hour] += each / cover[chosen, hour].sum()
    return weight


def _nights_are_quiet(cover: Floats, traffic: Floats) -> bool:
    """Return whether Monday to Friday have hours in a row with almost no traffic."""
    seen = cover.sum(axis=0)
    rate = traffic.sum(axis=0) / np.maximum(seen, 1e-9) * (seen > 0)
    if not rate.sum():
        return False
    rolled = np.concatenate([rate, rate[: _NIGHT_H - 1]])
    night = np.convolve(rolled, np.ones(_NIGHT_H), "valid")
    return bool(night.min() < _NIGHT_SHARE * rate.sum())


def _hole(first_h: int, start: int, stop: int) -> Hole:
    at = [
        datetime.fromtimestamp((first_h + hour) * HOUR_S, UTC).isoformat() for hour in (start, stop)
    ]
    return Hole(at[0], at[1], stop - start)
