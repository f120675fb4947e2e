"""Estimate the effort of a lever, given what exists already."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from costaudit.contracts.audit import Assumption
from costaudit.contracts.ledger import Lever
from costaudit.contracts.prefix import PrefixSection
from costaudit.errors import UsageError

# The table of the guide (see costing/claims.py) has ranges; costaudit takes the middle. The guide
# pays a senior developer $20,000 to 30,000 for 8 to 12 weeks: $62.50 an hour in weeks of 40 hours.
HOURLY_USD = Decimal("62.5")
_TABLE = "middle of {low}–{high} h, a published range ({row})"
_OWN = "an estimate by costaudit"


@dataclass(frozen=True)
class Effort:
    """What a lever takes to build."""

    hours: Decimal
    usd: Decimal
    source: str


_HOURS: dict[str, tuple[Decimal, str]] = {
    "monitoring": (Decimal(8), _OWN),
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
    "invalid_json": (Decimal(8), _OWN),
    "waste": (Decimal(16), _OWN),
    "small_model": (Decimal(40), _OWN),
    "commitments": (Decimal(8), _OWN),
}
LEVERS = tuple(_HOURS)
_MEND_H = Decimal(4)  # per place and template
_SWITCH_H = Decimal(4)  # to switch on what a gateway has already


def parse_effort(text: str, hourly_usd: Decimal = HOURLY_USD) -> Effort:
    """Read an effort such as 4000 (US dollars) or 40h; raises UsageError for other texts."""
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
    """Raise UsageError for a lever that does not exist; `own` are levers that the user adds."""
    for name in names:
        if name not in _HOURS and not own:
            raise UsageError(
                f"There is no lever {name!r}.", hint=f"Choose from {', '.join(_HOURS)}."
            )


def default_effort(lever: str, hourly_usd: Decimal = HOURLY_USD) -> Effort:
    """Return the assumed effort of a lever if nothing exists yet."""
    hours, source = _HOURS.get(lever, (Decimal(16), _OWN))
    return Effort(hours, hours * hourly_usd, source)


def efforts_here(
    prefix: PrefixSection | None,
    gateway_hits: int,
    levers: Iterable[Lever],
    given: Mapping[str, Effort],
) -> dict[str, Effort]:
    """Return the effort of each lever for what exists in the log; `given` takes precedence."""
    found = {lever.lever: default_effort(lever.lever) for lever in levers}
    if gateway_hits:
        why = "a gateway's cache already serves some calls: switch it on for more"
        found["duplicates"] = _effort(_SWITCH_H, why)
        found["semantic"] = _effort(default_effort("semantic").hours / 2, why)
    if prefix is not None:
        found["prompt_caching"] = _prompt_caching(prefix)
    return found | dict(given)


def _prompt_caching(prefix: PrefixSection) -> Effort:
    """Estimate the repairs if a provider caches automatically or prompts have markers already."""
    whole = default_effort("prompt_caching")
    needs_markers = [
        one
        for one in prefix.templates
        if one.snippet and not one.billed_read_share and one.saving_month.usd > 0
    ]
    if needs_markers:
        return whole
    mends = {
        (one.endpoint, breaker.kind)
        for one in prefix.templates
        for breaker in one.breakers
        if not breaker.provider_side and breaker.lost_usd_month.usd > 0
    }
    hours = min(max(_MEND_H * len(mends), _MEND_H), whole.hours)
    places = "1 place" if len(mends) == 1 else f"{len(mends)} places"
    return _effort(hours, f"caching exists already: {places} to repair, {_MEND_H} h each")


def _effort(hours: Decimal, source: str) -> Effort:
    return Effort(hours, hours * HOURLY_USD, source)


def effort_assumption(hourly_usd: Decimal = HOURLY_USD) -> Assumption:
    """Return the assumption about what an hour of work costs."""
    return Assumption(
        name="effort",
        value=f"${hourly_usd} an hour",
        why="a senior developer at $20,000–30,000 for 8–12 weeks; the hours of each lever are the "
        "middle of a published range where there is one",
        option="--effort-usd",
    )
