"""What a lever would change in each request: written by levers, priced by costing."""

from dataclasses import dataclass

import polars as pl

from costaudit.contracts.grades import Grade

EFFECT = pl.Schema(
    {
        "unit": pl.String,  # what is decided together, such as an endpoint; null: untouched
        "removed": pl.Boolean,  # not sent any more
        "output_tokens": pl.Int64,  # at most this many; null: as before
        "provider": pl.String,  # sent to another one; null: as before
        "model": pl.String,
        "is_batch": pl.Boolean,  # sent as a batch; null: as before
        "cold": pl.Boolean,  # loses the provider's prompt cache
    }
)


@dataclass(frozen=True)
class Lever:
    """One lever's proposal, and the rule that it rests on."""

    lever: str  # routing | output | batch | waste
    label: str  # for people
    section: str  # anchor of the report's section that explains it
    rule: str  # which requests, and why: one sentence with its numbers
    change: str  # what to do, in the imperative
    grade: Grade
    effect: pl.DataFrame  # EFFECT, aligned with the requests
