"""Find what each cause's repair changes on the bill, by simulating traffic without the cause."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from costaudit.contracts.prefix import BreakerKind
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.simulate.prefix.advice.markers import InputPrices
from costaudit.simulate.prefix.advice.plans import Planned
from costaudit.simulate.prefix.breakers.breakers import NOWHERE, BreakerFacts
from costaudit.simulate.prefix.breakers.losses import LOST, Today
from costaudit.simulate.prefix.breakers.mended import Mender
from costaudit.simulate.prefix.caches.replay import (
    UNCACHED,
    Markers,
    replay,
    with_longest,
)
from costaudit.simulate.prefix.tree.prompts import Prompts, without_settings
from costaudit.simulate.segments import Whole

MAX_ROUNDS = 4  # places of a template that are repaired one by one; the others together
MARKED: tuple[BreakerKind, ...] = (
    "no_markers",
    "marker_placement",
    "implicit_breakpoint",
    "explicit_mode",
)


@dataclass(frozen=True)
class MendRuns:
    """Simulates repairs, one kind at a time, for all templates that need it."""

    source: Mender
    today: Today
    planned: Planned
    rate_ids: pl.Series
    prices: InputPrices

    def price(self, found: Sequence[BreakerFacts]) -> tuple[BreakerFacts, ...]:
        """Return the causes with their repairs' effects; the provider's causes stay unchanged.

        If today's markers allow no reads, the repair of a moving text is simulated under the best
        markers.
        """
        done: dict[int, BreakerFacts] = {}
        for places in _rounds(found):
            self._content(found, places, done)
        for kind in sorted({one.kind for one in found}):
            run = self._rule(kind)
            if run is None:
                continue
            for number, one in enumerate(found):
                if one.kind == kind and one.depth == NOWHERE:
                    done[number] = replace(one, saved=self._changed(one.group, *run))
        return tuple(done.get(number, one) for number, one in enumerate(found))

    def _content(
        self, found: Sequence[BreakerFacts], chosen: list[int], done: dict[int, BreakerFacts]
    ) -> None:
        places = frozenset((found[number].group, found[number].depth) for number in chosen)
        mended = self.source.mend(places)
        as_now = self.today.as_is.tokens, self._billed(mended, self.today.markers)
        best = (
            self._billed(self.today.prompts, self.planned.plain_markers),
            self._billed(mended, self.planned.markers),
        )
        for group in sorted({group for group, _ in places}):
            mine = [number for number in chosen if found[number].group == group]
            runs = max(as_now, best, key=lambda run: self._usd(group, *run))
            frame = self._changed(group, *runs)
            total = sum(found[number].lost_tokens for number in mine)
            for number in mine:
                share = found[number].lost_tokens / max(total, 1)
                done[number] = replace(found[number], saved=_part(frame, share))

    def _rule(self, kind: BreakerKind) -> tuple[Whole, Whole] | None:
        """Return the tokens before and after a rule's repair; None if the cause stays unchanged."""
        now = self.today.as_is.tokens
        prompts, markers = self.today.prompts, self.today.markers
        mends: dict[BreakerKind, Callable[[], Whole]] = {
            "parallel": lambda: self._billed(_one_by_one(prompts), markers),
            "ttl_gap": lambda: self._billed(
                prompts, with_longest(markers, self.today.assigned, prompts.segments.offsets)
            ),
            "lookback": lambda: (
                replay(
                    prompts,
                    self.today.assigned,
                    markers,
                    self.today.as_is.chosen,
                    far_lookback=True,
                ).tokens
            ),
            **dict.fromkeys(MARKED, lambda: self._billed(prompts, self.planned.plain_markers)),
        }
        for name in prompts.settings.varying:
            mends[name] = lambda name=name: self._billed(  # type: ignore[misc]
                without_settings(prompts, (name,)), markers
            )
        return (now, mends[kind]()) if kind in mends else None

    def _billed(self, prompts: Prompts, markers: Markers) -> Whole:
        """Return the billed tokens of replayed prompts; moved parts are uncached input."""
        run = replay(prompts, self.today.assigned, markers, self.today.as_is.chosen)
        tokens = run.tokens
        moved = np.where(run.chosen, self.today.prompts.billed - prompts.billed, 0)
        tokens[:, UNCACHED] += moved.astype(tokens.dtype)
        return tokens

    def _usd(self, group: int, before: Whole, after: Whole) -> float:
        rows = self.today.groups.rows[group]
        return float(((before[rows] - after[rows]) * self.prices.of(rows)).sum())

    def _changed(self, group: int, before: Whole, after: Whole) -> pl.DataFrame:
        """Return what a template pays less, as LOST; empty if it does not."""
        if self._usd(group, before, after) <= 0:
            return pl.DataFrame(schema=LOST)
        rows = self.today.groups.rows[group]
        fewer = (before[rows] - after[rows]).astype(np.int64)
        frame = pl.DataFrame(
            {"rate_id": self.rate_ids.gather(rows)}
            | {name: fewer[:, place] for place, name in enumerate(INPUT_CLASSES)}
        )
        return (
            frame.unpivot(index="rate_id", variable_name="paid", value_name="tokens")
            .group_by("rate_id", "paid")
            .agg(pl.col("tokens").sum())
            .filter((pl.col("tokens") != 0) & (pl.col("paid") != INPUT_CLASSES[UNCACHED]))
            .with_columns(instead=pl.lit(INPUT_CLASSES[UNCACHED]))
            .select(LOST.names())
            .cast(LOST)
            .sort("rate_id", "paid", nulls_last=True)
        )


def _rounds(found: Sequence[BreakerFacts]) -> Iterable[list[int]]:
    """Yield the causes that are texts: each template's most expensive place, then its second."""
    ranked: dict[int, list[int]] = {}  # depths by template, the most expensive first
    for one in sorted(found, key=lambda one: -one.lost_tokens):
        if one.depth != NOWHERE and one.depth not in ranked.setdefault(one.group, []):
            ranked[one.group].append(one.depth)
    rounds: list[list[int]] = [[] for _ in range(MAX_ROUNDS + 1)]
    for number, one in enumerate(found):
        if one.depth != NOWHERE:
            rounds[min(ranked[one.group].index(one.depth), MAX_ROUNDS)].append(number)
    return [chosen for chosen in rounds if chosen]


def _part(frame: pl.DataFrame, share: float) -> pl.DataFrame:
    if share >= 1:
        return frame
    return frame.with_columns((pl.col("tokens") * share).round().cast(pl.Int64))


def _one_by_one(prompts: Prompts) -> Prompts:
    """Return the prompts as if every answer began before the next request."""
    return replace(prompts, first_byte=prompts.start, last_byte=prompts.start)
