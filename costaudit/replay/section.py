"""Build the audit's section on a replay: before and after, predicted and measured, by hour."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.replay import (
    REASONS,
    Difference,
    HourRow,
    LatencyName,
    LatencyRow,
    Reason,
    ReplaySection,
)
from costaudit.contracts.requests import RESULTS
from costaudit.errors import InsufficientDataError
from costaudit.replay.cache import CacheTraits
from costaudit.replay.options import ReplayOptions
from costaudit.replay.result import Latency, ReplayResult, latency
from costaudit.replay.stream import BYPASS, ReplayStream

ROUNDING = 0.01  # of a cosine: vectors with 8 bits a dimension differ by less


@dataclass(frozen=True)
class Agreement:
    """Predicted compared with measured. Law: agreed + Σ reasons = requests."""

    requests: int
    agreed: int  # hit or miss or bypass on both sides
    same_entry: int  # hits on both sides that served the same request's answer
    both_hit: int
    confusion: dict[str, dict[str, int]]  # predicted → measured → requests
    reasons: dict[Reason, int]  # for requests that differ
    differing: pl.DataFrame  # request_id, predicted, measured, reason: in the log's order

    @property
    def agreed_share(self) -> float:
        """Return the share of all requests with the predicted result."""
        return self.agreed / self.requests


@dataclass(frozen=True)
class Conditions:
    """The conditions of a replay."""

    stream: ReplayStream
    options: ReplayOptions
    traits: CacheTraits
    slack_s: float = 0.0  # how late the replay was, on the log's clock
    explained: frozenset[str] = frozenset()  # requests that another rule predicts as measured


@dataclass(frozen=True)
class _Misses:
    """Requests with a missed lookup, predicted or measured."""

    places: dict[str, int]  # request_id → index in the stream
    predicted: frozenset[str]
    measured: frozenset[str]


def compare(predicted: pl.DataFrame, measured: pl.DataFrame, conditions: Conditions) -> Agreement:
    """Compare predicted and measured OUTCOMES of the same requests.

    Raises InsufficientDataError if the tables share no request.
    """
    columns = ("request_id", "result", "matched_id", "similarity")
    joined = predicted.select(columns).join(
        measured.select(columns), on="request_id", suffix="_live", maintain_order="left"
    )
    if joined.is_empty():
        raise InsufficientDataError(
            "The prediction and the replay share no request.",
            hint="Replay the run that was simulated.",
        )
    misses = _Misses(
        {request_id: index for index, request_id in enumerate(conditions.stream.request_ids)},
        frozenset(joined.filter(result="miss")["request_id"]),
        frozenset(joined.filter(result_live="miss")["request_id"]),
    )
    both_hit = joined.filter(result="hit", result_live="hit")
    differing = joined.filter(pl.col("result") != pl.col("result_live"))
    reasons = [_reason(row, conditions, misses) for row in differing.iter_rows(named=True)]
    counts = Counter(reasons)
    return Agreement(
        requests=joined.height,
        agreed=joined.height - differing.height,
        same_entry=both_hit.filter(pl.col("matched_id") == pl.col("matched_id_live")).height,
        both_hit=both_hit.height,
        confusion=_confusion(joined),
        reasons={reason: counts[reason] for reason in REASONS if counts[reason]},
        differing=differing.select(
            "request_id",
            predicted="result",
            measured="result_live",
            reason=pl.Series(reasons, dtype=pl.String),
        ),
    )


def _confusion(joined: pl.DataFrame) -> dict[str, dict[str, int]]:
    sums = joined.group_by("result", "result_live").len()
    counts = {(one, other): count for one, other, count in sums.iter_rows()}
    return {one: {other: counts.get((one, other), 0) for other in RESULTS} for one in RESULTS}


def _reason(row: dict[str, Any], around: Conditions, misses: _Misses) -> Reason:
    if row["result_live"] == "error":
        return "error"
    if row["request_id"] in around.explained:
        return "another rule"
    is_live_hit = row["result_live"] == "hit"
    entry = row["matched_id_live"] if is_live_hit else row["matched_id"]
    similarity = row["similarity_live"] if is_live_hit else row["similarity"]
    if is_live_hit and entry == "":
        return "start state"
    stored = misses.predicted if is_live_hit else misses.measured
    if entry in misses.places:
        if entry not in stored:
            return "earlier difference"
        timing = _timing(around, misses.places[row["request_id"]], misses.places[entry])
        if timing:
            return timing
        if not is_live_hit and row["similarity"] == 1.0:
            return "no longer held"
    return _index_reason(similarity, around)


def _timing(around: Conditions, index: int, entry: int) -> Reason | None:
    stream, ttl_s = around.stream, around.options.ttl_s
    now_s, ready_s = stream.ts_s[index], stream.ready_s[entry]
    if abs(now_s - ready_s) <= around.slack_s:
        return "clock"
    if ttl_s is None:
        return None
    if around.options.ttl_kind == "sliding":  # the last renewing hit can differ too
        return "expiry" if now_s - ready_s >= ttl_s - around.slack_s else None
    earliest, latest = stream.ts_s[entry] + ttl_s, ready_s + ttl_s  # sent, or inserted
    return "expiry" if earliest - around.slack_s <= now_s <= latest + around.slack_s else None


def _index_reason(similarity: float | None, around: Conditions) -> Reason:
    if around.traits.own_vectors:
        return "unexplained"
    near = similarity is not None and abs(similarity - around.options.min_similarity) <= ROUNDING
    if near:
        return "rounding"
    return "unexplained" if around.traits.exact_index else "approximate index"


HOUR_S = 3600
MOST_HOURS = 48  # shown one by one; a longer log is summed by hour of the day


def is_daily(stream: ReplayStream) -> bool:
    """Return whether the log is too long to show its hours one by one."""
    hours = _hours(stream)
    return len(hours) > 0 and int(hours[-1] - hours[0]) >= MOST_HOURS


def by_hour(
    stream: ReplayStream, predicted: pl.DataFrame, measured: pl.DataFrame
) -> tuple[HourRow, ...]:
    """Return lookups and hits by hour, UTC; empty for a stream without times.

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
    """Return each request's hour since 1970; empty if the clock does not run or has no date."""
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


DIFFERENCES = 50  # listed


def replay_section(
    stream: ReplayStream,
    predicted: pl.DataFrame,
    result: ReplayResult,
    agreement: Agreement,
    options: ReplayOptions,
) -> ReplaySection:
    """Return the measurements as a section of the audit, without unknown latencies.

    `predicted` are the simulated OUTCOMES. Other stages add cost and wrong answers.
    """
    through = latency(result.outcomes["latency_ms"].cast(float).fill_null(np.nan).to_numpy())
    rows: dict[LatencyName, Latency] = {
        "as logged": latency(stream.latencies_ms),
        "through the cache": through,
        "lookups": result.lookup,
        "hits": result.hit,
        "misses": result.miss,
    }
    if options.embed_ms and result.lookup.count:
        everyone = np.full(result.lookup.count, options.embed_ms)
        rows["embedding a question, part of hits and misses"] = latency(everyone)
    return ReplaySection(
        cache=result.cache,
        policy_id=options.policy_id,
        pace=_pace(options),
        requests=agreement.requests,
        agreed=agreement.agreed,
        confusion=agreement.confusion,
        reasons=agreement.reasons,
        errors=result.errors,
        latencies=tuple(_row(name, row) for name, row in rows.items() if row.count),
        spent_usd=result.spent_usd,
        resumed=result.resumed,
        both_hit=agreement.both_hit,
        same_entry=agreement.same_entry,
        differences=tuple(
            Difference(*row) for row in agreement.differing.head(DIFFERENCES).iter_rows()
        ),
        hours=by_hour(stream, predicted, result.outcomes),
        notes=result.notes,
        failed_share=result.failed_share,
        daily=is_daily(stream),
    )


def _row(name: LatencyName, row: Latency) -> LatencyRow:
    return LatencyRow(name, row.count, row.p50_ms, row.p95_ms, row.p99_ms)


def _pace(options: ReplayOptions) -> str:
    if options.speed is not None:
        return f"{options.speed:g} times the log's speed"
    if options.max_rate is not None:
        return f"in the log's order, at most {options.max_rate:g} requests a second"
    return "in the log's order, as fast as it went"
