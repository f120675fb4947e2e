"""Promises about semantic caching against a log, as a table."""

from collections.abc import Sequence

from costaudit.contracts.audit import Claim
from costaudit.report.tables.table import Table


def claims_table(claims: Sequence[Claim]) -> Table:
    """Return each promise, what was found, and why."""
    return Table(
        "What is often promised, on this log",
        ("promise", "promised", "found", "outcome", "grade", "why"),
        tuple(
            (one.claim, one.promised, one.found or "–", one.outcome, one.grade, one.why)
            for one in claims
        ),
        left=(0, 3, 4, 5),
    )
