"""What a budget check found: handed in by the command line, shown by the reporters."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class GateResult:
    """One rule of the gate and how the audit stands to it."""

    rule: str  # as in costaudit.toml, such as max_unsafe_served
    status: Literal["passed", "failed", "insufficient"]  # insufficient: the log can't tell
    limit: str  # as the reader wrote it, such as 0.5%
    measured: str  # the value that was tested, with its interval, in words
    detail: str  # one sentence: why, and what to do
