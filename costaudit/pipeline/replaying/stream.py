"""Turn a log into the questions that a live cache gets."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.answers.traps.signatures import TrapGuard
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.costing.cost import per_request_usd
from costaudit.pipeline.replaying.prompts import prompts_of
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.replay.cache import Held
from costaudit.replay.stream import ReplayStream
from costaudit.simulate.semantic.sweep import to_outcomes

_TOGETHER = 512  # texts that are compared with all entries at once
SCOPES = ("tenant", "user", "endpoint", "model", "provider")
_REPLICATES = 20  # of the bootstrap; few, as its spread is not used


@dataclass(frozen=True)
class Rehearsal:
    """The parts of a simulated log that a replay needs."""

    policy: SemanticPolicy
    stream: ReplayStream
    texts: tuple[str, ...]
    vectors: np.ndarray  # float32, by text
    predicted: pl.DataFrame  # OUTCOMES of the policy, judged
    guard: TrapGuard | None = None  # the policy's


def rehearse(run: SemanticRun, policy: SemanticPolicy, *, with_prompts: bool) -> Rehearsal:
    """Simulate one policy, and return the log as a live cache needs it.

    Prompts are read only if a live model or a proxy needs them.
    """
    decisions = run.swept([policy])
    right = pl.Series(run.rated(decisions.served, _REPLICATES).right_by_request(0))
    judged = pl.when(right >= 0).then(right == 1)
    return Rehearsal(
        policy=policy,
        stream=_stream(run, with_prompts=with_prompts),
        texts=tuple(run.stream.texts["text"].to_list()),
        vectors=run.vectors,
        predicted=to_outcomes(decisions, 0, run.stream, run.log.requests).with_columns(
            right=judged
        ),
        guard=TrapGuard(run.check.question_traps, policy.guard) if policy.guard else None,
    )


def looked_up_only(ready: Rehearsal, held: Held) -> pl.DataFrame:
    """Predict a replay that stores nothing: each request gets the nearest existing entry.

    Return OUTCOMES like `Rehearsal.predicted`; entries that are not in the log have no id.
    """
    limit = np.float32(ready.policy.min_similarity)
    best = np.full(len(ready.texts), -1.0, np.float32)
    owner = np.zeros(len(ready.texts), np.int64)
    for start in range(0, len(ready.texts), _TOGETHER if len(held.request_ids) else len(best)):
        part = slice(start, start + _TOGETHER)
        if len(held.request_ids):
            found = ready.vectors[part] @ held.vectors.T
            owner[part] = found.argmax(axis=1)
            best[part] = np.minimum(found.max(axis=1), 1.0)
    rows = ready.stream.rows
    looked_up = rows >= 0
    similarity = np.where(looked_up, best[np.maximum(rows, 0)], np.nan).astype(np.float32)
    hit = looked_up & (similarity >= limit)
    ids = np.array([*held.request_ids, ""], dtype=object)
    served = ids[np.where(hit, owner[np.maximum(rows, 0)], -1)]
    before = ready.predicted
    return before.with_columns(
        result=pl.when(pl.Series(looked_up))
        .then(pl.Series(np.where(hit, "hit", "miss")))
        .otherwise("result"),
        matched_id=pl.when(pl.Series(hit)).then(pl.Series(served.tolist(), dtype=pl.String)),
        similarity=pl.when(pl.Series(hit)).then(pl.Series(similarity)),
        right=pl.lit(None, dtype=pl.Boolean),
    ).select(before.columns)


def _stream(run: SemanticRun, *, with_prompts: bool) -> ReplayStream:
    log, stream = run.log, run.stream
    requests = log.requests
    texts = log.blocks.select(answer_id="block_id", answer="text")
    answers = requests.join(texts, on="answer_id", how="left", maintain_order="left")["answer"]
    ts_s = _never_falling(stream.ts_s)
    return ReplayStream(
        request_ids=requests["request_id"].to_list(),
        rows=stream.text.astype(np.int64),
        partitions=stream.partition.astype(np.int64),
        ts_s=ts_s,
        ready_s=np.maximum(np.nan_to_num(stream.ready_s, nan=0.0), ts_s),
        latencies_ms=requests["latency_ms"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
        answers=answers.fill_null("").to_list(),
        tokens=requests.select(pl.col(TOKEN_CLASSES).fill_null(0)).to_numpy(),
        bypass_reasons=to_reasons(run),
        cost_usd=per_request_usd(log.tariff.classes, log.tariff.billed),
        models=requests["model"].fill_null("").to_list(),
        endpoints=requests["endpoint"].fill_null("").to_list(),
        pools=stream.pool.astype(np.int64),
        prompts=prompts_of(log.requests, log.blocks) if with_prompts else None,
        scopes=scopes_of(requests),
        follows=run.follows.tolist(),
    )


def scopes_of(requests: pl.DataFrame) -> list[dict[str, str]]:
    """Return each request's fields that separate answers, if the log has them."""
    names = [name for name in SCOPES if requests[name].null_count() < len(requests)]
    rows = requests.select(names).iter_rows(named=True)
    return [{name: value for name, value in row.items() if value} for row in rows]


def to_reasons(run: SemanticRun) -> tuple[str, ...]:
    """Return why each request bypasses the cache; "" if it does not."""
    from costaudit.simulate.semantic.keys import ELIGIBLE, REASONS

    return tuple("" if code == ELIGIBLE else REASONS[code] for code in run.stream.bypass)


def _never_falling(ts_s: np.ndarray) -> np.ndarray:
    """Return times in which requests without one, which come last, have the time before."""
    first = ts_s[np.isfinite(ts_s)][:1]
    filled = np.where(np.isfinite(ts_s), ts_s, -np.inf)
    filled[:1] = first if not np.isfinite(ts_s[:1]).all() else ts_s[:1]
    return np.maximum.accumulate(filled)
