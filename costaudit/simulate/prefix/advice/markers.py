"""Find the cache markers and lifetimes that cost least, by template."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.grades import PER_MTOK, Pricing
from costaudit.engine.pool import default_workers
from costaudit.simulate.prefix.caches.replay import (
    CODES,
    Markers,
    ending_roles,
    replay,
    shared_ends,
)
from costaudit.simulate.prefix.caches.static_share import HEAD_PARTS, PARTS, Parts
from costaudit.simulate.prefix.rules.rules import Assigned
from costaudit.simulate.prefix.tree.prompts import Groups, Prompts
from costaudit.simulate.segments import Ints, Small, Whole, owners

REPEATED_SHARE = 0.5  # a place is static if so many of its requests share its prefix


@dataclass(frozen=True)
class Anchors:
    """Segments after which a marker can be set, per request; -1 for none."""

    tools: Small  # the last tool
    static: Small  # the last block of the head that most requests share
    last: Small  # the end of the prompt
    own: Small  # where a provider sets its own marker
    static_part: tuple[str, ...]  # per template: the part in which the static head ends
    static_block: tuple[int, ...]  # the block of that part, from 0; -1 for the last


def find_anchors(prompts: Prompts, groups: Groups, parts: Parts) -> Anchors:
    """Return the ends of tools, of the static head and of the prompt."""
    from costaudit.simulate.prefix.caches.cache_kernels import last_endings

    offsets = prompts.segments.offsets
    chosen = np.flatnonzero((parts.part < HEAD_PARTS) & groups.owns(offsets))
    owner = owners(chosen, offsets)
    rows = pl.DataFrame(
        {
            "group": groups.index[owner].astype(np.int32),
            "depth": (chosen - offsets[owner]).astype(np.int32),
            "part": parts.part[chosen],
            "node": prompts.node[prompts.end[chosen]],
        }
    )
    places = rows.group_by("group", "depth").agg(
        repeated=1 - pl.col("node").n_unique() / pl.len(), often=pl.len(), part=pl.col("part").max()
    )
    total = pl.Series([group.requests for group in groups.groups], dtype=pl.UInt32)
    places = places.with_columns(all=total.gather(places["group"])).filter(
        pl.col("repeated") >= REPEATED_SHARE, 2 * pl.col("often") >= pl.col("all")
    )
    tools = places.filter(pl.col("part") == PARTS.index("tools"))
    count = len(groups.groups)
    ends = _static_ends(places, rows)
    return Anchors(
        tools=_segments(prompts, groups, _deepest(tools, count)),
        static=_segments(prompts, groups, _deepest(places, count)),
        last=np.where(groups.index >= 0, shared_ends(prompts), -1).astype(np.int32),
        own=last_endings(offsets, ending_roles(prompts)),
        static_part=tuple(ends.get(group, ("", -1))[0] for group in range(count)),
        static_block=tuple(ends.get(group, ("", -1))[1] for group in range(count)),
    )


def _static_ends(places: pl.DataFrame, rows: pl.DataFrame) -> dict[int, tuple[str, int]]:
    """Return, per template, the part and the block in which its static head ends."""
    spans = rows.group_by("group", "part").agg(
        first=pl.col("depth").min(), last=pl.col("depth").max()
    )
    ends = places.sort("depth").unique("group", keep="last").join(spans, on=["group", "part"])
    return {
        row["group"]: (
            PARTS[row["part"]],
            -1 if row["depth"] == row["last"] else row["depth"] - row["first"],
        )
        for row in ends.iter_rows(named=True)
    }


def _deepest(places: pl.DataFrame, count: int) -> Ints:
    found = np.full(count, -1, np.int64)
    deepest = places.group_by("group").agg(pl.col("depth").max())
    found[deepest["group"].to_numpy()] = deepest["depth"].to_numpy()
    return found


def _segments(prompts: Prompts, groups: Groups, depth: Ints) -> Small:
    offsets = prompts.segments.offsets
    of_request = np.append(depth, -1)[groups.index]
    segment = offsets[:-1] + of_request
    found = np.where((of_request >= 0) & (segment < offsets[1:]), segment, -1)
    return found.astype(np.int32)


_INPUT_RATES = PER_MTOK[:5]
_EQUAL = 1e-9  # relative difference below which costs are equal
_WRITE_CODES = ("5m", "1h", "30m")  # in the order of the write classes


@dataclass(frozen=True)
class Plan:
    """Where markers are set, and their lifetimes; "" for none."""

    tools: str = ""
    static: str = ""
    last: str = ""
    own: bool = False  # the provider sets its own marker at the end
    keep: bool = False  # as the application does now


EXPLICIT = (
    Plan(keep=True),
    Plan(),
    Plan(static="5m"),
    Plan(static="1h"),
    Plan(last="5m"),
    Plan(last="1h"),
    Plan(static="5m", last="5m"),
    Plan(static="1h", last="5m"),
    Plan(static="1h", last="1h"),
    Plan(tools="1h", static="5m"),
    Plan(tools="1h", static="5m", last="5m"),
)
IMPLICIT = (
    Plan(keep=True),
    Plan(),
    Plan(own=True),
    Plan(static="30m"),
    Plan(static="30m", own=True),
)


@dataclass(frozen=True)
class Best:
    """The cheapest plan of each template."""

    markers: Markers
    plans: tuple[Plan, ...]  # per template


MOST_REPLAYED = 8_000_000  # requests at the same time: each takes up to 120 bytes meanwhile
_AT_ONCE = 1 << 18  # requests whose prices are laid out at the same time


@dataclass(frozen=True)
class InputPrices:
    """The input prices of requests, which are few: each request has a row of `table`."""

    table: NDArray[np.float64]  # (rows, INPUT_CLASSES)
    index: Small  # per request

    def of(self, rows: Whole) -> NDArray[np.float64]:
        """Return the prices of some requests by class."""
        return self.table[self.index[rows]]

    def cost(self, tokens: Whole) -> NDArray[np.float64]:
        """Return each request's cost; `tokens` are (requests, INPUT_CLASSES)."""
        found = np.empty(len(tokens))
        for start in range(0, len(tokens), _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            found[here] = np.einsum("ij,ij->i", tokens[here], self.table[self.index[here]])
        return found


@dataclass(frozen=True)
class Terms:
    """The rules and prices of prompts, and what the application does today."""

    assigned: Assigned  # the provider's rules
    groups: Groups  # the templates
    prices: InputPrices
    as_is: Markers

    def sums(self, usd: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the sum over the chosen requests of each template."""
        group = self.groups.index[chosen]
        sums = np.bincount(group, weights=usd[chosen], minlength=len(self.groups.groups))
        return sums.astype(np.float64)


def best_markers(
    prompts: Prompts,
    terms: Terms,
    anchors: Anchors,
    reach: NDArray[np.bool_],
    ttls: tuple[str, ...] | None = None,
) -> Best:
    """Return, for each template, the plan that costs least, by replaying every plan.

    Writes cost money, so a prefix that is never read again gets no marker. `ttls` limits the plans
    to these lifetimes. Of plans with equal cost, the first is used: no change, then as few markers
    as possible.
    """
    assigned, groups = terms.assigned, terms.groups
    families = (
        (assigned.is_marked("explicit"), EXPLICIT),
        (assigned.is_marked("implicit"), IMPLICIT),
    )
    chosen = [Plan(keep=True)] * len(groups.groups)
    for family, plans in families:
        mine = family & reach & (groups.index >= 0)
        if not mine.any():
            continue
        allowed = [plan for plan in plans if _allowed(plan, ttls)]
        cost_of = partial(_costs, prompts, terms, anchors, mine)
        at_once = replays_at_once(len(mine), default_workers())
        with ThreadPoolExecutor(at_once) as threads:  # compiled loops release the lock
            costs = np.stack(list(threads.map(cost_of, allowed)))
        cheapest = np.argmax(costs <= costs.min(axis=0) * (1 + _EQUAL), axis=0)
        for group in np.unique(groups.index[mine]):
            chosen[group] = allowed[cheapest[group]]
    return Best(_combined(prompts, groups, anchors, terms.as_is, chosen), tuple(chosen))


def replays_at_once(requests: int, processors: int) -> int:
    """Return how many replays of so many requests run at the same time.

    Together they replay at most MOST_REPLAYED requests, or a single one replays all.
    """
    return max(1, min(processors, MOST_REPLAYED // max(1, requests)))


def _allowed(plan: Plan, ttls: tuple[str, ...] | None) -> bool:
    asked = {plan.tools, plan.static, plan.last} - {""}
    return ttls is None or (not plan.keep and asked <= set(ttls))


def place(anchors: Anchors, as_is: Markers, plan: Plan) -> Markers:
    """Return a plan's markers for every request."""
    if plan.keep:
        return as_is
    code = np.zeros_like(as_is.code)
    for segments, ttl in (
        (anchors.last, plan.last),
        (anchors.static, plan.static),
        (anchors.tools, plan.tools),
    ):
        if ttl:
            code[segments[segments >= 0]] = CODES[ttl]
    own = anchors.own if plan.own else np.full_like(as_is.own, -1)
    return Markers(code, own, np.zeros_like(as_is.inferred))


def _combined(
    prompts: Prompts, groups: Groups, anchors: Anchors, as_is: Markers, chosen: list[Plan]
) -> Markers:
    """Return the markers of each template's plan for its requests."""
    code, own = as_is.code.copy(), as_is.own.copy()
    sizes = np.diff(prompts.segments.offsets)
    for plan in sorted(set(chosen), key=str):
        mine = np.array([*(other == plan for other in chosen), False])[groups.index]
        markers = place(anchors, as_is, plan)
        own = np.where(mine, markers.own, own)
        code = np.where(np.repeat(mine, sizes), markers.code, code)
    return Markers(code, own, as_is.inferred)


def _costs(
    prompts: Prompts, terms: Terms, anchors: Anchors, chosen: NDArray[np.bool_], plan: Plan
) -> NDArray[np.float64]:
    """Return the cost of each template's input under a plan."""
    result = replay(prompts, terms.assigned, place(anchors, terms.as_is, plan), chosen)
    return terms.sums(terms.prices.cost(result.tokens), result.chosen)


def input_prices(assigned: Assigned, pricing: Pricing | None) -> InputPrices:
    """Return input prices by request and class: its rate, or else its rules' multipliers."""
    table = np.array(
        [[1.0, float(rules.read_mult), *_write_multipliers(rules.write_mult)]
         for rules in assigned.rules]
    )  # fmt: skip
    relative = table.reshape(-1, 1, len(_INPUT_RATES))
    if pricing is None:
        return InputPrices(relative[:, 0], assigned.index.astype(np.int32))
    rates = pricing.rates.sort("rate_id")
    known = rates.select(pl.col(name).cast(pl.Float64) for name in _INPUT_RATES).to_numpy()
    known = np.vstack([known, np.full(len(_INPUT_RATES), np.nan)])[None]  # the last: no rate
    base = np.where(np.isnan(known[..., :1]), 1.0, known[..., :1])
    every = np.where(np.isnan(known), base * relative, known)
    place = rates["rate_id"].search_sorted(pricing.rate_ids.fill_null(0))
    rate = np.where(pricing.rate_ids.is_null(), len(rates), place.to_numpy())
    index = assigned.index.astype(np.int32) * (len(rates) + 1) + rate
    return InputPrices(every.reshape(-1, len(_INPUT_RATES)), index.astype(np.int32))


def _write_multipliers(table: tuple[tuple[str, str], ...]) -> list[float]:
    known = dict(table)
    return [float(known.get(code, "1")) for code in _WRITE_CODES]
