"""The ledger's steps, what each lever saves, and what a lever would change."""

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
    """One lever, simulated again on the requests that earlier steps left."""

    lever: str  # duplicates | semantic | prompt_caching | routing | output | batch | waste
    label: str  # for people
    section: str  # anchor of the report's section that explains it
    requests_before: int
    requests_after: int  # requests that are still sent to a provider
    saved: Money  # per month, after earlier steps; below 0 if the step costs money
    alone: Money  # per month, as the only lever
    running_cost: Money  # per month: embeddings, storage, lookups; `saved` is net of it
    cost_after: CostBreakdown
    note: str = ""
    evidence: Grade = "simulated"  # how well the log itself supports the saving
    effort_usd: Decimal = Decimal(0)
    npv_usd: Decimal | None = None  # over the horizon, after effort; None if the month is unknown
    worth: bool | None = None  # pays within the horizon; None if the month is unknown
    worth_from_requests: int | None = None  # least requests a month to pay; None: never pays
    first_month: Money | None = None  # while a cache fills; None if filling makes no difference
    steady_month: Money | None = None  # after the cache has filled
    placed: "Placed | None" = None  # what depends on the step's place; None: nothing does


@dataclass(frozen=True)
class Ledger:
    """The waterfall, in the order of the plan. Law: before - Σ saved = after.

    Σ alone - Σ saved = overlap. Here the similar questions include the identical ones.
    """

    before: Money  # per month, or for the log if it is too short for a month
    steps: tuple[LedgerStep, ...]
    overlap: Money  # savings that a sum of the levers would count twice
    after: Money
    covered_days: float  # days of usual traffic in the log
    month_days: float  # days that the figures cover
    saving: Money = field(default_factory=nothing)  # Σ saved, steps of grade assumed left out
    after_firm: Money = field(default_factory=nothing)  # before - saving
    left_out: tuple[LedgerStep, ...] = ()  # steps that cost more than they save; in no total
    horizon_months: int = 12
    order: str = "npv"  # how the steps were chosen


@dataclass(frozen=True)
class PlanStep:
    """One step of the plan; the plan is in order."""

    number: int
    title: str
    lever: str
    change: str  # the exact change; code is ready to paste
    effort_hours: Decimal
    effort_usd: Decimal
    effort_source: str  # who estimated the effort
    saved: Money  # per month
    payback_months: Decimal | None  # None if it never pays back
    grade: Grade
    break_even_requests: int | None = None  # requests a month that cover its running cost,
    # taken as fixed; None if it has no running cost
    npv_usd: Decimal | None = None  # over the horizon, after effort
    roi: Decimal | None = None  # net present value / effort; None if one is missing
    worth: bool | None = None  # pays within the horizon; None if the month is unknown
    worth_from_requests: int | None = None  # least requests a month to pay; None: never pays
    running_cost: Money = field(default_factory=nothing)  # per month


@dataclass(frozen=True)
class LeverUnit:
    """A part of the traffic for which a lever makes one decision."""

    unit: str  # an endpoint and model, or a kind of useless call
    requests: int  # requests that the lever changes
    before: Money  # cost per month of the changed requests
    alone: Money  # saved per month, as the only lever


@dataclass(frozen=True)
class LeverCall:
    """One call that a lever would change, without its text."""

    request_id: str
    ts: str  # ISO 8601, UTC; "" where the log has no time
    unit: str
    input_tokens: int
    output_tokens: int
    before_usd: Decimal  # cost as billed
    saved_usd: Decimal  # with this lever as the only one


@dataclass(frozen=True)
class LeverTable:
    """The evidence of a lever, as a table for people."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Placed:
    """What a step says of the requests that the steps before it leave."""

    rule: str
    change: str
    evidence: tuple[LeverTable, ...]


@dataclass(frozen=True)
class LeverRow:
    """One lever. Law: alone = Σ alone of the units."""

    lever: str  # as in levers/levers.py, such as tools or batch
    label: str  # for people
    rule: str  # which requests, and why: one sentence with its numbers
    change: str  # what to do, in the imperative
    requests: int  # requests changed, as the only lever
    alone: Money  # saved per month, as the only lever
    saved: Money  # saved per month, after earlier steps
    units: tuple[LeverUnit, ...]  # largest saving first
    risk: str = ""  # what could go wrong, in one sentence
    calls: tuple[LeverCall, ...] = ()  # the changed calls that save most
    evidence: tuple[LeverTable, ...] = ()


_EFFECT_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "unit": pl.String,  # the LeverUnit, such as an endpoint; null: not changed
    "removed": pl.Boolean,  # no longer sent
    "output_tokens": pl.Int64,  # at most this many; null: as before
    "provider": pl.String,  # sent to this provider; null: as before
    "model": pl.String,
    "is_batch": pl.Boolean,  # sent as a batch; null: as before
    "service_tier": pl.String,  # sent at this tier; null: as before
    "prepaid": pl.Boolean,  # sent as before, and paid by a commitment instead of by its tokens
    "cold": pl.Boolean,  # the request loses the provider's prompt cache
    "cuts": pl.List(pl.Struct({"start": pl.Int64, "tokens": pl.Int64})),  # input that is no
    # longer sent: start in the prompt and length, in tokens; null: all is sent
    "least_read_tokens": pl.Int64,  # a shorter cached prefix of a cut prompt is not read
}
EFFECT = pl.Schema(_EFFECT_COLUMNS)


@dataclass(frozen=True)
class Lever:
    """The proposal of a lever, and its rule."""

    lever: str  # as in levers/levers.py, such as tools or batch
    label: str  # for people
    section: str  # anchor of the report's section that explains it
    rule: str  # the evidence: which requests, and why, in a sentence with its numbers
    change: str  # what to do, in the imperative
    grade: Grade
    effect: pl.DataFrame  # EFFECT, aligned with the requests
    risk: str = ""  # what could go wrong, in one sentence
    running_usd: Mapping[str, Decimal] = field(default_factory=dict)  # unit → cost of the lever
    # itself over the log, such as answers that are requested again
    evidence: tuple[LeverTable, ...] = ()


class LeverRule(Protocol):
    """A user's own lever: it reads the log and proposes a change."""

    def propose(self, requests: pl.DataFrame, blocks: pl.DataFrame) -> Lever | None:
        """Return what the lever would change in REQUESTS; None if it changes nothing."""


def check_lever(lever: Lever, requests: int, taken: Collection[str]) -> None:
    """Raise UsageError if the lever's name is taken or its effect does not match EFFECT."""
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
    """A change that is worth a test; it names no money, as the log has no evidence for it."""

    lever: str  # routing | output | batch | reasoning
    label: str  # for people
    requests: int  # requests that the test would cover
    why: str  # what the log shows for it, and what it can't show
    test: str  # the test to make, in the imperative
    evidence: tuple[LeverTable, ...] = ()
