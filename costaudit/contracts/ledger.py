"""Before and after: the steps from what was spent to what would be, a part of the audit."""

from dataclasses import dataclass
from decimal import Decimal

from costaudit.contracts.grades import Grade, Money
from costaudit.contracts.spend import CostBreakdown


@dataclass(frozen=True)
class LedgerStep:
    """One lever, re-simulated on what the steps before it left."""

    lever: str  # duplicates | semantic | prompt_caching | routing | output | batch | waste
    label: str  # for people
    section: str  # anchor of the report's section that explains it
    requests_before: int
    requests_after: int  # still sent to a provider
    saved: Money  # per month, on what was left; below 0 where the step costs
    alone: Money  # per month, had it been the only lever
    running_cost: Money  # per month: embeddings, storage, lookups; already taken off `saved`
    cost_after: CostBreakdown
    note: str = ""


@dataclass(frozen=True)
class Ledger:
    """The waterfall. Law: before - Σ saved = after; Σ alone - Σ saved = overlap."""

    before: Money  # per month
    steps: tuple[LedgerStep, ...]
    overlap: Money  # what the levers would promise twice if added up
    after: Money
    covered_days: float  # length of the log, in days
    month_days: float  # days that a month stands for


@dataclass(frozen=True)
class PlanStep:
    """One thing to do, in order."""

    number: int
    title: str
    lever: str
    change: str  # the exact change, paste-ready where there is code
    effort_hours: Decimal
    effort_usd: Decimal
    effort_source: str  # whose estimate
    saved: Money  # per month
    payback_months: Decimal | None  # None where it never pays back
    grade: Grade
    break_even_requests: int | None = None  # a month, from which on its running cost, taken as
    # fixed, is paid; None where it has none
