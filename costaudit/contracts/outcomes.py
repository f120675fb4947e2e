"""What a cache did, or would have done, with each request."""

import polars as pl

from costaudit.contracts.requests import TOKEN_CLASSES, check_table
from costaudit.errors import CostauditError

_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "policy_id": pl.String,
    "request_id": pl.String,
    "result": pl.String,  # hit | miss | bypass | error
    "reason": pl.String,  # why it was bypassed or failed; exact | similar for a hit
    "matched_id": pl.String,  # request_id whose answer was served; null unless a hit
    "similarity": pl.Float32,  # cosine to the matched request's text; 1.0 for identical text
    "right": pl.Boolean,  # was the served answer right? null where it was not judged
    **dict.fromkeys(TOKEN_CLASSES, pl.Int64),  # what would be billed; 0 for a hit
    "latency_ms": pl.Float64,
}
OUTCOMES = pl.Schema(_COLUMNS)
RESULTS = ("hit", "miss", "bypass", "error")


def check_outcomes(outcomes: pl.DataFrame, requests: int) -> None:
    """Raise unless every policy's rows obey the conservation laws over `requests` requests.

    Laws: hit + miss + bypass + error = n; wrong <= judged <= hits; a hit names what it served.
    """
    check_table(outcomes, OUTCOMES, "outcomes")
    hit = pl.col("result") == "hit"
    laws = outcomes.group_by("policy_id").agg(
        n=pl.len(),
        distinct=pl.col("request_id").n_unique(),
        known=pl.col("result").is_in(RESULTS).sum(),
        judged=pl.col("right").is_not_null().sum(),
        judged_hits=(pl.col("right").is_not_null() & hit).sum(),
        unmatched=(hit != pl.col("matched_id").is_not_null()).sum(),
    )
    for row in laws.sort("policy_id").iter_rows(named=True):
        counted = row["n"] == row["distinct"] == row["known"] == requests
        if not counted or row["judged"] != row["judged_hits"] or row["unmatched"]:
            raise CostauditError(
                f"The outcomes of {row['policy_id']} break a conservation law: {row}.",
                hint="This is a defect of costaudit: please report it with the policy's name.",
            )
