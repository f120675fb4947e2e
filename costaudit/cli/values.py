"""Turn option texts into values; errors say what to write instead."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TypeVar, get_args

from costaudit.errors import UsageError

if TYPE_CHECKING:
    from costaudit.contracts.spend import CostMode

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def duration_s(text: str, what: str = "A TTL") -> float | None:
    """Return 90, 90s, 30m, 24h, 7d or 2w in seconds; "" or `none` means no limit."""
    if text.strip().lower() in {"", "none"}:
        return None
    unit = text.strip()[-1].lower()
    number = text.strip()[:-1] if unit in _SECONDS else text.strip()
    try:
        seconds = float(number) * _SECONDS.get(unit, 1.0)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(
            f"{what} of {text!r} can't be used.",
            hint="Write a time above 0, such as 30m, 24h or 7d, or leave it out for no limit.",
        )
    return seconds


def share(text: str, option: str) -> float:
    """Return 0.01 or 1% as a share from 0 to 1."""
    cleaned = text.strip()
    try:
        value = float(cleaned.removesuffix("%")) / (100 if cleaned.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"{option} {text!r} is not a share.", hint="Write 0.01 or 1%.")
    return value


def headers(given: list[str]) -> dict[str, str]:
    """Return NAME:VALUE texts as HTTP headers; values are never printed."""
    found = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name.strip()):
            raise UsageError(
                "A --header can't be understood.", hint="Write NAME:VALUE, such as x-team:search."
            )
        found[name.strip()] = value.strip()
    return found


def sample_size(text: str) -> float:
    """Return 5% or 0.05 as a share below 1, and 20000 as a number of texts."""
    cleaned = text.strip().replace(",", "").replace("_", "")
    try:
        value = float(cleaned.removesuffix("%")) / (100 if cleaned.endswith("%") else 1)
    except ValueError:
        value = 0.0
    whole = not cleaned.endswith("%") and value == round(value)
    if not (0 < value < 1 or (value >= 1 and whole)):
        raise UsageError(
            f"--sample {text!r} can't be used.",
            hint="Write a share of the texts below 100% (5% or 0.05) or their number (20000).",
        )
    return value


def moment(text: str, option: str) -> datetime | None:
    """Return an ISO 8601 date or time; without a zone, it is UTC."""
    if not text:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is not a time.", hint="Write 2026-10-01 or 2026-10-01T09:30:00Z."
        ) from None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def above_zero(text: str, option: str) -> float:
    """Return a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(
            f"{option} {text!r} is not a number above 0.", hint="Write one, such as 60."
        )
    return value


def whole(text: str, option: str) -> int:
    """Return a whole number above 0."""
    if not text.isdecimal() or not int(text):
        raise UsageError(f"{option} {text!r} is not a whole number above 0.", hint="Write one.")
    return int(text)


def dollars(text: str, option: str, *, zero: bool = False) -> Decimal:
    """Return an amount of dollars above 0, or from 0 on with `zero`."""
    try:
        value = Decimal(text.strip().lstrip("$").replace(",", ""))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0 or (value == 0 and not zero):
        raise UsageError(f"{option} {text!r} is not an amount.", hint="Write dollars: 1234.56.")
    return value


def rates(texts: Sequence[str] | None) -> dict[str, Decimal]:
    """Return CURRENCY=USD pairs as rates."""
    told = pairs(texts, "--invoice-rate")
    return {name.upper(): dollars(text, "--invoice-rate") for name, text in told.items()}


def names(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def scope_fields(text: str) -> tuple[str, ...]:
    """Return the fields of a comma-separated scope; `none` and `global` are one cache for all."""
    found = names(text)
    return () if len(found) == 1 and found[0] in ("none", "global") else found


Name = TypeVar("Name", bound=str)


def one_of(text: str, allowed: tuple[Name, ...], option: str) -> Name:
    """Return the allowed value that a text names; raises UsageError for any other."""
    if text not in allowed:
        hint = f"Choose from {', '.join(allowed)}."
        raise UsageError(f"{option} {text!r} is unknown.", hint=hint)
    return next(one for one in allowed if one == text)


def cost_mode(text: str) -> "CostMode":
    """Return the value of --cost-mode."""
    from costaudit.contracts.spend import CostMode

    modes: tuple[CostMode, ...] = get_args(CostMode)
    return one_of(text, modes, "--cost-mode")


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """Return NAME=VALUE pairs."""
    read: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not value.strip():
            raise UsageError(f"{option} {text!r} has no value.", hint="Write NAME=VALUE.")
        read[name.strip()] = value.strip()
    return read
