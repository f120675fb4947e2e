"""One pass of the prompts through their providers' caches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.simulate.prefix.assigned import Assigned
from costaudit.simulate.prefix.markers import CODES, Markers
from costaudit.simulate.prefix.prompts import NO_TIME, Prompts
from costaudit.simulate.segments import Codes, Ints

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
    from costaudit.simulate.prefix.cache_kernels import replay_breakpoints, replay_tokens

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
    from costaudit.simulate.prefix.marker_kernels import explicit_flags, implicit_flags

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
