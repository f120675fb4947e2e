"""What people are promised, held against a log."""

from dataclasses import dataclass
from typing import Literal

from costaudit.contracts.grades import Grade

Outcome = Literal["holds", "fails", "unclear", "untested"]  # unclear: the interval spans it


@dataclass(frozen=True)
class Claim:
    """A promise of the article that semantic caching budgets rest on."""

    claim: str  # what is promised
    promised: str  # its number
    found: str  # the same number on this log, or by the article's own figures; "" if untested
    outcome: Outcome
    why: str  # how it was found, or why it can't be
    grade: Grade
