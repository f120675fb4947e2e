"""Find a log's partial days by the hours in which its other days have requests."""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from costaudit.costing.months.calendar import DAY_H, HOUR_S, Calendar, Floats, calendar

_LEAST_MISSING = 3.0  # usual requests in the hours that a day lacks; fewer may be chance
_LEAST_SHARE = 0.01  # of the requests of a whole day
_EDGE_H = 0.25  # hours that may lack requests at the start and at the end


class PartialDays(NamedTuple):
    """Days, YYYY-MM-DD in UTC, that a log does not or may not cover in full."""

    partly: tuple[str, ...] = ()  # the log lacks hours that usually have requests
    untold: tuple[str, ...] = ()  # the log lacks hours that no other day shows


WHOLE_DAYS = PartialDays()


def partial_days(ts_s: Floats, counts: Floats | None = None) -> PartialDays:
    """Return the days that lack hours which usually have requests.

    `ts_s` are the times of its requests in seconds since the epoch, all finite; `counts` are the
    requests at each time, by default 1. A day lacks the
    hours before the first request of the log, after the last one, and in its holes. Other days of
    the same kind (working days or weekends) show whether these hours usually have requests; if no
    day covers an hour, it is not known.
    """
    if not len(ts_s):
        return WHOLE_DAYS
    hours = calendar(ts_s, counts)
    first_day = hours.first_h // DAY_H
    requests, covered = _by_day(hours, ts_s)
    is_weekend = (first_day + np.arange(len(requests)) + 3) % 7 >= 5  # day 0 is a Thursday
    rate = _rate(requests, covered, is_weekend)
    lacks = (np.nan_to_num(rate) * (1 - covered)).sum(axis=1)
    partly = (lacks >= _LEAST_MISSING) & (lacks >= _LEAST_SHARE * np.nan_to_num(rate).sum(axis=1))
    untold = np.asarray((np.isnan(rate) & (covered < 1 - _EDGE_H)).any(axis=1), bool)
    names = [
        datetime.fromtimestamp((first_day + day) * DAY_H * HOUR_S, UTC).date().isoformat()
        for day in range(len(requests))
    ]
    return PartialDays(
        tuple(name for name, is_part in zip(names, partly, strict=True) if is_part),
        tuple(
            name
            for name, is_part, is_open in zip(names, partly, untold, strict=True)
            if is_open and not is_part
        ),
    )


def _by_day(hours: Calendar, ts_s: Floats) -> tuple[Floats, Floats]:
    """Return requests per hour, and the share of each hour that is covered: (days, 24) each."""
    start = hours.first_h % DAY_H
    days = -(-(start + len(hours.requests)) // DAY_H)
    requests, covered = np.zeros(days * DAY_H), np.zeros(days * DAY_H)
    stop = start + len(hours.requests)
    requests[start:stop] = hours.requests
    covered[start:stop] = hours.covered > 0
    late = float(ts_s.min()) / HOUR_S % 1 - _EDGE_H
    early = 1 - float(ts_s.max()) / HOUR_S % 1 - _EDGE_H
    covered[start] = 1 - max(late, 0)
    covered[stop - 1] = min(covered[stop - 1], 1 - max(early, 0))
    return requests.reshape(days, DAY_H), covered.reshape(days, DAY_H)


def _rate(requests: Floats, covered: Floats, is_weekend: npt.NDArray[np.bool_]) -> Floats:
    """Return each hour's requests per hour on the other days of its kind: (days, 24).

    If no day of its kind covers the hour, all other days count; NaN if no day does.
    """
    rate = np.full(requests.shape, np.nan)
    for same_kind in (False, True):
        for day in range(len(requests)):
            others = is_weekend == is_weekend[day] if same_kind else np.ones(len(requests), bool)
            others[day] = False
            seen = covered[others].sum(axis=0)
            known = seen > 0
            rate[day, known] = requests[others].sum(axis=0)[known] / seen[known]
    return rate
