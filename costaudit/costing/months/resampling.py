"""Draw the days of a log again, in classes of weekdays, to show how its months can differ."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from costaudit.costing.months.calendar import Calendar, Floats, Ints, summed

REPLICATES = 800
_PER_WEEKDAY = 3  # with so many of each weekday, weekdays are resampled separately


class DayClass(NamedTuple):
    """The covered days of one kind."""

    days: Ints
    share: float  # sum of the days' shares
    counts: tuple[Floats, Floats]  # (REPLICATES, days): how often each day is drawn, in two draws
    drawn_share: tuple[Floats, Floats]  # (REPLICATES,): sum of the drawn days' shares


@dataclass(frozen=True)
class ResampledDays:
    """The days of a calendar, and how they are resampled."""

    share: Floats  # share of a usual day's traffic that the log covers
    kind: Ints  # days of the same kind are resampled together
    classes: tuple[DayClass, ...]  # of the days with some cover
    normal: Floats  # (REPLICATES,)
    span: int  # days with some cover
    widening: float  # factor of the interval, because few days measure the spread


def resampled(hours: Calendar, seed: int) -> ResampledDays:
    """Return a calendar's days by class, drawn REPLICATES times."""
    share = summed(hours.day, hours.usual)
    weekday = np.zeros(len(share), np.int64)
    weekday[hours.day] = hours.weekday
    seen = share > 0.02
    share = np.where(seen, share, 0.0)
    each = np.bincount(weekday[seen], minlength=7)
    kind = weekday if (each[each > 0] >= _PER_WEEKDAY).all() else np.where(weekday < 5, 0, 5)
    rng = np.random.default_rng(seed)
    classes = []
    freedom = 0
    for one in np.unique(kind[seen]):
        members = np.flatnonzero((kind == one) & seen)
        freedom += len(members) - 1
        even = np.full(len(members), 1 / len(members))
        first, second = (
            rng.multinomial(len(members), even, REPLICATES).astype(np.float64) for _ in range(2)
        )
        own = share[members]
        classes.append(
            DayClass(members, float(own.sum()), (first, second), (first @ own, second @ own))
        )
    normal = rng.standard_normal(REPLICATES)
    return ResampledDays(
        share, kind, tuple(classes), normal, int(seen.sum()), student(freedom) / 1.96
    )


_STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)


def student(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t distribution."""
    if freedom <= len(_STUDENT):
        return _STUDENT[max(freedom, 1) - 1]
    return 1.96 + 2.4 / freedom + 3.0 / freedom**2  # within 0.003 of the tables from 11 on
