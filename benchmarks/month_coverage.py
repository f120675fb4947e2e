"""Check whether the predicted range of a month, from half a log, covers the other half.

`python benchmarks/month_coverage.py [LOGS]` prints the share of logs of 30 days, by kind, for which
the range predicted from days 1 to 15 covers the monthly value of days 16 to 30.
"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.costing.months.month import Month, month_of

Floats = npt.NDArray[np.float64]
START_S = datetime(2026, 6, 1, tzinfo=UTC).timestamp()  # a Monday
DAYS, HALF = 30, 15
KINDS = ("steady", "rhythm", "growth", "bursts", "outages", "all")


@dataclass(frozen=True)
class GeneratedLog:
    """Times and costs of requests."""

    kind: str
    ts_s: Floats
    usd: Floats

    def half(self, second: bool) -> "GeneratedLog":
        """Return the days 1 to 15, or 16 to 30."""
        chosen = (self.ts_s >= START_S + HALF * 86_400) == second
        return GeneratedLog(self.kind, self.ts_s[chosen], self.usd[chosen])

    def month(self) -> Month:
        """Return its month."""
        at = pl.Series("ts", (self.ts_s * 1e6).astype(np.int64)).cast(pl.Datetime("us", "UTC"))
        requests = pl.DataFrame({"ts": at, "served_by": ["provider"] * len(at)})
        return month_of(requests, (self.ts_s[-1] - self.ts_s[0]) / 86_400)


def generated(kind: str, seed: int) -> GeneratedLog:
    """Return a random log of 30 days; the kind `all` has all traits at once."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    hours = np.arange(DAYS * 24)
    rate = np.full(len(hours), 10 ** rng.uniform(0, 2))
    day = hours // 24
    rate *= np.exp(rng.normal(0, rng.uniform(0.05, 0.25), DAYS))[day]  # days differ at random
    if kind in ("rhythm", "all"):
        office = rng.random() < 0.5
        of_day = hours % 24
        shape = np.where((of_day >= 8) & (of_day < 18), 1.0, 0.0 if office else 0.3)
        weekend = rng.uniform(0, 0.1) if office else rng.uniform(0.3, 1.2)
        rate *= shape * np.where(day % 7 >= 5, weekend, 1.0)
    if kind in ("growth", "all"):
        rate *= np.exp(rng.normal(0.002, 0.006) * day)
    if kind in ("bursts", "all"):
        rate *= np.where(rng.random(len(hours)) < 0.01, rng.uniform(3, 10), 1.0)
        rate *= np.where(rng.random(DAYS) < 0.1, rng.uniform(1.5, 3), 1.0)[day]
    counts = rng.poisson(rate)
    if kind in ("outages", "all"):
        for _ in range(rng.integers(1, 4)):
            start = int(rng.integers(24, len(hours) - 48))
            counts[start : start + int(rng.integers(6, 36))] = 0
    ts_s = np.sort(START_S + (np.repeat(hours, counts) + rng.random(counts.sum())) * 3_600)
    usd = rng.lognormal(-5, rng.uniform(0.3, 1.2), len(ts_s))
    return GeneratedLog(kind, ts_s, usd)


@dataclass(frozen=True)
class Trial:
    """The result for one log split into halves."""

    kind: str
    covered: bool
    width: float  # width of the range, as a share of the value


def trial(log: GeneratedLog) -> Trial:
    """Compare the range from the first half with the value of the second half."""
    first, second = log.half(False), log.half(True)
    told = first.month().money(first.usd, "measured")
    value = second.month().usd(second.usd)
    assert told.low_usd is not None and told.high_usd is not None
    width = float((told.high_usd - told.low_usd) / told.usd)
    return Trial(log.kind, told.low_usd <= value <= told.high_usd, width)


def trials(logs: int) -> list[Trial]:
    """Return the trials of `logs` logs, cycling through the kinds."""
    return [trial(generated(KINDS[i % len(KINDS)], i)) for i in range(logs)]


def main() -> None:
    """Print the coverage by kind of log."""
    done = trials(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
    for kind in (*KINDS, ""):
        chosen = [one for one in done if not kind or one.kind == kind]
        share = sum(one.covered for one in chosen) / len(chosen)
        width = float(np.median([one.width for one in chosen]))
        name = kind or "every log"
        sys.stdout.write(
            f"{name:10} {len(chosen):5} logs  covered {share:6.1%}  width {width:.0%}\n"
        )


if __name__ == "__main__":
    main()
