"""The ledger as bars: each bar starts and stops between zero and the largest amount."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from costaudit.contracts.grades import Money
from costaudit.contracts.ledger import Ledger

BarKind = Literal["total", "saved", "cost", "overlap"]


@dataclass(frozen=True)
class Bar:
    """One bar; positions are shares of the chart's width."""

    label: str
    section: str  # anchor that explains it
    kind: BarKind
    money: Money
    start: float
    stop: float
    low: float | None  # where the bar's moving end would be at the interval's bounds
    high: float | None


@dataclass(frozen=True)
class Waterfall:
    """The bars in order: before, one for each lever, the overlap of levers, after."""

    before: Bar
    steps: tuple[Bar, ...]
    overlap: Bar
    after: Bar


def waterfall(ledger: Ledger) -> Waterfall:
    """Lay the ledger out from left to right; each bar begins at the end of the previous bar."""
    level = ledger.before.usd
    levels = [level]
    for step in ledger.steps:
        level -= step.saved.usd
        levels.append(level)
    widest = max(*levels, ledger.after.usd, Decimal(0)) or Decimal(1)

    def at(amount: Decimal) -> float:
        return min(max(float(amount / widest), 0.0), 1.0)

    def bar(
        label: str, section: str, kind: BarKind,
        money: Money, ends: tuple[Decimal, Decimal],
    ) -> Bar:  # fmt: skip
        left, right = sorted(map(at, ends))
        anchor, sign = (ends[0], -1) if kind != "total" else (Decimal(0), 1)
        bounds = [
            None if bound is None else at(anchor + sign * bound)
            for bound in (money.low_usd, money.high_usd)
        ]
        return Bar(label, section, kind, money, left, right, bounds[0], bounds[1])

    steps = tuple(
        bar(
            step.label,
            step.section,
            "cost" if step.saved.usd < 0 else "saved",
            step.saved,
            (levels[number], levels[number + 1]),
        )
        for number, step in enumerate(ledger.steps)
    )
    after = ledger.after
    return Waterfall(
        before=bar("Spend now", "spend", "total", ledger.before, (Decimal(0), ledger.before.usd)),
        steps=steps,
        overlap=bar(
            "Overlap, counted once",
            "method",
            "overlap",
            ledger.overlap,
            (after.usd, after.usd - ledger.overlap.usd),
        ),
        after=bar("After", "plan", "total", after, (Decimal(0), after.usd)),
    )
