"""The ledger: levers ordered by value, each priced on what the earlier ones leave."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import Grade, Money, micro_usd, weakest
from costaudit.contracts.ledger import (
    Ledger,
    LedgerStep,
    Lever,
    Placed,
)
from costaudit.costing.months.calendar import Floats
from costaudit.costing.months.month import Bounds, Month
from costaudit.costing.plans.commitments import Commitments
from costaudit.costing.plans.worth import Terms, Worth
from costaudit.costing.tariff import Tariff
from costaudit.costing.traffic import Traffic, unexplained

NOTHING = Decimal(0)
Simulate = Callable[[npt.NDArray[np.bool_], bool], pl.DataFrame]  # (requests that are not sent,
# whether prompts have the best markers) → TOKEN_CLASSES of each request


@dataclass(frozen=True)
class CacheStep:
    """One cache step: it answers some requests, or marks prompts for the provider's cache."""

    lever: str  # duplicates | semantic | prompt_caching
    label: str
    section: str
    grade: Grade
    hits: npt.NDArray[np.bool_] | None  # requests that it answers; None if it marks prompts
    store_usd: Decimal = NOTHING  # per month; caches share one store
    embed_usd: Decimal = NOTHING  # a month
    saved_bounds: Bounds | None = None  # 95 % bounds, as multiples of what it saves
    right_part: float = 1.0  # share of the saving that right hits earn
    note: str = ""


Step = CacheStep | Lever
Offered = Step | Commitments
_CONTAINED = {"duplicates": "semantic"}  # the second lever does all that the first one does


def build_ledger(
    tariff: Tariff,
    simulate: Simulate,
    steps: Sequence[Offered],
    month: Month,
    spend: Money,
    terms: Terms,
) -> Ledger:
    """Return the ledger: each next step is chosen and priced on what the chosen ones leave.

    `spend` is the cost over the log's period. The part that no rate explains stays in every step.
    Steps that are only assumed come last, regardless of what they save; then commitments, which are
    sized for the traffic that is left.
    """
    book = _Book(_Scene(tariff, simulate), month, spend, terms)
    left_out: list[LedgerStep] = []
    for remaining in _rounds(steps, book):
        while remaining := [one for one in remaining if not book.contains(one)]:
            best: _Offer | None = None
            losing: list[LedgerStep] = []
            for offer in map(book.offer, remaining):  # one at a time: each is a whole traffic
                if offer.entry.saved.usd > 0:
                    best = max(best or offer, offer, key=lambda one: one.rank)
                elif offer.changes:
                    losing.append(offer.entry)
            if best is None:
                left_out += losing
                break
            book.enter(best)
            remaining.remove(best.step)
    return book.close(tuple(left_out))


def _rounds(steps: Sequence[Offered], book: "_Book") -> Iterator[list[Step]]:
    """Yield the steps that compete for the next places."""
    others = [one for one in steps if not isinstance(one, Commitments)]
    yield [one for one in others if one.grade != "assumed"]
    yield [one for one in others if one.grade == "assumed"]
    for one in steps:
        if isinstance(one, Commitments):
            yield book.sized(one)


class _Scene:
    """Computes the log under any set of levers: caches act first, then the others in order."""

    def __init__(self, tariff: Tariff, simulate: Simulate) -> None:
        self.first = Traffic.logged(tariff)
        self._simulate = simulate
        self._nobody = np.zeros(len(tariff.requests), np.bool_)
        self._cached: dict[frozenset[str], Traffic] = {frozenset(): self.first}
        self._as_is: pl.DataFrame | None = None

    def under(self, steps: Sequence[Step]) -> Traffic:
        """Return the traffic after steps, each applied to what the ones before it leave."""
        traffic = self._under_caches([one for one in steps if isinstance(one, CacheStep)])
        for one in steps:
            if isinstance(one, Lever):
                traffic = traffic.under(one.effect)
        return traffic

    def after(self, before: Traffic, steps: Sequence[Step], step: Step) -> Traffic:
        """Return the traffic after one more step; `before` is the traffic under `steps`."""
        if isinstance(step, Lever):
            return before.under(step.effect)
        return self.under([*steps, step])

    def _under_caches(self, caches: Sequence[CacheStep]) -> Traffic:
        names = frozenset(one.lever for one in caches)
        if names not in self._cached:
            removed = self._nobody.copy()
            for one in caches:
                removed |= self._nobody if one.hits is None else one.hits
            best = any(one.hits is None for one in caches)
            if self._as_is is None:
                self._as_is = self._simulate(self._nobody, False)
            after = self._simulate(removed, best)
            self._cached[names] = self.first.simulated(self._as_is, pl.Series(removed), after)
        return self._cached[names]

    def without_cooling(self, cache: CacheStep) -> Traffic:
        """Return the traffic without a cache's hits; the other requests keep their bill."""
        assert cache.hits is not None
        return self.first.simulated(self.first.classes, pl.Series(cache.hits), None)


@dataclass(frozen=True)
class _State:
    """What is left after the chosen steps."""

    traffic: Traffic
    request_usd: Floats
    usd: Decimal


@dataclass(frozen=True)
class _Chosen:
    """A step of the ledger."""

    step: Step
    entry: LedgerStep
    daily: Floats  # what it saves, by day


@dataclass(frozen=True)
class _Offer(_Chosen):
    """A step that may come next, with its price at this place."""

    after: _State
    rank: tuple[Decimal, Decimal, str]
    changes: bool


class _Book:
    """Builds the ledger; amounts are rounded to millionths when they are entered."""

    def __init__(self, scene: _Scene, month: Month, spend: Money, terms: Terms) -> None:
        first = scene.first
        self._scene, self._month, self._terms = scene, month, terms
        self._chosen: list[_Chosen] = []
        self._first_usd = first.request_usd()
        self._rest_usd = first.tariff.request_usd - self._first_usd  # no rate explains it
        self._unexplained = unexplained(spend.usd, first)
        self._before = month.money(first.tariff.request_usd, spend.grade, spend.usd)
        self._now = _State(first, self._first_usd, self._before.usd)
        self._worth = Worth(terms, month.facts)
        self._as_only: Lever | None = None  # the commitments for the log as it is
        self._alone_of: dict[str, Money] = {}  # by lever
        self._wrong_usd: dict[str, Decimal] = {}  # cost of wrong hits by cache, per month

    def contains(self, step: Step) -> bool:
        """Return whether a chosen step does all that `step` does."""
        return _CONTAINED.get(step.lever) in {one.step.lever for one in self._chosen}

    def sized(self, commitments: Commitments) -> list[Step]:
        """Return the commitments for what the chosen steps leave; empty if none pays."""
        here = commitments.at(self._now.traffic, self._month)
        self._as_only = commitments.at(self._scene.first, self._month) if here else None
        return [here] if here else []

    def offer(self, step: Step) -> _Offer:
        """Return a step priced on what the chosen ones leave."""
        steps = [one.step for one in self._chosen]
        before = self._now
        after = self._scene.after(before.traffic, steps, step)
        after_usd = after.request_usd()
        running = self._running([*steps, step])
        left = self._usd(after, after_usd) + running + self._forfeited([*steps, step])
        daily = self._month.daily((before.request_usd - after_usd) * _right_part(step))
        bounds = step.saved_bounds if isinstance(step, CacheStep) else None
        saved = self._month.ranged(before.usd - left, daily, step.grade, bounds)
        more = running - self._running(steps)
        changed = after.changed_from(before.traffic)
        entry = LedgerStep(
            lever=step.lever,
            label=step.label,
            section=step.section,
            requests_before=int(before.traffic.sent.sum()),
            requests_after=int(after.sent.sum()),
            saved=saved,
            alone=self._alone(step, bounds),
            running_cost=Money(
                more, "assumed" if more else weakest([step.grade, self._before.grade])
            ),
            cost_after=after.cost(),
            note=_note(step, int(changed.sum())),
            evidence=step.grade,
            placed=Placed(step.rule, step.change, step.evidence)
            if self._as_only and isinstance(step, Lever)
            else None,
        )
        entry = self._worth.judged(self._filling(entry, step, daily))
        rank = self._worth.rank(entry)
        state = _State(after, after_usd, left)
        return _Offer(step, entry, daily, state, rank, bool(changed.any()))

    def enter(self, offer: _Offer) -> None:
        """Add a step to the ledger."""
        self._chosen.append(_Chosen(offer.step, offer.entry, offer.daily))
        self._now = offer.after

    def close(self, left_out: tuple[LedgerStep, ...]) -> Ledger:
        """Return the ledger with its sums."""
        steps = tuple(one.entry for one in self._chosen)
        names = {step.lever for step in steps}
        saved = sum((step.saved.usd for step in steps), NOTHING)
        alone = sum(one.alone.usd for one in steps if _CONTAINED.get(one.lever) not in names)
        firm = [one for one in self._chosen if one.entry.evidence != "assumed"]
        grade = weakest([self._before.grade, *(step.saved.grade for step in steps)])
        return Ledger(
            before=self._before,
            steps=steps,
            overlap=Money(alone - saved, grade),
            after=self._after(self._chosen),
            covered_days=self._month.facts.traffic_days,
            month_days=self._month.facts.days,
            saving=self._saving(firm),
            after_firm=self._after(firm),
            left_out=left_out,
            horizon_months=self._terms.horizon_months,
            order=self._terms.order,
        )

    def _alone(self, step: Step, bounds: Bounds | None) -> Money:
        """Return what a step saves alone; for a response cache, the bill of its hits.

        Without the hits, other requests read less from the provider's cache; only `saved` includes
        this loss. Commitments alone have the size that suits the log as it is.
        """
        step = self._as_only or step
        if step.lever not in self._alone_of:
            self._alone_of[step.lever] = self._priced_alone(step, bounds)
        return self._alone_of[step.lever]

    def _priced_alone(self, step: Step, bounds: Bounds | None) -> Money:
        is_response_cache = isinstance(step, CacheStep) and step.hits is not None
        alone = (
            self._scene.without_cooling(step)  # type: ignore[arg-type]
            if is_response_cache
            else self._scene.under([step])
        )
        gained, exact = self._gained(alone)
        less = self._running([step]) + self._forfeited([step])
        usd = self._month.usd(gained, exact) - less
        daily = self._month.daily(gained * _right_part(step))
        return self._month.ranged(usd, daily, step.grade, bounds)

    def _filling(self, entry: LedgerStep, step: Step, daily: Floats) -> LedgerStep:
        """Return an entry with a response cache's saving in the first month and once it is full."""
        steady = self._month.steady_days
        before = self._month.daily(self._first_usd)
        if steady is None or not isinstance(step, CacheStep) or step.hits is None:
            return entry
        if not (before[steady].sum() and daily.sum() and entry.saved.usd):
            return entry
        whole, running = float(self._before.usd), entry.running_cost.usd
        filled = float(daily[steady].sum() / before[steady].sum())
        first = slice(int(self._month.facts.days))
        share = float(daily[first].sum() / max(before[first].sum(), 1e-12))
        rest = 1 - min(len(daily) / self._month.facts.days, 1.0)
        share = (1 - rest) * share + rest * filled
        months = [_scaled(entry.saved, micro_usd(whole * one) - running) for one in (share, filled)]
        return replace(entry, first_month=months[0], steady_month=months[1])

    def _saving(self, firm: Sequence[_Chosen]) -> Money:
        usd, daily, grade = self._together(firm)
        return self._month.ranged(usd, daily, grade, _multiples(usd, *_spread(firm)))

    def _after(self, chosen: Sequence[_Chosen]) -> Money:
        saved, gone, grade = self._together(chosen)
        usd = self._before.usd - saved
        daily = self._month.daily(self._scene.first.tariff.request_usd) - gone
        less, more = _spread(chosen)
        return self._month.ranged(usd, daily, grade, _multiples(usd, more, less))

    def _together(self, chosen: Sequence[_Chosen]) -> tuple[Decimal, Floats, Grade]:
        """Return what steps save, in all and by day, and how well that and the log are known."""
        usd = sum((one.entry.saved.usd for one in chosen), NOTHING)
        daily = sum((one.daily for one in chosen), self._month.daily(self._first_usd * 0))
        grade = weakest([self._before.grade, *(one.entry.saved.grade for one in chosen)])
        return usd, daily, grade

    def _running(self, steps: Sequence[Step]) -> Decimal:
        """Return the running cost of steps per month; caches share the larger store."""
        levers = [one for one in steps if isinstance(one, Lever)]
        own = sum(usd for one in levers for usd in one.running_usd.values())
        total = micro_usd(own * self._month.pace) if own else NOTHING
        if not self._month.facts.is_month:
            return total
        caches = [one for one in steps if isinstance(one, CacheStep)]
        store = max((one.store_usd for one in caches), default=NOTHING)
        return total + store + sum(one.embed_usd for one in caches)

    def _forfeited(self, steps: Sequence[Step]) -> Decimal:
        """Return the monthly cost of wrong hits: the largest of all caches, as they share hits."""
        caches = (one for one in steps if isinstance(one, CacheStep) and one.right_part != 1)
        return max((self._of_wrong_hits(one) for one in caches), default=NOTHING)

    def _of_wrong_hits(self, step: CacheStep) -> Decimal:
        if step.lever not in self._wrong_usd:
            gained, exact = self._gained(self._scene.without_cooling(step))
            wrong = 1 - Decimal(repr(step.right_part))
            self._wrong_usd[step.lever] = micro_usd(self._month.usd(gained, exact) * wrong)
        return self._wrong_usd[step.lever]

    def _gained(self, after: Traffic) -> tuple[Floats, Decimal]:
        """Return how much cheaper traffic is than the log, by request and in total."""
        gained = self._first_usd - after.request_usd()
        return gained, self._scene.first.cost().total_usd - after.cost().total_usd

    def _usd(self, traffic: Traffic, by_request: Floats) -> Decimal:
        if self._month.facts.is_month:
            return self._month.usd(by_request + self._rest_usd)
        return traffic.cost().total_usd + self._unexplained


def _spread(chosen: Sequence[_Chosen]) -> tuple[Decimal, Decimal]:
    """Return how much less and how much more all steps together may save than in the log."""
    below = above = NOTHING
    for one in chosen:
        bounds = one.step.saved_bounds if isinstance(one.step, CacheStep) else None
        usd = one.entry.saved.usd
        for bound in bounds or ():
            change = usd * Decimal(repr(bound)) - usd
            below, above = below + max(-change, NOTHING), above + max(change, NOTHING)
    return below, above


def _multiples(usd: Decimal, below: Decimal, above: Decimal) -> Bounds | None:
    """Return the ends of an amount as multiples of it; None where it is 0 or has no spread."""
    if not usd or not (below or above):
        return None
    return float((usd - below) / usd), float((usd + above) / usd)


def _right_part(step: Step) -> float:
    """Return the share of a step's saving that counts: wrong hits of a cache save nothing."""
    return step.right_part if isinstance(step, CacheStep) else 1.0


def _scaled(money: Money, usd: Decimal) -> Money:
    """Return `usd` with the relative interval of `money`, a month's amount that is not 0."""
    both = (money.low_usd, money.high_usd)
    ends = sorted(micro_usd(usd * end / money.usd) for end in both if end is not None)
    return Money(usd, money.grade, min(ends[0], usd), max(ends[1], usd))


def _note(step: Step, changed: int) -> str:
    if isinstance(step, CacheStep):
        return step.note
    return f"{changed:,} request{'' if changed == 1 else 's'}. {step.rule}"
