"""The replay as a part of the audit: before and after, predicted and measured."""

import numpy as np
import polars as pl

from costaudit.contracts.replay import Difference, LatencyRow, ReplaySection
from costaudit.replay.agreement import Agreement
from costaudit.replay.hours import by_hour, is_daily
from costaudit.replay.latency import Latency, latency
from costaudit.replay.options import ReplayOptions
from costaudit.replay.result import ReplayResult
from costaudit.replay.stream import ReplayStream

DIFFERENCES = 50  # listed


def replay_section(
    stream: ReplayStream,
    predicted: pl.DataFrame,
    result: ReplayResult,
    agreement: Agreement,
    options: ReplayOptions,
) -> ReplaySection:
    """Say what was measured, in the audit's words; latencies that nobody knows are left out.

    `predicted` are the simulated OUTCOMES. Cost and wrong answers are not of this stage.
    """
    through = latency(result.outcomes["latency_ms"].cast(float).fill_null(np.nan).to_numpy())
    rows = {
        "as logged": latency(stream.latencies_ms),
        "through the cache": through,
        "lookups": result.lookup,
        "hits": result.hit,
        "misses": result.miss,
    }
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
        daily=is_daily(stream),
    )


def _row(name: str, row: Latency) -> LatencyRow:
    return LatencyRow(name, row.count, row.p50_ms, row.p95_ms, row.p99_ms)


def _pace(options: ReplayOptions) -> str:
    if options.speed is not None:
        return f"{options.speed:g} times the log's speed"
    if options.max_rate is not None:
        return f"in the log's order, at most {options.max_rate:g} requests a second"
    return "in the log's order, as fast as it went"
