"""How well a number is known, and the interval around it."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Grade = Literal["measured", "replayed", "simulated", "estimated", "assumed"]
GRADES: tuple[Grade, ...] = ("measured", "replayed", "simulated", "estimated", "assumed")


def weakest(grades: Iterable[Grade]) -> Grade:
    """Grade a total by the weakest of its parts; `measured` where there are none."""
    return max(grades, key=GRADES.index, default="measured")


@dataclass(frozen=True)
class Estimate:
    """A share or a count, with its 95 % interval where it has one."""

    value: float
    grade: Grade
    low: float | None = None  # 95 % bounds; None where the number is exact
    high: float | None = None


@dataclass(frozen=True)
class Money:
    """An amount in US dollars, with its 95 % interval where it has one."""

    usd: Decimal
    grade: Grade
    low_usd: Decimal | None = None
    high_usd: Decimal | None = None
