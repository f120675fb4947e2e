"""Before and after: every lever on what the levers before it left."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import polars as pl

from costaudit.contracts.grades import Grade, Money, weakest
from costaudit.contracts.ledger import (
    Ledger,
    LedgerStep,
    Lever,
    LeverCall,
    LeverRow,
    LeverUnit,
)
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.costing.cost import cost, per_request_usd
from costaudit.costing.tariff import Tariff
from costaudit.costing.traffic import Traffic, unexplained

MONTH_DAYS = 30
SHORTEST_DAYS = 1 / 24
_MICRO_USD = Decimal("0.000001")


@dataclass(frozen=True)
class SimulatedStep:
    """A cache that was simulated on what the steps before it left, and alone."""

    lever: str  # duplicates | semantic | prompt_caching
    label: str
    section: str
    grade: Grade
    removed: pl.Series  # Boolean: no longer sent, by this step or one before it
    alone_removed: pl.Series  # the same, had it been the only lever
    classes: pl.DataFrame | None = None  # TOKEN_CLASSES as simulated; None: as they are today
    alone_classes: pl.DataFrame | None = None
    running_usd: Decimal = Decimal(0)  # over the log's period
    saved_bounds: tuple[float, float] | None = None  # 95 % bounds, as multiples of what it saves
    note: str = ""


def build_ledger(
    tariff: Tariff,
    spend_usd: Decimal,
    as_is: pl.DataFrame,
    simulated: Sequence[SimulatedStep],
    levers: Sequence[Lever],
    covered_days: float,
    spend_grade: Grade = "measured",
) -> Ledger:
    """Price each step, the simulated ones first, then the levers.

    `spend_usd` is what the log cost; `as_is` are the TOKEN_CLASSES that the simulation of prompt
    caching gives for today's traffic (the billed ones where nothing was simulated). Spend that
    no rate explains stays in every step. Monthly figures stand for MONTH_DAYS.
    """
    first = Traffic.logged(tariff)
    book = _Book(first, unexplained(spend_usd, first), covered_days, spend_grade)
    for step in simulated:
        book.enter(
            step,
            first.simulated(as_is, step.removed, step.classes),
            first.simulated(as_is, step.alone_removed, step.alone_classes),
        )
    for lever in levers:
        book.enter(lever, book.traffic.under(lever.effect), first.under(lever.effect))
    return book.close()


class _Book:
    """The ledger while it is being written; amounts are rounded to millionths as they enter."""

    def __init__(
        self, first: Traffic, unexplained_usd: Decimal, covered_days: float, grade: Grade
    ) -> None:
        self.traffic = first
        self.days = max(covered_days, SHORTEST_DAYS)
        self.steps: list[LedgerStep] = []
        self._unexplained = unexplained_usd
        self._running = Decimal(0)  # of all steps so far, over the log's period
        self._first = first
        self._before = Money(self._monthly(self._usd(first)), grade)
        self._left = self._before.usd

    def enter(self, step: SimulatedStep | Lever, after: Traffic, alone: Traffic) -> None:
        running = _running(step)
        self._running += running
        left = self._monthly(self._usd(after) + self._running)
        saved = self._left - left
        alone_usd = self._monthly(self._usd(self._first) - self._usd(alone) - running)
        bounds = step.saved_bounds if isinstance(step, SimulatedStep) else None
        changed = after.changes_from(self.traffic)
        self.steps.append(
            LedgerStep(
                lever=step.lever,
                label=step.label,
                section=step.section,
                requests_before=int(self.traffic.sent.sum()),
                requests_after=int(after.sent.sum()),
                saved=_money(saved, step.grade, bounds),
                alone=_money(alone_usd, step.grade, bounds),
                running_cost=Money(self._monthly(running), "assumed" if running else step.grade),
                cost_after=after.cost(),
                note=_note(step, changed),
            )
        )
        self._left, self.traffic = left, after

    def close(self) -> Ledger:
        saved = sum((step.saved.usd for step in self.steps), Decimal(0))
        alone = sum((step.alone.usd for step in self.steps), Decimal(0))
        grade = weakest(step.saved.grade for step in self.steps)
        total = weakest([self._before.grade, grade])
        ranged = any(step.saved.low_usd is not None for step in self.steps)
        low = sum((_low(step.saved) for step in self.steps), Decimal(0))
        high = sum((_high(step.saved) for step in self.steps), Decimal(0))
        return Ledger(
            before=self._before,
            steps=tuple(self.steps),
            overlap=Money(alone - saved, grade),
            after=Money(
                self._left,
                total,
                self._before.usd - high if ranged else None,
                self._before.usd - low if ranged else None,
            ),
            covered_days=self.days,
            month_days=float(MONTH_DAYS),
        )

    def _usd(self, traffic: Traffic) -> Decimal:
        return traffic.cost().total_usd + self._unexplained

    def _monthly(self, usd: Decimal) -> Decimal:
        return per_month(usd, self.days)


def per_month(usd: Decimal, covered_days: float) -> Decimal:
    """Scale what the log's period cost to MONTH_DAYS, in millionths of a dollar."""
    days = Decimal(str(max(covered_days, SHORTEST_DAYS)))
    return (usd * MONTH_DAYS / days).quantize(_MICRO_USD)


def _running(step: SimulatedStep | Lever) -> Decimal:
    """Return what a step itself costs over the log's period."""
    if isinstance(step, SimulatedStep):
        return step.running_usd
    return sum(step.running_usd.values(), Decimal(0))


def _money(usd: Decimal, grade: Grade, bounds: tuple[float, float] | None) -> Money:
    if bounds is None:
        return Money(usd, grade)
    ends = sorted((usd * Decimal(str(bound))).quantize(_MICRO_USD) for bound in bounds)
    return Money(usd, grade, *ends)


def _low(money: Money) -> Decimal:
    return money.usd if money.low_usd is None else money.low_usd


def _high(money: Money) -> Decimal:
    return money.usd if money.high_usd is None else money.high_usd


def _note(step: SimulatedStep | Lever, changed: int) -> str:
    if isinstance(step, SimulatedStep):
        return step.note
    return f"{changed:,} request{'' if changed == 1 else 's'}. {step.rule}"


def lever_rows(
    tariff: Tariff, levers: Sequence[Lever], ledger: Ledger, covered_days: float
) -> tuple[LeverRow, ...]:
    """Price each lever on the log as it is; `ledger` holds what it saves in its place."""
    first = Traffic.logged(tariff)
    saved = {step.lever: step.saved for step in ledger.steps}
    rows = []
    for lever in levers:
        units = _units(first, lever, covered_days)
        alone = sum((unit.alone.usd for unit in units), Decimal(0))
        rows.append(
            LeverRow(
                lever=lever.lever,
                label=lever.label,
                rule=lever.rule,
                change=lever.change,
                requests=sum(unit.requests for unit in units),
                alone=Money(alone, lever.grade),
                saved=saved.get(lever.lever, Money(Decimal(0), lever.grade)),
                units=units,
                risk=lever.risk,
                calls=_calls(first, lever),
                evidence=lever.evidence,
            )
        )
    return tuple(rows)


def _units(first: Traffic, lever: Lever, covered_days: float) -> tuple[LeverUnit, ...]:
    """Price what changes, unit by unit; a unit that would not get cheaper is left as it is."""
    after = first.under(lever.effect)
    changed = after.changed_from(first)
    names = lever.effect["unit"]
    units = []
    for name in names.filter(changed).unique().sort():
        rows = changed & (names == name)
        before_usd = cost(first.classes, first.pricing, rows).total_usd
        after_usd = cost(after.classes, after.pricing, rows & after.sent).total_usd
        after_usd += lever.running_usd.get(name, Decimal(0))
        units.append(
            LeverUnit(
                unit=name,
                requests=int(rows.sum()),
                before=Money(per_month(before_usd, covered_days), "measured"),
                alone=Money(per_month(before_usd - after_usd, covered_days), lever.grade),
            )
        )
    return tuple(sorted(units, key=lambda unit: (-unit.alone.usd, unit.unit)))


def _calls(first: Traffic, lever: Lever, most: int = 10) -> tuple[LeverCall, ...]:
    """List the calls behind a lever that save most, had it been the only one."""
    after = first.under(lever.effect)
    before_usd = np.nan_to_num(per_request_usd(first.classes, first.pricing))
    left_usd = np.nan_to_num(per_request_usd(after.classes, after.pricing))
    saved = before_usd - np.where(after.sent.to_numpy(), left_usd, 0.0)
    rows = np.flatnonzero(after.changed_from(first).to_numpy())
    rows = rows[np.argsort(-saved[rows], kind="stable")][:most]
    told = first.tariff.requests[rows.tolist()].select(
        "request_id", ts=pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%SZ").fill_null("")
    )
    tokens = first.classes[rows.tolist()]
    counts = tokens.select(pl.sum_horizontal(INPUT_CLASSES), "output_tokens").rows()
    return tuple(
        LeverCall(
            request_id=request_id,
            ts=ts,
            unit=lever.effect["unit"][int(row)],
            input_tokens=sent,
            output_tokens=received,
            before_usd=_micro(before_usd[row]),
            saved_usd=_micro(saved[row]),
        )
        for row, (request_id, ts), (sent, received) in zip(rows, told.rows(), counts, strict=True)
    )


def _micro(usd: float) -> Decimal:
    return Decimal(repr(float(usd))).quantize(_MICRO_USD)
