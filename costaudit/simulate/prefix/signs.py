"""Signs of trouble with caching that counters and errors show, whatever the prompts say."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.simulate.prefix.prompts import Prompts
from costaudit.simulate.prefix.run import PrefixOutcome
from costaudit.simulate.segments import Ints

MIN_REQUESTS = 20
MIN_READ_SHARE = 0.2  # of the input: simulated reads that should not all go missing
CHANGED_SHARE = 0.5  # by which the share of one-hour writes changes from one half to the other
MOST_MARKERS = 4


@dataclass(frozen=True)
class Sign:
    """One thing to look into."""

    kind: str  # usage_not_parsed | too_many_markers | lifetime_changed | batch_not_shared
    text: str  # one sentence
    requests: int
    mend: str


def find_signs(requests: pl.DataFrame, prompts: Prompts, as_is: PrefixOutcome) -> tuple[Sign, ...]:
    """List what the counters, errors and batches of a log point to."""
    return (
        *_not_parsed(requests, as_is),
        *_too_many_markers(requests, prompts.segments.offsets, prompts.segments.marker > 0),
        *_lifetime_changed(requests),
        *_batches(requests),
    )


def _not_parsed(requests: pl.DataFrame, as_is: PrefixOutcome) -> list[Sign]:
    rows = requests.select(
        pl.col("provider", "model").fill_null(""),
        cached=pl.sum_horizontal("^cache_.*_tokens$"),
        size=pl.sum_horizontal("input_uncached_tokens", "^cache_.*_tokens$"),
        counted=pl.col("usage_source").is_in(["provider", "gateway"]).fill_null(False),
    ).with_columns(read=as_is.classes["cache_read_tokens"], chosen=pl.Series(as_is.simulated))
    models = (
        rows.filter("chosen", "counted")
        .group_by("provider", "model")
        .agg(pl.len(), pl.col("cached", "size", "read").sum())
        .filter(
            pl.col("len") >= MIN_REQUESTS,
            pl.col("cached") == 0,
            pl.col("read") >= MIN_READ_SHARE * pl.col("size"),
        )
    )
    return [
        Sign(
            "usage_not_parsed",
            f"No request to {row['model']} shows cached tokens, though {row['read']:,} tokens "
            "should have been read: the log may not carry the counters.",
            row["len"],
            "Log the provider's cached-token counters, and compare one day with its usage page.",
        )
        for row in models.sort("provider", "model").iter_rows(named=True)
    ]


def _too_many_markers(
    requests: pl.DataFrame, offsets: Ints, marked: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> list[Sign]:
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(marked)])
    count = before[offsets[1:]] - before[offsets[:-1]]
    refused = (requests["status"] == "error") & (requests["http_status"] == 400)
    rows = int((refused.fill_null(False).to_numpy() & (count > MOST_MARKERS)).sum())
    text = f"{rows:,} requests with more than {MOST_MARKERS} cache markers were refused."
    mend = f"Set no more than {MOST_MARKERS} markers in a request."
    return [Sign("too_many_markers", text, rows, mend)] if rows else []


def _lifetime_changed(requests: pl.DataFrame) -> list[Sign]:
    wrote = pl.col("cache_write_5m_tokens").fill_null(0) + pl.col(
        "cache_write_1h_tokens"
    ).fill_null(0)
    rows = requests.filter(pl.col("ts").is_not_null() & (wrote > 0)).sort("ts")
    if len(rows) < 2 * MIN_REQUESTS:
        return []
    halves = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    early, late = (
        half["cache_write_1h_tokens"].fill_null(0).sum() / half.select(wrote.sum()).item()
        for half in halves
    )
    if abs(late - early) < CHANGED_SHARE:
        return []
    text = (
        f"One-hour writes went from {early:.0%} to {late:.0%} of all writes around "
        f"{halves[1]['ts'][0]:%Y-%m-%d}: a client may have changed its default lifetime."
    )
    return [Sign("lifetime_changed", text, len(rows), "Set the lifetime explicitly.")]


def _batches(requests: pl.DataFrame) -> list[Sign]:
    wrote = pl.sum_horizontal("^cache_write_.*_tokens$") > 0
    cold = requests.filter(
        pl.col("is_batch").fill_null(False), wrote, pl.col("cache_read_tokens").fill_null(0) == 0
    )
    if len(cold) < MIN_REQUESTS:
        return []
    text = f"{len(cold):,} batch requests wrote to the cache and read nothing from it."
    mend = (
        "Prime the cache with a batch of one request and a one-hour lifetime, then send the rest."
    )
    return [Sign("batch_not_shared", text, len(cold), mend)]
