"""What to do, in which order, for which effort, and when it has paid for itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from costaudit.contracts.audit import Assumption
from costaudit.contracts.ledger import Ledger, LedgerStep, PlanStep
from costaudit.costing.running import break_even_requests
from costaudit.errors import UsageError

# The article's table gives ranges; the middle is taken. Its own figure for a senior developer is
# $20,000 to 30,000 for 8 to 12 weeks: $62.50 an hour in weeks of 40 hours.
HOURLY_USD = Decimal("62.5")
_TABLE = "middle of {low}–{high} h in the article's roadmap table ({row})"
_OWN = "an estimate of costaudit's: the article's roadmap table has no such row"


@dataclass(frozen=True)
class Effort:
    """What a lever takes to build."""

    hours: Decimal
    usd: Decimal
    source: str


_HOURS: dict[str, tuple[Decimal, str]] = {
    "duplicates": (Decimal(16), _OWN),
    "semantic": (Decimal(100), _TABLE.format(low=80, high=120, row="Semantic Caching")),
    "prompt_caching": (Decimal(50), _TABLE.format(low=40, high=60, row="Context Caching")),
    "routing": (Decimal(70), _TABLE.format(low=60, high=80, row="Model Routing")),
    "output": (Decimal(8), _OWN),
    "batch": (Decimal(24), _OWN),
    "waste": (Decimal(16), _OWN),
}
_CHANGE = {
    "duplicates": "Answer identical prompts of one scope from a response cache.",
    "semantic": "Put a semantic cache in front of the model at the recommended threshold.",
    "prompt_caching": "Order prompts static part first, and mark the end of the static part.",
}


def parse_effort(text: str, hourly_usd: Decimal = HOURLY_USD) -> Effort:
    """Read an effort such as 4000 (US dollars) or 40h; raises UsageError for anything else."""
    in_hours = text.strip().lower().endswith("h")
    try:
        amount = Decimal(text.strip().lower().removesuffix("h").removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise UsageError(
            f"The effort {text!r} can't be understood.",
            hint="Write US dollars, such as semantic=4000, or hours, such as semantic=40h.",
        )
    hours = amount if in_hours else amount / hourly_usd
    usd = amount * hourly_usd if in_hours else amount
    return Effort(hours, usd, "given with --effort-usd")


def check_levers(names: Iterable[str]) -> None:
    """Raise UsageError for a lever that does not exist."""
    for name in names:
        if name not in _HOURS:
            raise UsageError(
                f"There is no lever {name!r}.", hint=f"Choose from {', '.join(_HOURS)}."
            )


def default_effort(lever: str, hourly_usd: Decimal = HOURLY_USD) -> Effort:
    """Give the effort that is assumed for a lever."""
    hours, source = _HOURS.get(lever, (Decimal(16), _OWN))
    return Effort(hours, hours * hourly_usd, source)


def plan(
    ledger: Ledger,
    changes: Mapping[str, str],
    efforts: Mapping[str, Effort],
    hourly_usd: Decimal = HOURLY_USD,
) -> tuple[PlanStep, ...]:
    """List the levers that save money, the quickest payback first.

    `changes` gives the exact change per lever, `efforts` what the reader says it takes. A step's
    saving is what the ledger leaves for it, so the steps add up.
    """
    rows = [
        (step, efforts.get(step.lever) or default_effort(step.lever, hourly_usd))
        for step in ledger.steps
        if step.saved.usd > 0
    ]
    rows.sort(key=lambda row: (row[1].usd / row[0].saved.usd, row[0].lever))
    return tuple(
        replace(
            _plan_step(i, step, effort, changes.get(step.lever) or _CHANGE.get(step.lever, "")),
            break_even_requests=_break_even(step, ledger),
        )
        for i, (step, effort) in enumerate(rows, start=1)
    )


def _plan_step(number: int, step: LedgerStep, effort: Effort, change: str) -> PlanStep:
    return PlanStep(
        number=number,
        title=step.label,
        lever=step.lever,
        change=change,
        effort_hours=effort.hours.quantize(Decimal("0.1")),
        effort_usd=effort.usd.quantize(Decimal("0.01")),
        effort_source=effort.source,
        saved=step.saved,
        payback_months=(effort.usd / step.saved.usd).quantize(Decimal("0.1")),
        grade=step.saved.grade,
    )


def _break_even(step: LedgerStep, ledger: Ledger) -> int | None:
    running = step.running_cost.usd
    if running <= 0:
        return None
    month = round(step.requests_before * ledger.month_days / ledger.covered_days)
    return break_even_requests(step.saved.usd + running, month, running)


def effort_assumption(hourly_usd: Decimal = HOURLY_USD) -> Assumption:
    """State what an hour of work costs."""
    return Assumption(
        name="effort",
        value=f"${hourly_usd} an hour",
        why="a senior developer at $20,000–30,000 for 8–12 weeks, as the article puts it; hours "
        "per lever are the middle of its roadmap table where it has a row",
        option="--effort-usd",
    )
