"""Learn unpublished cache properties of providers from the log's counters."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.requests import READS_COUNTED
from costaudit.simulate.prefix.tree.prompts import NO_TIME, Prompts
from costaudit.simulate.segments import Small

MIN_EVIDENCE = 20  # minimum number of requests
_GAPS_S = (0, 30, 60, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
_FOREVER = 2**61


@dataclass(frozen=True)
class Calibration:
    """Interval and lifetime of one model's cache, measured on the bill."""

    provider: str
    model: str
    interval_tokens: int | None  # greatest common divisor of billed reads; None with too few reads
    interval_requests: int  # distinct billed reads that measure it
    lifetime_s: float | None  # longest pause after which at least half of the prefixes were read
    lifetime_requests: int  # requests that measure it


def calibrate(
    requests: pl.DataFrame, prompts: Prompts, shared: Small, user: Small
) -> tuple[Calibration, ...]:
    """Return interval and lifetime per model, learned from billed reads.

    `shared` is each request's longest prefix shared with an earlier request, and `user` is that
    request. A prefix counts as read if at least half of it was billed as read.
    """
    has = (shared > 0) & (user >= 0) & (prompts.start != NO_TIME)
    gap = np.where(has, prompts.start - prompts.start[np.maximum(user, 0)], -1) / 1e6
    rows = requests.select(
        pl.col("provider").fill_null(""),
        pl.col("model").fill_null(""),
        read=pl.col("cache_read_tokens").fill_null(0),
        trusted=READS_COUNTED,
    ).with_columns(shared=shared, gap=gap, chosen=prompts.sendable)
    rows = rows.filter("trusted", "chosen")
    found = []
    for (provider, model), mine in rows.sort("provider", "model").group_by(
        "provider", "model", maintain_order=True
    ):
        reads = mine.filter(pl.col("read") > 0)["read"].unique().to_numpy()
        enough = len(reads) >= MIN_EVIDENCE
        timed = mine.filter(pl.col("gap") >= 0)
        lifetime, count = _lifetime(timed["gap"].to_numpy(), _was_read(timed))
        found.append(
            Calibration(
                provider=str(provider),
                model=str(model),
                interval_tokens=int(np.gcd.reduce(reads)) if enough else None,
                interval_requests=len(reads),
                lifetime_s=lifetime if len(reads) else None,
                lifetime_requests=count,
            )
        )
    return tuple(found)


def _was_read(rows: pl.DataFrame) -> NDArray[np.bool_]:
    return rows.select(2 * pl.col("read") >= pl.col("shared")).to_series().to_numpy()


def _lifetime(gap: NDArray[np.float64], read: NDArray[np.bool_]) -> tuple[float | None, int]:
    """Return the end of the last bin of pauses, from the shortest, in which half were read."""
    lifetime, count = None, 0
    for low, high in pairwise(_GAPS_S):
        inside = (gap >= low) & (gap < high)
        if inside.sum() < MIN_EVIDENCE:
            continue
        if read[inside].mean() < 0.5:
            break
        lifetime, count = float(gap[inside & read].max()), count + int(inside.sum())
    return lifetime, count
