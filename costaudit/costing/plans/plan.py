"""List what to do, in the ledger's order, with effort, running cost and time to pay back."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

from costaudit.contracts.grades import Money
from costaudit.contracts.ledger import Ledger, LedgerStep, PlanStep
from costaudit.contracts.month import MonthFacts
from costaudit.costing.plans.worth import Terms

_CHANGE = {
    "duplicates": "Answer identical prompts of one scope from a response cache.",
    "semantic": "Put a semantic cache in front of the model at the recommended threshold.",
    "prompt_caching": "Order prompts static part first, and mark the end of the static part.",
}
_TENTH = Decimal("0.1")


def plan(
    ledger: Ledger, changes: Mapping[str, str], terms: Terms, month: MonthFacts
) -> tuple[PlanStep, ...]:
    """Return monitoring, then the ledger's steps, then steps that cost more than they save.

    `changes` holds the exact change per lever. A step's saving is the one in the ledger.
    """
    steps = [
        _plan_step(step, changes, terms, month)
        for step in (*_by_worth(ledger.steps), *ledger.left_out)
    ]
    if not steps:
        return ()
    return tuple(replace(step, number=i) for i, step in enumerate([_monitoring(terms), *steps], 1))


def _by_worth(steps: Iterable[LedgerStep]) -> list[LedgerStep]:
    """Return steps in the ledger's order, but those that pay within the horizon first."""
    return sorted(steps, key=lambda step: step.worth is False)


def break_even_requests(saved_usd: Decimal, requests: int, fixed_usd_month: Decimal) -> int | None:
    """Return the number of requests a month at which savings pay a fixed cost.

    `saved_usd` is what `requests` save before that cost; None if they save nothing.
    """
    if saved_usd <= 0 or requests <= 0:
        return None
    return int((fixed_usd_month * requests / saved_usd).to_integral_value(ROUND_CEILING))


def _monitoring(terms: Terms) -> PlanStep:
    effort = terms.effort("monitoring")
    return PlanStep(
        number=1,
        title="Measure before and after",
        lever="monitoring",
        change="Run `costaudit monitor`, and load its alerts and dashboard: each step below then "
        "shows whether it saves what this plan says.",
        effort_hours=effort.hours.quantize(_TENTH),
        effort_usd=effort.usd.quantize(Decimal("0.01")),
        effort_source=effort.source,
        saved=Money(Decimal(0), "assumed"),
        payback_months=None,
        grade="assumed",
        running_cost=Money(Decimal(0), "assumed"),
    )


def _plan_step(
    step: LedgerStep, changes: Mapping[str, str], terms: Terms, month: MonthFacts
) -> PlanStep:
    effort = terms.effort(step.lever)
    pays = month.is_month and step.saved.usd > 0
    return PlanStep(
        number=0,
        title=step.label,
        lever=step.lever,
        change=(step.placed.change if step.placed else "")
        or changes.get(step.lever)
        or _CHANGE.get(step.lever, ""),
        effort_hours=effort.hours.quantize(_TENTH),
        effort_usd=effort.usd.quantize(Decimal("0.01")),
        effort_source=effort.source,
        saved=step.saved,
        payback_months=(effort.usd / step.saved.usd).quantize(_TENTH) if pays else None,
        grade=step.evidence,
        break_even_requests=_break_even(step, month),
        npv_usd=step.npv_usd,
        roi=_roi(step, effort.usd),
        worth=step.worth,
        worth_from_requests=step.worth_from_requests,
        running_cost=step.running_cost,
    )


def _roi(step: LedgerStep, effort_usd: Decimal) -> Decimal | None:
    if step.npv_usd is None or not effort_usd:
        return None
    return (step.npv_usd / effort_usd).quantize(Decimal("0.01"))


def _break_even(step: LedgerStep, month: MonthFacts) -> int | None:
    running = step.running_cost.usd
    if running <= 0 or not month.is_month:
        return None
    return break_even_requests(step.saved.usd + running, month.requests, running)
