"""Whether a step pays for the work it takes, and in which order steps are chosen."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from costaudit.contracts.audit import Assumption
from costaudit.contracts.ledger import LedgerStep
from costaudit.contracts.month import MonthFacts
from costaudit.costing.plans.effort import Effort, default_effort
from costaudit.errors import UsageError

ORDERS = ("npv", "payback", "saving")
DISCOUNT_YEAR = Decimal("0.10")  # a dollar in a year is worth that much less
_LAST = Decimal(-(10**15))
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Terms:
    """What decides whether a step is worth it."""

    horizon_months: int = 12
    order: str = "npv"  # one of ORDERS, or levers in the reader's order, with commas
    efforts: Mapping[str, Effort] = field(default_factory=dict)  # by lever

    def check(self, levers: tuple[str, ...]) -> None:
        """Raise UsageError for an order or a horizon that makes no sense."""
        if self.horizon_months < 1:
            raise UsageError("A horizon is at least one month.", hint="Write --horizon 12.")
        wrong = [name for name in self.named if name not in levers]
        if wrong:
            raise UsageError(
                f"There is no order or lever {wrong[0]!r}.",
                hint=f"Choose from {', '.join(ORDERS)}, or name levers in your order: "
                f"{', '.join(levers)}.",
            )

    @property
    def named(self) -> tuple[str, ...]:
        """Return the levers that the reader put in order."""
        if self.order in ORDERS:
            return ()
        return tuple(name.strip() for name in self.order.split(",") if name.strip())

    def effort(self, lever: str) -> Effort:
        """Return what a lever takes: what the reader says, else what is assumed."""
        return self.efforts.get(lever) or default_effort(lever)


def present_value(months: int, first: Decimal, later: Decimal) -> Decimal:
    """Discount savings that come at the end of each month, at DISCOUNT_YEAR."""
    rate = Decimal(repr(float(1 + DISCOUNT_YEAR) ** (1 / 12)))
    return sum(
        ((first if month == 1 else later) / rate**month for month in range(1, months + 1)),
        Decimal(0),
    )


@dataclass(frozen=True)
class Worth:
    """Judges steps of one ledger."""

    terms: Terms
    month: MonthFacts

    def judged(self, step: LedgerStep) -> LedgerStep:
        """Add effort, net present value and the traffic from which a step pays."""
        effort = self.terms.effort(step.lever).usd
        if not self.month.is_month:
            return replace(step, effort_usd=effort.quantize(_CENT))
        first = (step.first_month or step.saved).usd
        later = (step.steady_month or step.saved).usd
        value = present_value(self.terms.horizon_months, first, later) - effort
        return replace(
            step,
            effort_usd=effort.quantize(_CENT),
            npv_usd=value.quantize(_CENT),
            worth=value > 0,
            worth_from_requests=self._worth_from(step, effort),
        )

    def rank(self, step: LedgerStep) -> tuple[Decimal, Decimal, str]:
        """Return the key by which the next step is chosen: the largest comes first."""
        named = self.terms.named
        if step.lever in named:
            place = Decimal(10**15 - named.index(step.lever))
            return place, step.saved.usd, step.lever
        if step.saved.usd <= 0:
            return _LAST, step.saved.usd, step.lever
        by = self.terms.order
        if by == "saving" or step.npv_usd is None:
            return step.saved.usd, step.saved.usd, step.lever
        if by == "payback":
            return -step.effort_usd / step.saved.usd, step.saved.usd, step.lever
        return step.npv_usd, step.saved.usd, step.lever

    def _worth_from(self, step: LedgerStep, effort: Decimal) -> int | None:
        """Return the requests a month from which effort and machines are paid in the horizon.

        The saving before machines is assumed to grow with the traffic.
        """
        running = step.running_cost.usd
        first = (step.first_month or step.saved).usd + running
        later = (step.steady_month or step.saved).usd + running
        months = self.terms.horizon_months
        gained = present_value(months, first, later)
        if gained <= 0 or not self.month.requests:
            return None
        cost = effort + present_value(months, running, running)
        return max(math.ceil(cost / gained * self.month.requests), 1)


def horizon_assumption(terms: Terms) -> Assumption:
    """State the horizon and the discount rate that steps are judged by."""
    return Assumption(
        name="horizon",
        value=f"{terms.horizon_months} months, a dollar in a year worth {DISCOUNT_YEAR:.0%} less",
        why="steps are chosen one by one by what they bring in that time after effort and running "
        "cost",
        option="--horizon, --order",
    )
