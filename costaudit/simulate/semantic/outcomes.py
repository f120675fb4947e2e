"""The decisions of one policy as an OUTCOMES table."""

import numpy as np
import polars as pl

from costaudit.contracts.outcomes import OUTCOMES
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.simulate.semantic.eligibility import REASONS
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import BYPASS, Decisions


def to_outcomes(
    decisions: Decisions, place: int, stream: Stream, requests: pl.DataFrame
) -> pl.DataFrame:
    """Write down what the policy at `place` did with REQUESTS, in order; nothing is judged yet.

    A hit is billed no tokens and has no latency of its own; every other request keeps what the log
    says, zero tokens where it says nothing. A bypassed request that failed is an error.
    """
    served = decisions.served[place]
    hit = served >= 0
    same = hit & (stream.text[np.maximum(served, 0)] == stream.text)
    reason = np.array(REASONS)[stream.bypass]
    reason = np.where(hit, np.where(same, "exact", "similar"), reason)
    failed = (served == BYPASS) & (reason == "status_error")
    result = np.select([hit, failed, served == BYPASS], ["hit", "error", "bypass"], "miss")
    ids = requests["request_id"]
    matched = pl.Series(np.where(hit, served, 0)).cast(pl.UInt32)
    tokens = [
        pl.when(pl.lit(pl.Series(hit))).then(0).otherwise(pl.col(name).fill_null(0)).alias(name)
        for name in TOKEN_CLASSES
    ]
    columns = {
        "policy_id": pl.lit(decisions.policies[place].policy_id),
        "request_id": pl.col("request_id"),
        "result": pl.lit(pl.Series(result)),
        "reason": pl.lit(pl.Series(reason)).replace("", None),
        "matched_id": pl.when(pl.lit(pl.Series(hit))).then(pl.lit(ids.gather(matched))),
        "similarity": pl.when(pl.lit(pl.Series(hit))).then(
            pl.lit(pl.Series(decisions.similarity[place]))
        ),
        "right": pl.lit(None),
        "latency_ms": pl.when(~pl.lit(pl.Series(hit))).then(pl.col("latency_ms")),
    }
    frame = requests.select(*tokens, **columns)
    return frame.select(pl.col(name).cast(dtype) for name, dtype in OUTCOMES.items())
