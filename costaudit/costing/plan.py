"""What to do, in which order, for which effort and running cost, and when it has paid off."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from pathlib import Path

from costaudit.contracts.audit import Assumption
from costaudit.contracts.ledger import Ledger, LedgerStep, PlanStep
from costaudit.contracts.policies import SemanticPolicy
from costaudit.costing.prices.lookup import price_of
from costaudit.errors import UsageError

GB = Decimal(1_000_000_000)
MONTH_DAYS = 30
STORE_USD_PER_GB_MONTH = Decimal("10.64")  # $280 a month for a node of 26.32 GiB
_HOSTED = {"openai": "openai", "bedrock": "aws", "azure": "azure", "cohere": "cohere"}


@dataclass(frozen=True)
class RunningCost:
    """Over the log's period, in US dollars."""

    embedding_usd: Decimal
    storage_usd: Decimal
    note: str

    @property
    def total_usd(self) -> Decimal:
        """Add both up."""
        return self.embedding_usd + self.storage_usd


def embedding_per_mtok(embedder: str, as_of: date, overrides: Path | None = None) -> Decimal | None:
    """Return a hosted embedder's price, such as openai:NAME; 0 for a local one, None if unknown."""
    host, _, model = embedder.partition(":")
    if host not in _HOSTED or not model:
        return Decimal(0)
    at = datetime.combine(as_of, time(12), UTC)
    rates = price_of(model, _HOSTED[host], at=at, overrides=overrides).rates
    return Decimal(rates["input_per_mtok"][0]) if len(rates) else None


def semantic_running_cost(
    *,
    embedded_tokens: int,
    per_mtok: Decimal | None,
    peak_entries: int,
    bytes_per_entry: int,
    covered_days: float,
    usd_per_gb_month: Decimal = STORE_USD_PER_GB_MONTH,
) -> RunningCost:
    """Price every lookup's embedding and the store at its fullest."""
    embedding = embedded_tokens * (per_mtok or Decimal(0)) / 1_000_000
    months = Decimal(str(covered_days)) / MONTH_DAYS
    storage = peak_entries * bytes_per_entry / GB * usd_per_gb_month * months
    if per_mtok is None:
        note = "the embedder's price is unknown and not included"
    elif per_mtok == 0:
        note = "a local embedder: its machine is not included"
    else:
        note = f"embedding at ${per_mtok} per million tokens"
    return RunningCost(embedding, storage, note)


def break_even_requests(saved_usd: Decimal, requests: int, fixed_usd_month: Decimal) -> int | None:
    """Return the requests a month from which the saving per request pays a fixed cost.

    `saved_usd` is what `requests` saved before that cost; None where they save nothing.
    """
    if saved_usd <= 0 or requests <= 0:
        return None
    return int((fixed_usd_month * requests / saved_usd).to_integral_value(ROUND_CEILING))


def store_assumption(usd_per_gb_month: Decimal = STORE_USD_PER_GB_MONTH) -> Assumption:
    """State the price of the vector store."""
    return Assumption(
        name="vector store",
        value=f"${usd_per_gb_month} per GB and month",
        why="an ElastiCache node of 26.32 GiB (cache.r6g.xlarge) at $280 a month; a store is "
        "bought in whole nodes, so a small cache costs more per GB",
        option="",
    )


FLOAT_BYTES = 4
HASH_OVERHEAD_BYTES = 480  # keys, field names, metadata fields and the allocator, as RedisVL stores
INDEX_OVERHEAD_BYTES = 160  # row of the index beside its copy of the vector
HEADROOM = 1.25  # fragmentation and growth between two looks at it
_BASE_BYTES = 64 << 20  # an idle server with its modules
_MIB = 1 << 20
_POLICIES = {"lru": "allkeys-lru", "lfu": "allkeys-lfu", "fifo": "volatile-ttl"}


@dataclass(frozen=True)
class Sizing:
    """Memory of the cache at its fullest moment."""

    entries: int
    bytes_per_entry: int
    total_bytes: int
    maxmemory_mib: int  # Redis setting: the total with headroom, on an otherwise empty server
    maxmemory_policy: str  # Redis setting


def size_cache(
    policy: SemanticPolicy,
    entries: int,
    dimensions: int,
    mean_text_bytes: float,
    mean_answer_bytes: float,
) -> Sizing:
    """Add up entries as Redis holds them: the vector twice (hash and index), question, answer.

    The overheads are round figures for RedisVL's layout and vary with versions and field names.
    """
    each = math.ceil(
        2 * FLOAT_BYTES * dimensions
        + HASH_OVERHEAD_BYTES
        + INDEX_OVERHEAD_BYTES
        + mean_text_bytes
        + mean_answer_bytes
    )
    total = entries * each
    return Sizing(
        entries=entries,
        bytes_per_entry=each,
        total_bytes=total,
        maxmemory_mib=math.ceil((total * HEADROOM + _BASE_BYTES) / _MIB),
        maxmemory_policy=_POLICIES[policy.eviction],
    )


# The article's table gives ranges; the middle is taken. Its own figure for a senior developer is
# $20,000 to 30,000 for 8 to 12 weeks: $62.50 an hour in weeks of 40 hours.
HOURLY_USD = Decimal("62.5")
_TABLE = "middle of {low}–{high} h, a published range ({row})"
_OWN = "an estimate of costaudit's"


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
    "tools": (Decimal(8), _OWN),
    "repeated_blocks": (Decimal(16), _OWN),
    "serialisation": (Decimal(4), _OWN),
    "padding": (Decimal(4), _OWN),
    "encoded": (Decimal(8), _OWN),
    "embeddings": (Decimal(12), _OWN),
    "indented_answers": (Decimal(4), _OWN),
    "tiers": (Decimal(2), _OWN),
    "routing": (Decimal(60), _OWN),
    "loops": (Decimal(24), _OWN),
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


def check_levers(names: Iterable[str], own: Sequence[str] = ()) -> None:
    """Raise UsageError for a lever that does not exist; `own` are levers that the reader adds."""
    for name in names:
        if name not in _HOURS and not own:
            raise UsageError(
                f"There is no lever {name!r}.", hint=f"Choose from {', '.join(_HOURS)}."
            )


def default_effort(lever: str, hourly_usd: Decimal = HOURLY_USD) -> Effort:
    """Return the effort that is assumed for a lever."""
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
        why="a senior developer at $20,000–30,000 for 8–12 weeks; the hours of each lever are the "
        "middle of a published range where there is one",
        option="--effort-usd",
    )
