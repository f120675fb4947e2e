"""Decide whether a step pays for its effort, and the order of steps."""

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
DISCOUNT_YEAR = Decimal("0.10")  # how much less a dollar is worth in a year
_LAST = Decimal(-(10**15))
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Terms:
    """The settings that decide whether a step is worth its effort."""

    horizon_months: int = 12
    order: str = "npv"  # one of ORDERS, or levers separated by commas
    efforts: Mapping[str, Effort] = field(default_factory=dict)  # by lever

    def check(self, levers: tuple[str, ...]) -> None:
        """Raise UsageError for an unknown order or an invalid horizon."""
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
        """Return the levers in the user's order."""
        if self.order in ORDERS:
            return ()
        return tuple(name.strip() for name in self.order.split(",") if name.strip())

    def effort(self, lever: str) -> Effort:
        """Return a lever's effort: the user's value, or else the assumed one."""
        return self.efforts.get(lever) or default_effort(lever)


def present_value(months: int, first: Decimal, later: Decimal) -> Decimal:
    """Return the present value, at DISCOUNT_YEAR, of savings at the end of each month."""
    rate = Decimal(repr(float(1 + DISCOUNT_YEAR) ** (1 / 12)))
    return sum(
        ((first if month == 1 else later) / rate**month for month in range(1, months + 1)),
        Decimal(0),
    )


@dataclass(frozen=True)
class Worth:
    """Decides the worth and rank of a ledger's steps."""

    terms: Terms
    month: MonthFacts

    def judged(self, step: LedgerStep) -> LedgerStep:
        """Return a step with effort, net present value and the traffic from which it pays."""
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
        """Return a step's sort key; the step with the largest one comes next."""
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
        """Return the requests a month from which savings pay effort and machines in the horizon.

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
    """Return the assumption about the horizon and the discount rate."""
    return Assumption(
        name="horizon",
        value=f"{terms.horizon_months} months; a dollar in a year counts {DISCOUNT_YEAR:.0%} less",
        why="each step is the one that saves most in that time, after effort and running cost",
        option="--horizon, --order",
    )
