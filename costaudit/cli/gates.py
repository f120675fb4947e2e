"""Conditions that make a sweep fail: a name, a comparison and a share."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costaudit.cli.values import share
from costaudit.errors import GateFailedError, InsufficientDataError, UsageError

if TYPE_CHECKING:
    from costaudit.contracts.grades import Estimate
    from costaudit.contracts.semantic import SemanticSection

_FORM = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*([\d.]+\s*%?)\s*")
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_NAMES = ("hit_rate", "valid_hit_rate", "unsafe_served")


@dataclass(frozen=True)
class Condition:
    """One `--fail-if`."""

    text: str
    name: str
    compare: str
    limit: float


def read_conditions(texts: Sequence[str]) -> list[Condition]:
    """Read conditions; raises UsageError for one that can't be understood."""
    found = []
    for text in texts:
        match = _FORM.fullmatch(text)
        if match is None or match[1] not in _NAMES:
            raise UsageError(
                f"--fail-if {text!r} can't be understood.",
                hint=f"Write NAME<SHARE or NAME>SHARE, with one of {', '.join(_NAMES)}.",
            )
        found.append(Condition(text, match[1], match[2], share(match[3], "--fail-if")))
    return found


def check_conditions(conditions: Sequence[Condition], section: "SemanticSection") -> None:
    """Raise GateFailedError if a condition may hold at the point that is asked about.

    That is the only threshold tried, or else the one recommended.
    """
    check_estimates(conditions, _estimates(section))


def check_estimates(
    conditions: Sequence[Condition], estimates: "Mapping[str, Estimate | None]"
) -> None:
    """Raise GateFailedError if a condition may hold of the estimates, which are by name.

    The bound of the 95 % interval that is on the condition's side counts: a cache whose wrong
    answers may exceed the limit fails, not only one that probably does. Raises
    InsufficientDataError where the log can't tell.
    """
    failed = []
    for condition in conditions:
        value, side = _value(condition, estimates.get(condition.name))
        if _COMPARE[condition.compare](value, condition.limit):
            failed.append(f"{condition.text.strip()} ({condition.name} may be {value:.4f}{side})")
    if failed:
        raise GateFailedError(
            f"Gate failed: {'; '.join(failed)}.",
            hint="The table above shows what each threshold would give.",
        )


def _value(condition: Condition, estimate: "Estimate | None") -> tuple[float, str]:
    """Give the value that counts, and which bound it is."""
    if estimate is None:
        raise InsufficientDataError(
            f"This log can't tell {condition.name}: it holds no answers to compare.",
            hint="Export the log with the answers, or leave the condition out.",
        )
    below = condition.compare.startswith("<")
    bound = estimate.low if below else estimate.high
    if bound is None:
        return estimate.value, ""
    return bound, f", the {'lower' if below else 'upper'} 95 % bound"


def _estimates(section: "SemanticSection") -> "dict[str, Estimate | None]":
    point = section.points[0] if len(section.points) == 1 else section.chosen
    if point is None:
        return {}
    return {
        "hit_rate": point.raw_hit_share,
        "valid_hit_rate": point.valid_hit_share,
        "unsafe_served": point.unsafe_served_share,
    }
