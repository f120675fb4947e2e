"""The result of a replay, from its finished requests and HDR histograms of latency."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.requests import OUTCOMES, TOKEN_CLASSES, check_outcomes
from costaudit.replay.journal import Acknowledged
from costaudit.replay.options import ReplayOptions
from costaudit.replay.stream import LOGGED_FAILURE, ReplayStream, text_digest

LOWEST_US = 1
HIGHEST_US = 24 * 3600 * 1_000_000
PERCENTILES = (50, 95, 99, 100)
DIGITS = 3  # significant digits of HDR histograms


@dataclass(frozen=True)
class Latency:
    """A distribution of latencies."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    hdr: str  # the histogram itself, in microseconds: HDR's V2 format, base64


def latency(values_ms: npt.NDArray[np.float64]) -> Latency:
    """Return the distribution of latencies; unknown ones (nan) are left out."""
    from hdrh.histogram import HdrHistogram

    histogram = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    known = values_ms[~np.isnan(values_ms)]
    micros = np.clip(np.rint(known * 1000), LOWEST_US, HIGHEST_US).astype(np.int64)
    for value, count in zip(*np.unique(micros, return_counts=True), strict=True):
        histogram.record_value(int(value), int(count))
    if not len(micros):
        return Latency(0, 0.0, 0.0, 0.0, 0.0, histogram.encode().decode("ascii"))
    ranked = np.percentile(micros, PERCENTILES, method="inverted_cdf").tolist()
    p50, p95, p99, most = (histogram.get_highest_equivalent_value(int(v)) / 1000 for v in ranked)
    return Latency(len(micros), p50, p95, p99, most, histogram.encode().decode("ascii"))


@dataclass(frozen=True)
class ReplayResult:
    """The result of one replay. Latencies count from a request's due time, including stalls."""

    outcomes: pl.DataFrame  # OUTCOMES, one row per request
    lookup: Latency  # of every lookup; at full speed, of its shared round trip
    hit: Latency  # including embedding the question
    miss: Latency  # also including the model's logged or measured time
    lateness: Latency  # how late requests were sent; only for paced replays
    slack_s: float  # 99th percentile of lateness, on the log's clock
    errors: dict[str, int]  # reason → requests
    failed_share: float  # of the sent requests
    spent_usd: Decimal  # charged by live models
    resumed: int  # requests finished by an earlier, interrupted run
    cache: str  # printable address
    prefix: str  # of the keys, if they were kept in the cache
    notes: tuple[str, ...] = ()  # sentences about the cache, its server or the upstream


def result_of(
    stream: ReplayStream,
    done: Mapping[int, Acknowledged],
    options: ReplayOptions,
    *,
    resumed: int,
    cache: str,
    prefix: str,
) -> ReplayResult:
    """Return the result of finished requests, in the log's order."""
    rows = [done[index] for index in range(len(stream))]
    speed = options.speed
    outcomes = _outcomes(stream, rows, _matched(stream, rows), options)
    check_outcomes(outcomes, len(stream))
    results = np.array([row.result for row in rows], dtype=object)
    late = _column(rows, "lateness_ms")
    lookups = _column(rows, "lookup_ms") + late
    embedding = np.where(np.isnan(lookups), 0.0, options.embed_ms)  # of requests with a lookup
    whole = _column(rows, "latency_ms") + late + embedding
    paced = speed or options.max_rate
    lateness = latency(late[~np.isnan(lookups)] if paced else late[:0])
    failed = [row.reason for row in rows if row.result == "error"]
    reasons = Counter(reason for reason in failed if reason != LOGGED_FAILURE)
    sent = reasons.total() + sum(row.result in ("hit", "miss") for row in rows)
    return ReplayResult(
        outcomes=outcomes,
        lookup=latency(lookups),
        hit=latency(whole[results == "hit"]),
        miss=latency(whole[results == "miss"]),
        lateness=lateness,
        slack_s=lateness.p99_ms / 1000 * speed if speed else 0.0,
        errors=dict(sorted(reasons.items())),
        failed_share=reasons.total() / max(sent, 1),
        spent_usd=sum((Decimal(row.spent_usd) for row in rows), Decimal(0)),
        resumed=resumed,
        cache=cache,
        prefix=prefix,
    )


def _matched(stream: ReplayStream, rows: list[Acknowledged]) -> list[str | None]:
    """Return the request whose answer each hit served, found by text if the cache does not name it.

    Of several requests with that answer, it is the last miss before the hit, which made the entry;
    "" if the log has no such answer before the hit.
    """
    found: list[str | None] = []
    made: dict[str, str] = {}  # digest of an answer → request
    logged: dict[str, str] = {}
    for index, row in enumerate(rows):
        if row.served is not None:
            found.append(made.get(row.served) or logged.get(row.served) or "")
        else:
            found.append(row.matched_id)
        said = stream.answers[index] if row.answer is None else row.answer
        if said and row.result == "miss":
            made[text_digest(said)] = stream.request_ids[index]
        if stream.answers[index]:
            logged.setdefault(text_digest(stream.answers[index]), stream.request_ids[index])
    return found


def _outcomes(
    stream: ReplayStream,
    rows: list[Acknowledged],
    matched: list[str | None],
    options: ReplayOptions,
) -> pl.DataFrame:
    tokens = np.array([row.tokens for row in rows], dtype=np.int64).reshape(len(rows), -1)
    if not rows:
        return OUTCOMES.to_frame()
    columns = {
        "policy_id": [options.policy_id] * len(rows),
        "request_id": list(stream.request_ids),
        "result": [row.result for row in rows],
        "reason": [row.reason or None for row in rows],
        "matched_id": matched,
        "similarity": [row.similarity for row in rows],
        "right": [None] * len(rows),
        **{name: tokens[:, i] for i, name in enumerate(TOKEN_CLASSES)},
        "latency_ms": [
            None
            if row.latency_ms is None
            else row.latency_ms + (0.0 if row.lookup_ms is None else options.embed_ms)
            for row in rows
        ],
    }
    return pl.DataFrame(columns, schema=OUTCOMES)


def _column(rows: list[Acknowledged], name: str) -> npt.NDArray[np.float64]:
    values = [getattr(row, name) for row in rows]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
