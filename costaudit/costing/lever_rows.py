"""Compute what each lever saves alone, unit by unit, and the calls that it changes most."""

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import polars as pl

from costaudit.contracts.grades import Money, micro_usd, weakest
from costaudit.contracts.ledger import Ledger, Lever, LeverCall, LeverRow, LeverUnit
from costaudit.contracts.requests import INPUT_CLASSES
from costaudit.costing.cost import per_request_usd
from costaudit.costing.months.calendar import Floats
from costaudit.costing.months.month import Month
from costaudit.costing.plans.commitments import Commitments
from costaudit.costing.tariff import Tariff
from costaudit.costing.traffic import Traffic

NOTHING = Decimal(0)


def lever_rows(
    tariff: Tariff, levers: Sequence[Lever | Commitments], ledger: Ledger, month: Month
) -> tuple[LeverRow, ...]:
    """Return each lever, priced on the log as it is; `ledger` holds its saving in order."""
    first = Traffic.logged(tariff)
    saved = {step.lever: step.saved for step in ledger.steps}
    placed = {step.lever: step.placed for step in ledger.steps}
    rows = []
    for offered in levers:
        lever = offered.at(first, month) if isinstance(offered, Commitments) else offered
        if lever is None:
            continue
        units = _units(first, lever, month)
        here = placed.get(lever.lever) or lever
        alone = sum((unit.alone.usd for unit in units), NOTHING)
        rows.append(
            LeverRow(
                lever=lever.lever,
                label=lever.label,
                rule=here.rule,
                change=here.change,
                requests=sum(unit.requests for unit in units),
                alone=Money(alone, weakest([lever.grade, *(unit.alone.grade for unit in units)])),
                saved=saved.get(lever.lever, Money(NOTHING, lever.grade)),
                units=units,
                risk=lever.risk,
                calls=_calls(first, lever),
                evidence=here.evidence,
            )
        )
    return tuple(rows)


def _units(first: Traffic, lever: Lever, month: Month) -> tuple[LeverUnit, ...]:
    """Return the saving of each unit; units that would not get cheaper stay as they are."""
    after = first.under(lever.effect)
    before_usd, after_usd = first.request_usd(), after.request_usd()
    changed = after.changed_from(first)
    names = lever.effect["unit"]
    units = []
    for name in names.filter(changed).unique().sort():
        rows = (changed & (names == name)).to_numpy()
        units.append(
            LeverUnit(
                unit=name,
                requests=int(rows.sum()),
                before=month.money(before_usd * rows, "measured"),
                alone=_less_running(month, (before_usd - after_usd) * rows, lever, name),
            )
        )
    return tuple(sorted(units, key=lambda unit: (-unit.alone.usd, unit.unit)))


def _less_running(month: Month, gained: Floats, lever: Lever, unit: str) -> Money:
    """Return what a unit saves per month, minus its running cost."""
    running = lever.running_usd.get(unit, NOTHING) * month.pace
    usd = micro_usd(month.usd(gained) - running)
    return month.ranged(usd, month.daily(gained), lever.grade)


def _calls(first: Traffic, lever: Lever, most: int = 10) -> tuple[LeverCall, ...]:
    """Return the calls that save most under a lever, if it is the only one."""
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
            before_usd=micro_usd(before_usd[row]),
            saved_usd=micro_usd(saved[row]),
        )
        for row, (request_id, ts), (sent, received) in zip(rows, told.rows(), counts, strict=True)
    )
