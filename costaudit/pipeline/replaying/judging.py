"""Judge a live cache's hits by the logged answers of both requests of each pair."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import Estimate
from costaudit.contracts.replay import Crossed, JudgedHits
from costaudit.pipeline.semantic.text_run import SemanticRun

Served = npt.NDArray[np.int32]
NO_HIT, UNKNOWN = -1, -2  # in Served; UNKNOWN: the served answer is not in the log


@dataclass(frozen=True)
class LiveVerdicts:
    """What the log shows about the hits of one replay."""

    right: pl.Series  # Boolean by request; null without a hit, or if unknown
    hits: JudgedHits
    predicted_unsafe: Estimate | None  # of all requests, by the same fit
    crossed: Crossed


def judge_live_hits(
    run: SemanticRun, predicted: pl.DataFrame, measured: pl.DataFrame
) -> LiveVerdicts:
    """Judge each measured hit, and count hits that served another tenant's or user's answer.

    Both tables are OUTCOMES in the log's order. Hits at other similarities help to separate right
    pairs from wrong ones. A hit whose answers can't be compared widens the interval.
    """
    served = served_rows(run.log.requests, measured)
    expected = served_rows(run.log.requests, predicted)
    others = [replace(run.options.policy, min_similarity=one) for one in run.context]
    context = run.swept(others).served if others else np.empty((0, len(served)), np.int32)
    rated = run.rated(np.vstack([np.maximum(served, NO_HIT), expected, context]).astype(np.int32))
    likely = rated.right_by_request(0)
    unknown = int((served == UNKNOWN).sum())
    told = int((likely >= 0).sum())
    hits = int((served != NO_HIT).sum())
    return LiveVerdicts(
        right=pl.select(
            pl.when(pl.Series(likely) >= 0).then(pl.Series(likely) == 1).alias("right")
        )["right"],
        hits=JudgedHits(
            hits=hits,
            right=int((likely == 1).sum()),
            wrong=int((likely == 0).sum()),
            untold=hits - told,
            unsafe_served_share=_widened(rated.points[0].unsafe_served_share, unknown, len(served)),
        ),
        predicted_unsafe=rated.points[1].unsafe_served_share,
        crossed=crossed_hits(run.log.requests, served),
    )


def served_rows(requests: pl.DataFrame, outcomes: pl.DataFrame) -> Served:
    """Return, for each request, the row whose answer it was served; else NO_HIT or UNKNOWN."""
    rows = requests.select(matched_id="request_id").with_row_index("matched")
    joined = requests.select("request_id").join(
        outcomes.select("request_id", "result", "matched_id"),
        on="request_id", how="left", maintain_order="left",
    ).join(rows, on="matched_id", how="left", maintain_order="left")  # fmt: skip
    is_hit = joined["result"] == "hit"
    matched = joined["matched"].cast(pl.Int32).fill_null(UNKNOWN)
    found = pl.select(pl.when(is_hit.fill_null(value=False)).then(matched).otherwise(NO_HIT))
    return found.to_series().cast(pl.Int32).to_numpy()


def crossed_hits(requests: pl.DataFrame, served: Served) -> Crossed:
    """Count hits between two different tenants, and between two different users."""
    hit = np.flatnonzero(served >= 0)

    def differing(name: str) -> int | None:
        if requests[name].null_count() == len(requests):
            return None
        own, other = requests[name].gather(hit), requests[name].gather(served[hit])
        return int((own != other).sum())  # comparisons with null are null and not counted

    return Crossed(tenant=differing("tenant"), user=differing("user"))


def _widened(share: Estimate | None, unknown: int, requests: int) -> Estimate | None:
    """Widen an interval: unjudged hits are right at its low end and wrong at its high end."""
    if not unknown:
        return share
    most = unknown / requests
    if share is None:
        return Estimate(most / 2, "estimated", 0.0, most)
    low = share.value if share.low is None else share.low
    high = share.value if share.high is None else share.high
    return Estimate(share.value + most / 2, "estimated", low, high + most)
