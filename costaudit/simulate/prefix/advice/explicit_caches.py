"""Caches that an application creates and keeps by itself, and pays for by the hour: Gemini's."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from costaudit.contracts.grades import MTOK
from costaudit.simulate.prefix.advice.markers import Anchors, Terms
from costaudit.simulate.prefix.advice.snippets import Spot, body_form, cache_snippet
from costaudit.simulate.prefix.caches.replay import UNCACHED
from costaudit.simulate.prefix.rules.rules import MICROSECONDS
from costaudit.simulate.prefix.tree.prompts import NO_TIME, Prompts
from costaudit.simulate.segments import Ints

LIFETIMES_S = {"5m": 300, "15m": 900, "1h": 3_600, "6h": 21_600, "24h": 86_400}
PROVIDER = "google"  # others pass such caches on by rules of their own
_HOUR = 3_600 * MICROSECONDS


@dataclass(frozen=True)
class ExplicitFacts:
    """One template's static head in caches that live for a time after each use.

    A row is a request that reads the head from a cache; the arrays are aligned with `rows`.
    """

    group: int  # index of the template
    rows: Ints  # by the head that they share, then by time
    cached: Ints  # tokens of the head
    created: NDArray[np.bool_]  # no cache of this head was alive: it is created
    held_us: Ints  # microseconds for which the cache is then stored
    hour_usd: NDArray[np.float64]  # for a million tokens
    lifetime: str  # of LIFETIMES_S
    snippet: str = ""  # code to paste; "" for a client or a head for which there is none

    @property
    def token_hours(self) -> NDArray[np.float64]:
        """Return how long the tokens of each row are stored after it."""
        return self.cached * (self.held_us / _HOUR)

    @property
    def storage_usd(self) -> NDArray[np.float64]:
        """Return what is paid for that."""
        return self.token_hours * self.hour_usd / MTOK


def explicit_caches(
    requests: pl.DataFrame, prompts: Prompts, terms: Terms, anchors: Anchors
) -> tuple[ExplicitFacts, ...]:
    """Choose the lifetime that costs least for each template whose provider sells such caches.

    The head is what most requests of the template share. A cache is renewed by each use, is
    created again after a longer pause, and is stored for its whole lifetime after the last use.
    Creating costs uncached input, and the request that creates it reads it as well. `terms` has
    prices in dollars per million tokens. A template whose head is too short, or whose requests
    carry no time, has none.
    """
    groups, assigned = terms.groups, terms.assigned
    hour_usd = np.array([float(rules.storage_usd or "nan") for rules in assigned.rules])
    google = np.array([group.provider == PROVIDER for group in groups.groups], np.bool_)
    chosen = (
        (groups.index >= 0)
        & np.append(google, False)[groups.index]
        & ~np.isnan(hour_usd[assigned.index])
        & prompts.sendable
        & (prompts.start != NO_TIME)
        & (anchors.static >= 0)
    )
    order = np.flatnonzero(chosen)
    node = prompts.node[prompts.end[anchors.static[order]]]
    order = order[np.lexsort((prompts.start[order], node, groups.index[order]))]
    least = np.maximum(assigned.each(lambda rules: rules.min_tokens), 1)
    order = order[prompts.tokens[prompts.end[anchors.static[order]]] >= least[order]]
    found = []
    for group in np.unique(groups.index[order]).tolist():
        rows = order[groups.index[order] == group]
        head, start = anchors.static[rows], prompts.start[rows]
        node, cached = (
            prompts.node[prompts.end[head]],
            prompts.tokens[prompts.end[head]].astype(np.int64),
        )
        hours, prices = hour_usd[assigned.index[rows]], terms.prices.of(rows)[:, UNCACHED]
        plans = [
            ExplicitFacts(group, rows, cached, *_held(node, start, life_s), hours, lifetime)
            for lifetime, life_s in LIFETIMES_S.items()
        ]
        usd = [
            (plan.cached * plan.created * prices / MTOK + plan.storage_usd).sum() for plan in plans
        ]  # all plans read the same
        best = plans[int(np.argmin(usd))]
        form = body_form(requests, int(rows[-1]), assigned.rules[assigned.index[rows[-1]]])
        end = Spot(anchors.static_part[group], anchors.static_block[group])
        text = cache_snippet(end, form, LIFETIMES_S[best.lifetime])
        found.append(replace(best, snippet=text))
    return tuple(found)


def _held(node: NDArray[np.int32], start: Ints, lifetime_s: int) -> tuple[NDArray[np.bool_], Ints]:
    """Return which requests create a cache, and for how long each use keeps it."""
    life = lifetime_s * MICROSECONDS
    same = node[1:] == node[:-1]
    pause = np.where(same, start[1:] - start[:-1], life)
    return np.append(True, pause >= life), np.append(np.minimum(pause, life), life)
