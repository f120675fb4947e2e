"""One pass of the prompts through their providers' caches, written where markers ask for it."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.simulate.prefix.rules.rules import Assigned
from costaudit.simulate.prefix.tree.prompts import NO_TIME, Prompts
from costaudit.simulate.segments import MARKERS, Codes, Ints, any_in

CODES = {name: code for code, name in enumerate(MARKERS)}  # as in Segments.marker; 0 for none
TOLERANCE = 0.02  # of the prompt: counters and local token counts differ by as much


@dataclass(frozen=True)
class Markers:
    """A cache marker per segment, and where the provider sets one by itself."""

    code: Codes  # per segment, index into MARKERS
    own: Ints  # per request: segment of the provider's own marker; -1 for none
    inferred: NDArray[np.bool_]  # per request: read off the billed counters, not off the log


def logged_markers(requests: pl.DataFrame, prompts: Prompts, assigned: Assigned) -> Markers:
    """Take the markers that the log shows; infer them from the counters where it shows none."""
    from costaudit.simulate.prefix.caches.cache_kernels import last_endings

    code = np.where(prompts.segments.marker > 0, prompts.segments.marker, 0).astype(np.int8)
    read = requests["cache_read_tokens"].fill_null(0).to_numpy()
    written = requests.select(
        pl.sum_horizontal("^cache_write_.*_tokens$").fill_null(0)
    ).to_series().to_numpy()  # fmt: skip
    cached = read + written
    marked = any_in(code > 0, prompts.segments.offsets)
    inferred = assigned.is_marked("explicit") & ~marked & (cached > 0) & prompts.sendable
    if inferred.any():
        _infer(requests, prompts, inferred, read, cached, code)
    own = last_endings(prompts.segments.offsets, prompts.segments.role)
    implicit = assigned.is_marked("implicit")
    kept_out = marked & _ends_before(prompts, own, cached)
    return Markers(code, np.where(implicit & ~kept_out, own, -1), inferred)


def _infer(
    requests: pl.DataFrame,
    prompts: Prompts,
    inferred: NDArray[np.bool_],
    read: Ints,
    cached: Ints,
    code: Codes,
) -> None:
    """Set markers where the counters say that prefixes end: after what was read, and written.

    A read that ends among the tools and system segments shows a marker which every request of
    the endpoint and model sets, the first one too.
    """
    from costaudit.simulate.prefix.caches.cache_kernels import head_sizes, nearest_ends

    offsets = prompts.segments.offsets
    ends = prompts.segment_tokens
    landing = nearest_ends(offsets, ends, inferred & (read > 0), read)
    reach = nearest_ends(offsets, ends, inferred, cached)
    heads = head_sizes(offsets, prompts.segments.role)
    places = requests.select("endpoint", "provider", "model").with_columns(
        depth=pl.Series(np.where(landing >= 0, landing - offsets[:-1], -1)),
        head=pl.Series(heads),
        inferred=pl.Series(inferred),
        hour=pl.col("model").is_in(_hour_models(requests).implode()),
        reach=pl.Series(reach),
    )
    shown = pl.col("depth").filter(pl.col("depth").is_between(0, pl.col("head") - 1))
    groups = ["endpoint", "provider", "model"]
    places = places.with_columns(common=shown.mode().min().over(groups).fill_null(-1))
    lifetime = places["hour"].to_numpy()
    common = places["common"].to_numpy()
    everyone = inferred & (common >= 0) & (common < heads)
    for chosen, segment in (
        (everyone, offsets[:-1] + common),
        (inferred & (landing >= 0), landing),
        (inferred, reach),
    ):
        code[segment[chosen]] = np.where(lifetime[chosen], CODES["1h"], CODES["5m"])


def _hour_models(requests: pl.DataFrame) -> pl.Series:
    """List the models whose writes are for one hour more often than for five minutes."""
    written = requests.group_by("model").agg(
        pl.col("cache_write_5m_tokens").sum(), pl.col("cache_write_1h_tokens").sum()
    )
    longer = pl.col("cache_write_1h_tokens") > pl.col("cache_write_5m_tokens")
    return written.filter(longer)["model"]


def with_ttl(markers: Markers, ttl: Literal["5m", "1h"]) -> Markers:
    """Ask for one lifetime wherever a write is asked for."""
    return replace(markers, code=np.where(markers.code > 0, CODES[ttl], 0).astype(np.int8))


def _ends_before(prompts: Prompts, own: Ints, cached: Ints) -> NDArray[np.bool_]:
    """Tell whether what was cached ends before the provider's own marker would stand."""
    if not len(prompts.end):  # no prompt has a segment
        return np.zeros(len(cached), np.bool_)
    ends = np.where(own >= 0, prompts.tokens[prompts.end[np.maximum(own, 0)]], 0)
    return np.asarray(cached < (1 - TOLERANCE) * ends)


UNCACHED, READ, WRITE_5M, WRITE_1H, WRITE_OTHER = range(len(INPUT_CLASSES))


@dataclass(frozen=True)
class Replay:
    """Input tokens by request and class, as the caches would have billed them."""

    tokens: Ints  # (requests, INPUT_CLASSES); 0 where a request was not replayed
    matched: Ints  # request that wrote or last used what was read; -1 where nothing was
    chosen: NDArray[np.bool_]  # requests that were replayed

    @property
    def read(self) -> Ints:
        """Tokens read, per request."""
        return self.tokens[:, READ]


def replay(
    prompts: Prompts,
    assigned: Assigned,
    markers: Markers,
    reach: NDArray[np.bool_],
    *,
    far_lookback: bool = False,
) -> Replay:
    """Replay the requests in `reach` that have a prompt; the others are not seen by the caches.

    `far_lookback` lifts the limit of the search back from a marker, to see what it costs.
    """
    from costaudit.simulate.prefix.caches.cache_kernels import replay_breakpoints, replay_tokens

    chosen = reach & prompts.sendable
    start, visible = _clock(prompts, assigned)
    ttl = assigned.ttl_microseconds
    tokens = np.zeros((len(chosen), len(INPUT_CLASSES)), np.int64)
    matched = np.full(len(chosen), -1, np.int64)
    marked = chosen & assigned.matching("breakpoints")
    if marked.any():
        writes, lookup = _flags(prompts, assigned, markers, marked, far_lookback)
        counts, found = replay_breakpoints(
            prompts.order[marked[prompts.order]], prompts.segments.offsets,
            prompts.segment_node, prompts.segment_tokens, start, visible,
            writes, lookup, ttl, prompts.nodes,
        )  # fmt: skip
        for code, column in _COLUMNS:
            tokens[:, column] += counts[:, code]
        matched = np.where(marked, found, matched)
    matched_by_tokens = chosen & assigned.matching("tokens")
    if matched_by_tokens.any():
        shared, found = replay_tokens(
            prompts.order[matched_by_tokens[prompts.order]], prompts.offsets, prompts.node,
            prompts.tokens, start, visible, ttl[:, 0],
            assigned.each(lambda rules: rules.persisted_units).astype(np.bool_), prompts.nodes,
        )  # fmt: skip
        read = np.where(matched_by_tokens, reported_read(shared, assigned), 0)
        tokens[:, READ] += read
        matched = np.where(read > 0, found, matched)
    tokens[:, UNCACHED] = np.where(chosen, prompts.billed - tokens.sum(axis=1), 0)
    return Replay(tokens, matched, chosen)


_COLUMNS = (
    (0, READ),
    (CODES["5m"], WRITE_5M),
    (CODES["1h"], WRITE_1H),
    (CODES["30m"], WRITE_OTHER),
    (CODES["12h"], WRITE_OTHER),
)


def reported_read(shared: Ints, assigned: Assigned) -> Ints:
    """Round shared prefixes to what the provider stores and reports; 0 below its minimum."""
    interval = assigned.each(lambda rules: rules.interval_tokens)
    granularity = assigned.each(lambda rules: rules.granularity)
    stored = shared // interval * interval
    reported = stored // granularity * granularity
    return np.where(shared >= assigned.each(lambda rules: rules.min_tokens), reported, 0)


def _clock(prompts: Prompts, assigned: Assigned) -> tuple[Ints, Ints]:
    late = assigned.each(lambda rules: rules.visible_after == "response_end").astype(np.bool_)
    visible = np.where(late, prompts.last_byte, prompts.first_byte)
    return prompts.start, np.where(prompts.start == NO_TIME, NO_TIME, visible)


def _flags(
    prompts: Prompts,
    assigned: Assigned,
    markers: Markers,
    chosen: NDArray[np.bool_],
    far_lookback: bool,
) -> tuple[Codes, NDArray[np.bool_]]:
    from costaudit.simulate.prefix.caches.cache_kernels import explicit_flags, implicit_flags

    segments = prompts.segments
    sizes = prompts.segment_tokens
    minimum = assigned.each(lambda rules: rules.min_tokens)
    positions = assigned.each(lambda rules: rules.lookback_positions)
    endings = assigned.each(lambda rules: rules.lookback_endings)
    if far_lookback:
        positions, endings = np.full_like(positions, 2**31), np.full_like(endings, 2**31)
    most = assigned.each(lambda rules: rules.max_markers)
    granted = assigned.granted_codes
    writes, lookup = explicit_flags(
        segments.offsets, chosen & assigned.is_marked("explicit"), sizes, markers.code, granted,
        prompts.runs, minimum, most, positions,
    )  # fmt: skip
    implicit = chosen & assigned.is_marked("implicit")
    if not implicit.any():
        return writes, lookup
    own_writes, own_lookup = implicit_flags(
        segments.offsets, implicit, sizes, markers.code, granted, segments.role, markers.own,
        minimum, most, endings, assigned.each(lambda rules: rules.first_markers),
        assigned.each(lambda rules: rules.latest_markers),
    )  # fmt: skip
    return np.maximum(writes, own_writes), lookup | own_lookup
