"""Hits hour by hour: predicted beside measured."""

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.replay import HourRow
from costaudit.replay.stream import BYPASS, ReplayStream

HOUR_S = 3600
MOST_HOURS = 48  # of a log, one by one; a longer one is laid over one day


def is_daily(stream: ReplayStream) -> bool:
    """Tell whether the log is too long to show its hours one by one."""
    hours = _hours(stream)
    return len(hours) > 0 and int(hours[-1] - hours[0]) >= MOST_HOURS


def by_hour(
    stream: ReplayStream, predicted: pl.DataFrame, measured: pl.DataFrame
) -> tuple[HourRow, ...]:
    """Count lookups and hits by hour, UTC; a stream without times gives none.

    Both tables are OUTCOMES with one row per request of the stream.
    """
    hours = _hours(stream)
    if not len(hours):
        return ()
    shown = hours % 24 if is_daily(stream) else hours
    first, last = (0, 23) if is_daily(stream) else (int(shown[0]), int(shown[-1]))
    looked_up = stream.rows != BYPASS
    masks = (looked_up, *(_hits(stream, outcomes) for outcomes in (predicted, measured)))
    counts = [np.bincount(shown[mask] - first, minlength=last - first + 1) for mask in masks]
    return tuple(
        HourRow(_label(first + place, is_daily(stream)), *map(int, row))
        for place, row in enumerate(zip(*counts, strict=True))
    )


def _hours(stream: ReplayStream) -> npt.NDArray[np.int64]:
    """Give each request's hour since 1970; none where the clock stands still or has no date."""
    if not len(stream) or stream.ts_s[0] <= 0 or stream.ts_s[-1] <= stream.ts_s[0]:
        return np.empty(0, np.int64)
    return (stream.ts_s // HOUR_S).astype(np.int64)


def _hits(stream: ReplayStream, outcomes: pl.DataFrame) -> npt.NDArray[np.bool_]:
    ids = pl.DataFrame({"request_id": list(stream.request_ids)})
    joined = ids.join(
        outcomes.select("request_id", "result"), on="request_id", how="left", maintain_order="left"
    )
    return (joined["result"] == "hit").fill_null(value=False).to_numpy()


def _label(hour: int, daily: bool) -> str:
    if daily:
        return f"{hour:02d}:00"
    return str(np.datetime64(hour, "h")).replace("T", " ") + ":00"
