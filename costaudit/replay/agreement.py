"""Did the live cache do what was predicted? Request by request, and why not where it did not."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from costaudit.contracts.outcomes import RESULTS
from costaudit.contracts.replay import REASONS
from costaudit.errors import InsufficientDataError
from costaudit.replay.options import ReplayOptions
from costaudit.replay.stream import ReplayStream

ROUNDING = 0.01  # cosine: eight bits a dimension are off by less


@dataclass(frozen=True)
class Agreement:
    """Predicted against measured. Law: agreed + Σ reasons = requests."""

    requests: int
    agreed: int  # hit or miss or bypass on both sides
    same_entry: int  # of the hits on both sides, those that served the same request's answer
    both_hit: int
    confusion: dict[str, dict[str, int]]  # predicted → measured → requests
    reasons: dict[str, int]  # of those that differ; keys of REASONS
    differing: pl.DataFrame  # request_id, predicted, measured, reason: in the log's order

    @property
    def agreed_share(self) -> float:
        """Give the share of all requests that went as predicted."""
        return self.agreed / self.requests


@dataclass(frozen=True)
class _Circumstances:
    stream: ReplayStream
    options: ReplayOptions
    places: dict[str, int]  # request_id → index in the stream
    predicted_misses: frozenset[str]
    measured_misses: frozenset[str]
    exact_index: bool
    own_vectors: bool
    slack_s: float


def compare(
    predicted: pl.DataFrame,
    measured: pl.DataFrame,
    stream: ReplayStream,
    options: ReplayOptions,
    *,
    exact_index: bool,
    own_vectors: bool,
    slack_s: float = 0.0,
) -> Agreement:
    """Compare two OUTCOMES tables of one policy each over the same requests.

    `exact_index` and `own_vectors` are the live cache's; `slack_s` is how far, on the log's clock,
    the replay ran behind. Raises InsufficientDataError where the tables share no request.
    """
    columns = ("request_id", "result", "matched_id", "similarity")
    joined = predicted.select(columns).join(
        measured.select(columns), on="request_id", suffix="_live", maintain_order="left"
    )
    if joined.is_empty():
        raise InsufficientDataError(
            "The prediction and the replay share no request.",
            hint="Replay the run that was simulated.",
        )
    circumstances = _Circumstances(
        stream,
        options,
        {request_id: index for index, request_id in enumerate(stream.request_ids)},
        frozenset(joined.filter(result="miss")["request_id"]),
        frozenset(joined.filter(result_live="miss")["request_id"]),
        exact_index,
        own_vectors,
        slack_s,
    )
    both_hit = joined.filter(result="hit", result_live="hit")
    differing = joined.filter(pl.col("result") != pl.col("result_live"))
    reasons = [_reason(row, circumstances) for row in differing.iter_rows(named=True)]
    counts = Counter(reasons)
    return Agreement(
        requests=joined.height,
        agreed=joined.height - differing.height,
        same_entry=both_hit.filter(pl.col("matched_id") == pl.col("matched_id_live")).height,
        both_hit=both_hit.height,
        confusion=_confusion(joined.select("result", "result_live").iter_rows()),
        reasons={reason: counts[reason] for reason in REASONS if counts[reason]},
        differing=differing.select(
            "request_id",
            predicted="result",
            measured="result_live",
            reason=pl.Series(reasons, dtype=pl.String),
        ),
    )


def _confusion(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    counts = Counter(pairs)
    return {one: {other: counts[one, other] for other in RESULTS} for one in RESULTS}


def _reason(row: dict[str, Any], around: _Circumstances) -> str:
    if row["result_live"] == "error":
        return "error"
    is_live_hit = row["result_live"] == "hit"
    entry = row["matched_id_live"] if is_live_hit else row["matched_id"]
    similarity = row["similarity_live"] if is_live_hit else row["similarity"]
    stored = around.predicted_misses if is_live_hit else around.measured_misses
    if entry in around.places:
        if entry not in stored:
            return "earlier difference"
        timing = _timing(around, around.places[row["request_id"]], around.places[entry])
        if timing:
            return timing
        if not is_live_hit and row["similarity"] == 1.0:
            return "eviction"
    return _index_reason(similarity, around)


def _timing(around: _Circumstances, index: int, entry: int) -> str:
    stream, ttl_s = around.stream, around.options.ttl_s
    now_s, ready_s = stream.ts_s[index], stream.ready_s[entry]
    if abs(now_s - ready_s) <= around.slack_s:
        return "clock"
    if ttl_s is None:
        return ""
    if around.options.ttl_kind == "sliding":  # which hit renewed it last can differ by itself
        return "expiry" if now_s - ready_s >= ttl_s - around.slack_s else ""
    earliest, latest = stream.ts_s[entry] + ttl_s, ready_s + ttl_s  # sent, or inserted
    return "expiry" if earliest - around.slack_s <= now_s <= latest + around.slack_s else ""


def _index_reason(similarity: float | None, around: _Circumstances) -> str:
    if around.own_vectors:
        return "embedder"
    near = similarity is not None and abs(similarity - around.options.min_similarity) <= ROUNDING
    if near:
        return "rounding"
    return "unexplained" if around.exact_index else "approximate index"
