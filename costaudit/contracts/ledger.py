"""Before and after: the ledger's steps, what each lever is worth, and what a lever would change."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

import polars as pl

from costaudit.contracts.grades import Grade, Money, nothing
from costaudit.contracts.spend import CostBreakdown
from costaudit.errors import UsageError


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
    evidence: Grade = "simulated"  # how well the saving is known in the log itself
    effort_usd: Decimal = Decimal(0)
    npv_usd: Decimal | None = None  # over the horizon, after effort; None if the month is unknown
    worth: bool | None = None  # it pays within the horizon; None where the month is unknown
    worth_from_requests: int | None = None  # a month, from which it pays; None where it never does
    first_month: Money | None = None  # while a cache fills; None where that makes no difference
    steady_month: Money | None = None  # once it has filled


@dataclass(frozen=True)
class Ledger:
    """The waterfall, in the order of the plan. Law: before - Σ saved = after.

    Σ alone - Σ saved = overlap, where identical questions are counted with the similar ones that
    contain them.
    """

    before: Money  # per month, or of the log where it is too short for a month
    steps: tuple[LedgerStep, ...]
    overlap: Money  # what the levers would promise twice if added up
    after: Money
    covered_days: float  # of usual traffic in the log
    month_days: float  # days that the figures cover
    saving: Money = field(default_factory=nothing)  # Σ saved of the steps that are not assumed
    after_firm: Money = field(default_factory=nothing)  # before - saving
    left_out: tuple[LedgerStep, ...] = ()  # would cost more than they save; in no total
    horizon_months: int = 12
    order: str = "npv"  # how the steps were chosen


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
    npv_usd: Decimal | None = None  # over the horizon, after effort
    roi: Decimal | None = None  # net present value / effort; None without either
    worth: bool | None = None  # it pays within the horizon; None where the month is unknown
    worth_from_requests: int | None = None  # a month, from which it pays; None: it never does
    running_cost: Money = field(default_factory=nothing)  # per month


@dataclass(frozen=True)
class LeverUnit:
    """The parts of traffic that one lever decides on together."""

    unit: str  # an endpoint and model, or a kind of useless call
    requests: int  # changed
    before: Money  # per month, of the changed requests
    alone: Money  # saved per month, had the lever been the only one


@dataclass(frozen=True)
class LeverCall:
    """One call behind a lever, without any of its text."""

    request_id: str
    ts: str  # ISO 8601, UTC; "" where the log has no time
    unit: str
    input_tokens: int
    output_tokens: int
    before_usd: Decimal  # what it was billed
    saved_usd: Decimal  # had the lever been the only one


@dataclass(frozen=True)
class LeverTable:
    """What a lever's evidence is, as people read it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class LeverRow:
    """One lever. Law: alone = Σ alone of the units."""

    lever: str  # as in levers/levers.py, such as tools or batch
    label: str  # for people
    rule: str  # which requests, and why: one sentence with its numbers
    change: str  # what to do, in the imperative
    requests: int  # changed, had the lever been the only one
    alone: Money  # saved per month, had it been the only one
    saved: Money  # saved per month, on what the steps before it leave
    units: tuple[LeverUnit, ...]  # those that save most first
    risk: str = ""  # what could go wrong, in one sentence
    calls: tuple[LeverCall, ...] = ()  # of those behind it, the ones that save most
    evidence: tuple[LeverTable, ...] = ()


_EFFECT_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "unit": pl.String,  # what is decided together, such as an endpoint; null: untouched
    "removed": pl.Boolean,  # not sent any more
    "output_tokens": pl.Int64,  # at most this many; null: as before
    "provider": pl.String,  # sent to another one; null: as before
    "model": pl.String,
    "is_batch": pl.Boolean,  # sent as a batch; null: as before
    "service_tier": pl.String,  # sent at another tier; null: as before
    "cold": pl.Boolean,  # loses the provider's prompt cache
    "cuts": pl.List(pl.Struct({"start": pl.Int64, "tokens": pl.Int64})),  # input that is not
    # sent any more: where in the prompt, in tokens, and how much; null: all is sent
    "least_read_tokens": pl.Int64,  # a cut prompt's cached head that is shorter is not read at all
}
EFFECT = pl.Schema(_EFFECT_COLUMNS)


@dataclass(frozen=True)
class Lever:
    """One lever's proposal, and the rule behind it."""

    lever: str  # as in levers/levers.py, such as tools or batch
    label: str  # for people
    section: str  # anchor of the report's section that explains it
    rule: str  # the evidence: which requests, and why, in a sentence with its numbers
    change: str  # what to do, in the imperative
    grade: Grade
    effect: pl.DataFrame  # EFFECT, aligned with the requests
    risk: str = ""  # what could go wrong, in one sentence
    running_usd: Mapping[str, Decimal] = field(default_factory=dict)  # by unit, over the log's
    # period: what the lever itself costs, such as answers that are asked for again
    evidence: tuple[LeverTable, ...] = ()


class LeverRule(Protocol):
    """A lever of one's own: it reads the log and proposes a change."""

    def propose(self, requests: pl.DataFrame, blocks: pl.DataFrame) -> Lever | None:
        """Return what the lever would change in REQUESTS; None where there is nothing to change."""


def check_lever(lever: Lever, requests: int, taken: Collection[str]) -> None:
    """Raise UsageError for a lever whose name is taken, or whose effect is no EFFECT."""
    found = dict(lever.effect.schema)
    if lever.lever in taken:
        raise UsageError(
            f"There are two levers named {lever.lever!r}.", hint="Give yours a name of its own."
        )
    if found != dict(EFFECT) or len(lever.effect) != requests:
        raise UsageError(
            f"The effect of the lever {lever.lever!r} does not fit the log.",
            hint=f"It needs {requests:,} rows and the columns of costaudit.plugins.EFFECT.",
        )


@dataclass(frozen=True)
class Suggestion:
    """Something that is worth a test; the log holds no evidence for money, so none is named."""

    lever: str  # routing | output | batch | reasoning
    label: str  # for people
    requests: int  # that a test would be about
    why: str  # what in the log points to it, and what the log can't show
    test: str  # what would show it, in the imperative
