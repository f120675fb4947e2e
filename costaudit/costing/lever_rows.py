"""What each lever would save: alone, unit by unit, and in its place in the ledger."""

from collections.abc import Sequence
from decimal import Decimal

from costaudit.contracts.effects import Lever
from costaudit.contracts.grades import Money
from costaudit.contracts.ledger import Ledger
from costaudit.contracts.levers import LeverRow, LeverUnit
from costaudit.costing.cost import cost
from costaudit.costing.ledger import per_month
from costaudit.costing.tariff import Tariff
from costaudit.costing.traffic import Traffic


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
        units.append(
            LeverUnit(
                unit=name,
                requests=int(rows.sum()),
                before=Money(per_month(before_usd, covered_days), "measured"),
                alone=Money(per_month(before_usd - after_usd, covered_days), lever.grade),
            )
        )
    return tuple(sorted(units, key=lambda unit: (-unit.alone.usd, unit.unit)))
