"""Budgets for an audit, and what their check found."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True)
class Limit:
    """One budget."""

    written: str  # as the reader wrote it, such as 0.5%
    value: Decimal  # a share of 0 to 1, or US dollars


@dataclass(frozen=True)
class SpendChange:
    """Monthly spend of a baseline and of the audit that is tested."""

    base_usd: Decimal
    new_usd: Decimal
    noise_usd: Decimal | None  # half the 95 % interval of the difference; None: not known


@dataclass(frozen=True)
class GateResult:
    """One rule of the gate and how the audit stands to it."""

    rule: str  # as in costaudit.toml, such as max_unsafe_served
    status: Literal["passed", "failed", "insufficient"]  # insufficient: the log can't tell
    limit: str  # as the reader wrote it, such as 0.5%
    measured: str  # the value that was tested, with its interval, in words
    detail: str  # one sentence: why, and what to do
