"""Replay prompts in one pass through their providers' caches, with writes at markers."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.requests import CACHE_WRITES, INPUT_CLASSES
from costaudit.contracts.run_dir import column
from costaudit.simulate.prefix.rules.rules import Assigned, Rules
from costaudit.simulate.prefix.tree.prompts import NO_TIME, Prompts
from costaudit.simulate.segments import MARKERS, ROLES, Codes, Ints, Small, Whole, any_in, owners

CODES = {name: code for code, name in enumerate(MARKERS)}  # as in Segments.marker; 0 for none
TOLERANCE = 0.02  # share of a prompt by which counters and local token counts may differ


@dataclass(frozen=True)
class Markers:
    """A cache marker per segment, and the places where the provider sets its own."""

    code: Codes  # per segment, index into MARKERS
    own: Small  # per request: segment of the provider's own marker; -1 for none
    inferred: NDArray[np.bool_]  # per request: inferred from billed counters, not logged


def shared_ends(prompts: Prompts) -> Ints:
    """Return the last segment of each prompt that a longer prompt can begin with.

    In a trace of block hashes, the last hash is of a block that is not full: the next prompt fills
    it and has another hash there.
    """
    first, end = prompts.segments.offsets[:-1], prompts.segments.offsets[1:] - 1
    return end - (np.append(_hashed(prompts), False)[end] & (end > first))


def ending_roles(prompts: Prompts) -> Codes:
    """Return the roles of segments, by which the ends of messages are found.

    A trace of block hashes has no messages: one ends with each run of blocks that prompts share,
    so the runs take turns as user and tool. None ends with the block that is not full.
    """
    segments, hashed = prompts.segments, _hashed(prompts)
    if not hashed.any():
        return segments.role
    turns = np.where(np.arange(len(hashed)) % 2, ROLES.index("user"), ROLES.index("tool"))
    plain = (segments.role == ROLES.index("tools")) | (segments.role == ROLES.index("system"))
    role = np.where(hashed & ~plain, turns, segments.role).astype(np.int8)
    offsets = segments.offsets
    cut = (offsets[1:] - 1)[(np.diff(offsets) > 0) & (shared_ends(prompts) < offsets[1:] - 1)]
    role[cut] = ROLES.index("assistant")
    return role


def _hashed(prompts: Prompts) -> NDArray[np.bool_]:
    """Return flags of the segments for which the log has only a hash."""
    kinds = prompts.segments.kinds
    return np.array([*(kind == "hash" for kind in kinds), False])[prompts.segments.kind]


def logged_markers(
    requests: pl.DataFrame, prompts: Prompts, assigned: Assigned, template: Ints
) -> Markers:
    """Return the markers that the log shows, or else those inferred from its counters.

    A request asks for markers on its segments, or for one at its end (Anthropic's automatic
    caching). Its cache options say where the provider sets its own marker, and its lifetime.
    `template` is each request's template number: lifetimes are inferred within a template.
    """
    from costaudit.simulate.prefix.caches.cache_kernels import last_endings

    shown = prompts.segments.marker
    code = np.where(shown < 0, CODES["5m"], shown).astype(np.int8)  # unknown: the default
    marked = any_in(code > 0, prompts.segments.offsets)
    explicit = assigned.is_marked("explicit")
    automatic = _automatic(requests, prompts, assigned, code)
    read = column(requests, "cache_read_tokens").fill_null(0).to_numpy()
    written = requests.select(pl.sum_horizontal(CACHE_WRITES).fill_null(0)).to_series().to_numpy()
    cached = read + written
    inferred = explicit & ~marked & ~automatic & (cached > 0) & prompts.sendable
    if inferred.any():
        _infer(requests, prompts, inferred, template, code)
    own = last_endings(prompts.segments.offsets, ending_roles(prompts))
    implicit = assigned.is_marked("implicit")
    mode, ttl = _cache_options(requests)
    kept_out = (mode == "explicit") | (
        (mode == "") & marked & _ends_before(prompts, own, cached)
    )  # fmt: skip
    own = np.where(implicit & ~kept_out, own, -1)
    asked = (own >= 0) & (ttl > 0)
    code[own[asked]] = np.maximum(code[own[asked]], ttl[asked])
    return Markers(code, own, inferred)


def _automatic(
    requests: pl.DataFrame, prompts: Prompts, assigned: Assigned, code: Codes
) -> NDArray[np.bool_]:
    """Set the marker of a top-level cache_control, at the last block that can have one.

    Return the requests that have one. Rules without automatic caching set nothing.
    """
    from costaudit.simulate.prefix.caches.cache_kernels import last_markable

    asked = column(requests, "auto_cache_ttl")
    if asked.null_count() == len(asked):
        return np.zeros(len(asked), np.bool_)
    known = np.array([rules.automatic for rules in assigned.rules], np.bool_)[assigned.index]
    chosen = asked.is_not_null().to_numpy() & known & prompts.sendable
    segments = prompts.segments
    barred = np.array([*(_not_markable(kind) for kind in segments.kinds), False])[segments.kind]
    end = last_markable(segments.offsets, barred)
    ttl = asked.replace_strict(CODES, default=CODES["5m"], return_dtype=pl.Int8).to_numpy()
    rows = np.flatnonzero(chosen & (end >= 0))
    code[end[rows]] = np.where(code[end[rows]] > 0, code[end[rows]], ttl[rows])
    return np.asarray(chosen & (end >= 0))


def _not_markable(kind: str) -> bool:
    return "thinking" in kind or "reasoning" in kind


def _cache_options(requests: pl.DataFrame) -> tuple[NDArray[np.str_], Ints]:
    """Return mode and lifetime code of each request's cache options; "" and 0 if not set."""
    texts = column(requests, "cache_options")
    if texts.null_count() == len(texts):
        return np.zeros(len(texts), "<U8"), np.zeros(len(texts), np.int64)
    told = {text: _options(text) for text in texts.drop_nulls().unique().to_list()}
    mode = texts.replace_strict({text: one[0] for text, one in told.items()}, default="",
                                return_dtype=pl.String)  # fmt: skip
    ttl = texts.replace_strict({text: one[1] for text, one in told.items()}, default=0,
                               return_dtype=pl.Int64)  # fmt: skip
    return mode.fill_null("").to_numpy().astype("<U8"), ttl.fill_null(0).to_numpy()


def _options(text: str) -> tuple[str, int]:
    try:
        told = json.loads(text)
    except ValueError:
        return "", 0
    if not isinstance(told, dict):
        return "", 0
    mode, ttl = told.get("mode"), told.get("ttl")
    return mode if mode in ("explicit", "implicit") else "", CODES.get(str(ttl), 0)


def _infer(
    requests: pl.DataFrame,
    prompts: Prompts,
    inferred: NDArray[np.bool_],
    template: Ints,
    code: Codes,
) -> None:
    """Set markers at prefix ends by the counters: after read tokens, and after written tokens.

    A read that ends in the tools and system segments shows a marker that every request of the
    template sets, including the first. Long-lived writes come first in a prompt. If a write has no
    lifetime, the most frequent one of its template applies.
    """
    from costaudit.simulate.prefix.caches.cache_kernels import head_sizes, nearest_ends

    offsets = prompts.segments.offsets
    ends = prompts.segment_tokens
    read, short, hour = (
        requests[name].fill_null(0).to_numpy()
        for name in ("cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens")
    )
    other = column(requests, "cache_write_other_tokens").fill_null(0).to_numpy()
    landing = nearest_ends(offsets, ends, inferred & (read > 0), read)
    middle = nearest_ends(offsets, ends, inferred & (hour > 0) & (short > 0), read + hour)
    reach = nearest_ends(offsets, ends, inferred, read + hour + short + other)
    heads = head_sizes(offsets, prompts.segments.role)
    places = pl.DataFrame(
        {
            "template": template,
            "depth": np.where(landing >= 0, landing - offsets[:-1], -1),
            "head": heads,
            "hour": np.where(inferred, hour, 0),
            "short": np.where(inferred, short, 0),
        }
    )
    shown = pl.col("depth").filter(pl.col("depth").is_between(0, pl.col("head") - 1))
    places = places.with_columns(
        common=shown.mode().min().over("template").fill_null(-1),
        longer=(pl.col("hour").sum() > pl.col("short").sum()).over("template"),
        some=(pl.col("hour").sum() > 0).over("template"),
    )
    common = places["common"].to_numpy()
    longer = places["longer"].to_numpy()
    head_hour = places["some"].to_numpy()  # long-lived markers come before short-lived ones
    everyone = inferred & (common >= 0) & (common < heads)
    at_end = np.where((hour > 0) & (short == 0), True, np.where(short > 0, False, longer))
    for chosen, segment, lives in (
        (inferred & (landing >= 0), landing, longer),
        (everyone, offsets[:-1] + common, longer | head_hour),
        (inferred & (middle >= 0), middle, np.ones_like(longer)),
        (inferred, reach, at_end),
    ):
        code[segment[chosen]] = np.where(lives[chosen], CODES["1h"], CODES["5m"])


def with_ttl(markers: Markers, ttl: Literal["5m", "1h"]) -> Markers:
    """Return markers with one lifetime for all writes."""
    return replace(markers, code=np.where(markers.code > 0, CODES[ttl], 0).astype(np.int8))


def with_longest(markers: Markers, assigned: Assigned, offsets: Ints) -> Markers:
    """Return markers with the provider's longest lifetime for all writes."""
    longest = assigned.longest_codes
    code = np.zeros_like(markers.code)
    marked = np.flatnonzero(markers.code > 0)
    code[marked] = longest[owners(marked, offsets)]
    own = np.flatnonzero(markers.own >= 0)
    code[markers.own[own]] = longest[own]
    return replace(markers, code=code)


def _ends_before(prompts: Prompts, own: Small, cached: Ints) -> NDArray[np.bool_]:
    """Return whether the cached tokens end before the place of the provider's own marker."""
    if not len(prompts.end):  # no prompt has a segment
        return np.zeros(len(cached), np.bool_)
    ends = np.where(own >= 0, prompts.tokens[prompts.end[np.maximum(own, 0)]], 0)
    return np.asarray(cached < (1 - TOLERANCE) * ends)


UNCACHED, READ, WRITE_5M, WRITE_1H, WRITE_OTHER = range(len(INPUT_CLASSES))


@dataclass(frozen=True)
class Replay:
    """Input tokens by request and class, as billed with the simulated caches."""

    tokens: Whole  # (requests, INPUT_CLASSES); 0 for requests that were not replayed
    matched: Small  # request that wrote or last used what was read; -1 for none
    chosen: NDArray[np.bool_]  # requests that were replayed

    @property
    def read(self) -> Ints:
        """Tokens read, per request."""
        return self.tokens[:, READ].astype(np.int64)


def replay(
    prompts: Prompts,
    assigned: Assigned,
    markers: Markers,
    reach: NDArray[np.bool_],
    *,
    far_lookback: bool = False,
) -> Replay:
    """Replay the requests in `reach` that have a prompt; the caches do not see the others.

    `far_lookback` removes the limit of the search back from a marker, to measure its cost.
    """
    from costaudit.simulate.prefix.caches.cache_kernels import replay_breakpoints, replay_tokens

    chosen = reach & prompts.sendable
    start, visible = _clock(prompts, assigned)
    marked = chosen & assigned.matching("breakpoints")
    tokens = np.zeros((len(chosen), len(INPUT_CLASSES)), prompts.class_type)
    if marked.any():
        writes, lookup = _flags(prompts, assigned, markers, marked, far_lookback)
        matched = replay_breakpoints(
            in_order(prompts, marked), prompts.segments.offsets,
            prompts.segment_node, prompts.segment_tokens, start, visible,
            writes, lookup, assigned.ttl_microseconds, assigned.index, _COLUMNS, prompts.nodes,
            prompts.warm, tokens,
        )  # fmt: skip
    else:
        matched = np.full(len(chosen), -1, np.int32)
    matched_by_tokens = chosen & assigned.matching("tokens")
    if matched_by_tokens.any():
        shared, found = replay_tokens(
            in_order(prompts, matched_by_tokens), prompts.offsets, prompts.node,
            prompts.tokens, start, visible, assigned.default_microseconds,
            assigned.each(lambda rules: rules.persisted_units).astype(np.bool_), prompts.nodes,
        )  # fmt: skip
        for here in _slices(len(chosen)):
            read = reported_read(shared[here], assigned, here) * matched_by_tokens[here]
            tokens[here, READ] += read.astype(tokens.dtype)
            matched[here] = np.where(read > 0, found[here], matched[here])
    for here in _slices(len(chosen)):
        left = prompts.billed[here] - tokens[here].sum(axis=1)
        tokens[here, UNCACHED] = np.where(chosen[here], left, 0)
    return Replay(tokens, matched, chosen)


_AT_ONCE = 1 << 18  # requests whose tokens are laid out at once


def _slices(count: int) -> Iterator[slice]:
    for start in range(0, count, _AT_ONCE):
        yield slice(start, start + _AT_ONCE)


def in_order(prompts: Prompts, chosen: NDArray[np.bool_]) -> Ints:
    """Return the chosen requests in the order of their times."""
    return prompts.order if chosen.all() else prompts.order[chosen[prompts.order]]


_COLUMNS = np.array([READ, WRITE_5M, WRITE_1H, WRITE_OTHER, WRITE_OTHER])  # by code; 0: read


def reported_read(shared: Whole, assigned: Assigned, rows: slice = slice(None)) -> Whole:
    """Return shared prefixes as the provider stores and reports them; 0 below its minimum.

    `rows` are the requests of `shared`.
    """

    def each(value: Callable[[Rules], int]) -> Small:
        return assigned.table(value).astype(np.int32)[assigned.index[rows]]

    interval, granularity = (
        each(lambda rules: rules.interval_tokens),
        each(lambda rules: rules.granularity),
    )
    stored = shared // interval * interval
    reported = stored // granularity * granularity
    return np.where(shared >= each(lambda rules: rules.min_tokens), reported, 0)


def _clock(prompts: Prompts, assigned: Assigned) -> tuple[Ints, Ints]:
    late = assigned.table(lambda rules: rules.visible_after == "response_end").astype(np.bool_)
    visible = prompts.last_byte if late.all() else prompts.first_byte
    if late.any() and not late.all():
        visible = np.where(late[assigned.index], prompts.last_byte, visible)
    untimed = prompts.start == NO_TIME
    return prompts.start, np.where(untimed, NO_TIME, visible) if untimed.any() else visible


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
    minimum = assigned.table(lambda rules: rules.min_tokens)
    positions = assigned.table(lambda rules: rules.lookback_positions)
    endings = assigned.table(lambda rules: rules.lookback_endings)
    if far_lookback:
        positions, endings = np.full_like(positions, 2**31), np.full_like(endings, 2**31)
    most = assigned.table(lambda rules: rules.max_markers)
    granted = assigned.granted_codes
    writes, lookup = explicit_flags(
        segments.offsets, chosen & assigned.is_marked("explicit"), sizes, markers.code, granted,
        prompts.runs, assigned.index, minimum, most, positions,
    )  # fmt: skip
    implicit = chosen & assigned.is_marked("implicit")
    if not implicit.any():
        return writes, lookup
    roles = ending_roles(prompts)
    own_writes, own_lookup = implicit_flags(
        segments.offsets, implicit, sizes, markers.code, granted, roles, markers.own,
        assigned.index, minimum, most, endings, assigned.table(lambda rules: rules.first_markers),
        assigned.table(lambda rules: rules.latest_markers),
    )  # fmt: skip
    return np.maximum(writes, own_writes), lookup | own_lookup
