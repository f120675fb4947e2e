"""Find tokens that could have been read from a cache but were not, by request, cause and class."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.grades import Pricing
from costaudit.contracts.requests import INPUT_CLASSES, READS_COUNTED
from costaudit.contracts.run_dir import column
from costaudit.simulate.prefix.caches.replay import (
    READ,
    UNCACHED,
    WRITE_1H,
    WRITE_5M,
    WRITE_OTHER,
    Markers,
    Replay,
    in_order,
    replay,
    with_longest,
)
from costaudit.simulate.prefix.rules.rules import Assigned
from costaudit.simulate.prefix.tree.prompts import Groups, Prompts, without_settings
from costaudit.simulate.prefix.tree.settings import SettingName
from costaudit.simulate.segments import Ints, Small, Whole, owners

LOST = pl.Schema(
    {
        "rate_id": pl.Int32,  # null without a known price
        "paid": pl.String,  # class in which the tokens were billed
        "instead": pl.String,  # class in which they could have been billed
        "tokens": pl.Int64,
    }
)
_PAID_FIRST = (WRITE_1H, WRITE_5M, WRITE_OTHER, UNCACHED)


@dataclass(frozen=True)
class Billing:
    """The classes in which lost tokens were billed, and the rate of each request."""

    tokens: Whole  # (requests, INPUT_CLASSES)
    rate_ids: pl.Series  # Int32

    @classmethod
    def of(cls, tokens: Whole, pricing: Pricing | None) -> "Billing":
        """Return replayed or billed classes with the log's rates."""
        unknown = pl.Series([None], dtype=pl.Int32).new_from_index(0, len(tokens))
        return cls(tokens, pricing.rate_ids if pricing else unknown)

    def lost(self, rows: Whole, lost: Whole, instead: int = READ) -> pl.DataFrame:
        """Return LOST: lost tokens come from a request's writes, then its uncached tokens."""
        paid = [one for one in _PAID_FIRST if one != instead]
        sums = np.zeros((len(paid), int(self._rates.max(initial=-1)) + 2), np.int64)
        for at in range(0, len(rows), _AT_ONCE):
            part = rows[at : at + _AT_ONCE]
            left, rate = lost[at : at + _AT_ONCE].astype(np.int64), self._rates[part]
            for place, one in enumerate(paid):
                taken = np.minimum(left, self.tokens[part, one])
                left -= taken
                counted = np.bincount(rate + 1, taken, sums.shape[1])  # exact below 2**53
                sums[place] += counted.astype(np.int64)
        found = [
            (rate if rate >= 0 else None, INPUT_CLASSES[one], INPUT_CLASSES[instead], tokens)
            for one, by_rate in zip(paid, sums.tolist(), strict=True)
            for rate, tokens in enumerate(by_rate, -1)
            if tokens
        ]
        names = ("rate_id", "paid", "instead", "tokens")
        made = pl.DataFrame(found, {name: LOST[name] for name in names}, orient="row")
        return made.select(LOST.names()).sort("rate_id", "paid", nulls_last=True)

    @cached_property
    def _rates(self) -> Small:
        """The rate of each request; -1 if unknown."""
        return self.rate_ids.fill_null(-1).to_numpy()


_AT_ONCE = 200_000  # requests whose lost tokens are added up at once
_FOREVER = 2**61


@dataclass(frozen=True)
class Losses:
    """Lost tokens per request; each token has one cause, the first that applies."""

    live: Whole  # for reference: tokens of the longest prefix that could have been read
    moved: Whole  # parts that change come before parts that don't
    parallel: Whole  # sent before the answer to the first request with the prefix began
    expired: Whole  # unused for longer than entries live, but less than the longest lifetime
    outlived: Whole  # unused for longer than any lifetime that the provider offers
    short: Whole  # the shared prefix is below the provider's minimum
    unmarked: Whole  # no marker at a place where a read is possible
    lookback: Whole  # the marker is too far after the last one
    settings: dict[SettingName, Whole]  # by field: a setting in the prefix changed
    rewritten: Whole  # the conversation's history was changed
    thinking: Whole  # history changed because earlier thinking blocks were left out
    model_switch: Whole  # the conversation continued with another model
    region_switch: Whole  # the conversation continued in another region or account
    provider: Whole  # simulated as read but not billed so: evicted or routed elsewhere
    write_only: Whole  # written, never read, and not lost by a cause above


@dataclass(frozen=True)
class Today:
    """What the application sends now, and how its providers' caches treat it."""

    prompts: Prompts
    groups: Groups
    assigned: Assigned
    markers: Markers
    as_is: Replay
    static: Small  # per request: tokens of the prefix shared with an earlier request of its scope


def find_losses(requests: pl.DataFrame, today: Today, mended: Prompts) -> Losses:
    """Return lost tokens by cause: each rule is left out in turn; extra reads are its loss."""
    prompts, assigned, markers, as_is = today.prompts, today.assigned, today.markers, today.as_is
    ttl = _lifetimes(today)
    cached = as_is.chosen & ~assigned.matching("none")
    in_time = _shared(prompts, cached, np.full_like(ttl, _FOREVER))
    live = _shared(prompts, cached, ttl)
    longest = np.maximum(ttl, assigned.longest_microseconds)
    lasting = _shared(prompts, cached, longest) if (longest > ttl).any() else live
    minimum = assigned.each(lambda rules: rules.min_tokens)
    long_enough = np.where(live >= minimum, live, 0)
    marked = cached & assigned.matching("breakpoints")
    no_limit = _reads(prompts, assigned, markers, marked)
    longer = with_longest(markers, assigned, prompts.segments.offsets)
    kept = _reads(prompts, assigned, longer, marked)
    turns = _turn_losses(requests, prompts, today.static, minimum)
    in_order = _shared(mended, cached, ttl)
    enough = in_order >= minimum  # the moving part is the cause, even if too little comes before it
    moved = _gap(in_order, long_enough, cached & enough)
    regained = np.where(moved > 0, in_order, 0)  # counted as moved, and under no other cause
    storable = cached & (today.static >= minimum)  # a pause can't lose what is too short to store
    parallel = _gap(today.static, np.maximum(in_time, regained), storable)
    unmarked = _gap(long_enough, no_limit, marked)
    held = np.minimum(unmarked, _gap(kept, no_limit, marked))  # a marked part with a shorter life
    expired = _gap(lasting, np.maximum(live, regained), cached & (lasting >= minimum)) + held
    outlived = _gap(in_time, np.maximum(lasting, regained), cached & (in_time >= minimum))
    lookback = _gap(no_limit, as_is.read, marked)
    settings = _setting_losses(today, cached, ttl, live)
    elsewhere = moved + parallel + expired + outlived + (unmarked - held) + lookback
    return Losses(
        live=live,
        moved=moved,
        parallel=parallel,
        expired=expired,
        outlived=outlived,
        short=_gap(live, long_enough, cached & ~enough),
        unmarked=unmarked - held,
        lookback=lookback,
        settings=settings,
        **{name: only(lost, cached) for name, lost in turns.items()},
        provider=_provider_losses(requests, as_is),
        write_only=_gap(_never_read(as_is), elsewhere, marked),
    )


def _setting_losses(
    today: Today, cached: NDArray[np.bool_], ttl: Ints, live: Whole
) -> dict[SettingName, Whole]:
    """Return losses by setting: settings are left out in turn, and the extra reads are the loss."""
    prompts, minimum = today.prompts, today.assigned.each(lambda rules: rules.min_tokens)
    found: dict[SettingName, Whole] = {}
    left_out: tuple[SettingName, ...] = ()
    for name in prompts.settings.varying:
        left_out = (*left_out, name)
        shared = _shared(without_settings(prompts, left_out), cached, ttl)
        found[name] = _gap(shared, live, cached & (shared >= minimum))
        live = np.maximum(shared, live)
    return found


def _gap(more: Whole, less: Whole, chosen: NDArray[np.bool_]) -> Whole:
    return _lost(np.where(chosen, np.maximum(more - less, 0), 0))


def only(lost: Whole, chosen: NDArray[np.bool_]) -> Whole:
    """Return the lost tokens of the chosen requests."""
    return _lost(np.where(chosen, lost, 0)) if lost.any() else lost


def _lost(tokens: Whole) -> Whole:
    return tokens if tokens.any() else _nothing(len(tokens))


def _nothing(requests: int) -> Ints:
    return np.broadcast_to(np.int64(0), (requests,))  # takes no memory


def _reads(
    prompts: Prompts, assigned: Assigned, markers: Markers, chosen: NDArray[np.bool_]
) -> Whole:
    """Return the tokens that are read if a search may go back from a marker without a limit."""
    return replay(prompts, assigned, markers, chosen, far_lookback=True).tokens[:, READ].copy()


def _shared(prompts: Prompts, chosen: NDArray[np.bool_], ttl: Ints) -> Small:
    from costaudit.simulate.prefix.caches.cache_kernels import replay_tokens

    shared, _ = replay_tokens(
        in_order(prompts, chosen), prompts.offsets, prompts.node, prompts.tokens,
        prompts.start, prompts.first_byte, ttl, np.zeros(len(chosen), np.bool_), prompts.nodes,
    )  # fmt: skip
    return shared


def _lifetimes(today: Today) -> Ints:
    """Return the longest lifetime that each request's template asks for, or the default."""
    prompts, markers, template = today.prompts, today.markers, today.groups.index
    assigned = today.assigned
    marked = np.flatnonzero(markers.code > 0)
    owner = owners(marked, prompts.segments.offsets)
    inside = template[owner] >= 0
    marked, owner = marked[inside], owner[inside]
    asked = assigned.ttl_microseconds[assigned.index[owner], markers.code[marked]]
    longest = np.zeros(len(today.groups.groups) + 1, np.int64)  # the last: of no template
    np.maximum.at(longest, template[owner], asked)
    of_template = longest[template]
    return np.where(of_template > 0, of_template, assigned.default_microseconds)


_TURN_LOSSES = ("rewritten", "thinking", "model_switch", "region_switch")


def _turn_losses(
    requests: pl.DataFrame, prompts: Prompts, static: Small, minimum: Small
) -> dict[str, Whole]:
    """Return losses found by comparing each turn with the previous one of its conversation."""
    from costaudit.simulate.prefix.caches.cache_kernels import head_sizes
    from costaudit.simulate.prefix.caches.share_kernels import turn_overlaps

    segments = prompts.segments
    previous = _previous_turns(requests, prompts)
    has = previous >= 0
    if not has.any():
        return dict.fromkeys(_TURN_LOSSES, np.broadcast_to(np.int64(0), has.shape))
    overlap, covered, slid = turn_overlaps(
        segments.offsets, segments.content, prompts.segment_tokens, previous
    )
    heads = head_sizes(segments.offsets, segments.role)
    before = np.diff(segments.offsets)[previous]
    same = has & (prompts.scope == prompts.scope[previous])
    dialogue = (covered > heads) | ((covered == heads) & slid)
    changed = same & dialogue & (covered < before)
    reusable = np.minimum(prompts.billed, prompts.billed[previous])
    changed &= reusable >= minimum
    rewritten = np.where(changed, reusable - np.maximum(overlap, static), 0)
    thought = np.array([*("thinking" in k or "reasoning" in k for k in segments.kinds), False])
    left_out = np.where(changed, segments.offsets[previous] + covered, -1)
    is_thinking = thought[np.append(segments.kind, -1)[left_out]]
    model = column(requests, "model").fill_null("").rank("dense").to_numpy()
    switched = np.where(has & ~same & (overlap >= minimum), overlap - static, 0)
    other_model = model != model[previous]
    found = (
        np.where(is_thinking, 0, rewritten),
        np.where(is_thinking, rewritten, 0),
        np.where(other_model, switched, 0),
        np.where(other_model, 0, switched),
    )
    return {name: np.maximum(lost, 0) for name, lost in zip(_TURN_LOSSES, found, strict=True)}


def _previous_turns(requests: pl.DataFrame, prompts: Prompts) -> Ints:
    """Return the previous request of each one's conversation; -1 for none."""
    rows = pl.DataFrame({"row": prompts.order}).with_columns(
        conversation=column(requests, "conversation").gather(prompts.order),
        tenant=column(requests, "tenant").gather(prompts.order),
        chosen=pl.Series(prompts.sendable[prompts.order]),
    )
    rows = rows.filter("chosen", pl.col("conversation").is_not_null())
    rows = rows.with_columns(before=pl.col("row").shift(1).over("tenant", "conversation"))
    previous = np.full(len(requests), -1, np.int64)
    previous[rows["row"].to_numpy()] = rows["before"].fill_null(-1).to_numpy()
    return previous


def _provider_losses(requests: pl.DataFrame, as_is: Replay) -> Whole:
    """Return the tokens that were simulated as read but not billed so, if counters exist."""
    counted = requests.select(
        trusted=READS_COUNTED
        & (pl.col("cache_read_tokens").fill_null(0).sum().over("provider", "model") > 0),
        read=pl.col("cache_read_tokens").fill_null(0),
    )
    trusted = counted["trusted"].to_numpy() & as_is.chosen
    if not trusted.any():
        return _nothing(len(trusted))
    return _gap(as_is.read, counted["read"].to_numpy(), trusted)


def _never_read(as_is: Replay) -> Ints:
    """Return the written tokens of requests whose writes were never read."""
    if not as_is.tokens[:, 2:].any():
        return _nothing(len(as_is.tokens))
    written = as_is.tokens[:, 2:].sum(axis=1)
    read_from = np.zeros(len(written), np.bool_)
    read_from[as_is.matched[as_is.matched >= 0]] = True
    return np.where(read_from, 0, written)
