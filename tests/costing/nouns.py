"""Minimal parts of an audit for the costing tests."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from costaudit.contracts.audit import DataQuality
from costaudit.contracts.grades import Grade, Money, weakest
from costaudit.contracts.ledger import Ledger, LedgerStep
from costaudit.contracts.month import MONTH_DAYS, MonthFacts
from costaudit.contracts.spend import CostBreakdown, Spend
from costaudit.costing.cost import breakdown

NOTHING = breakdown([], {})


def money(
    usd: str, grade: Grade = "simulated", low: str | None = None, high: str | None = None
) -> Money:
    """Return an amount of money."""
    return Money(
        Decimal(usd), grade, Decimal(low) if low else None, Decimal(high) if high else None
    )


def quality(**changes: Any) -> DataQuality:
    """Return the quality of 12,000 good requests over 30 days."""
    good = DataQuality(
        rows=12_000, kept=12_000, merged=0, skipped=0, skip_reasons={}, files=(),
        first_ts="2026-10-01T00:00:00+00:00", last_ts="2026-10-31T00:00:00+00:00",
        covered_days=30.0, timed_share=1.0, prompt_share=1.0, answer_share=1.0,
        usage={"provider": 12_000}, conventions={"openai": 12_000}, statuses={"ok": 12_000},
        tokenizer="o200k_base", cannot_tell=(),
    )  # fmt: skip
    return replace(good, **changes)


def spent(usd: str, **changes: Any) -> Spend:
    """Return a spend without problems."""
    good = Spend(
        total=replace(NOTHING, total_usd=Decimal(usd)), cost_mode="auto", logged_usd=Decimal(0),
        by={}, prices=(), unpriced_requests=0, unpriced_share=0.0, unpriced_models=(),
        gateway_hits=0, invoice_usd=None, invoice_gap_share=None,
    )  # fmt: skip
    return replace(good, **changes)


def step(lever: str, saved: str, **changes: Any) -> LedgerStep:
    """Return one step of a ledger."""
    one = LedgerStep(
        lever=lever, label=lever.title(), section="levers", requests_before=10, requests_after=9,
        saved=money(saved), alone=money(saved), running_cost=money("0"), cost_after=NOTHING,
    )  # fmt: skip
    return replace(one, **changes)


def ledger(before: str, *steps: LedgerStep, **changes: Any) -> Ledger:
    """Return a ledger in which the steps add up."""
    after = Decimal(before) - sum((one.saved.usd for one in steps), Decimal(0))
    firm = [one.saved for one in steps if one.saved.grade != "assumed"]
    saving = Money(
        sum((one.usd for one in firm), Decimal(0)),
        weakest(one.grade for one in firm),
        *(_sum(firm, end) for end in ("low_usd", "high_usd")),
    )
    whole = Ledger(
        before=money(before, "measured"), steps=steps, overlap=money("0"),
        after=Money(after, "simulated"), covered_days=30.0, month_days=MONTH_DAYS,
        saving=saving, after_firm=Money(Decimal(before) - saving.usd, saving.grade),
    )  # fmt: skip
    return replace(whole, **changes)


def _sum(parts: list[Money], end: str) -> Decimal | None:
    if all(getattr(one, end) is None for one in parts):
        return None
    return sum((getattr(one, end) or one.usd for one in parts), Decimal(0))


MONTH = MonthFacts("month", MONTH_DAYS, 30.0, requests=12_000)
LOG = MonthFacts("log", 0.5, 0.5, reasons=("Too short.",), requests=12_000)


def tokens(**counts: int) -> CostBreakdown:
    """Return token counts without costs."""
    return replace(NOTHING, **counts)  # type: ignore[arg-type]
