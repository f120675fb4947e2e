"""`warm` as a library call: the answers that a cache should hold before the first question."""

from dataclasses import dataclass, replace

import numpy as np

from costaudit.answers.staleness import drift
from costaudit.costing.cost import per_request_usd, plain
from costaudit.pipeline.replaying import Rehearsal, rehearse
from costaudit.pipeline.semantic_run import SemanticRun
from costaudit.replay.warm import WarmAnswer, WarmCluster, answers_worth_having
from costaudit.simulate.semantic.clusters import cluster_texts

_TOPICS = 50  # the dearest are considered


@dataclass(frozen=True)
class WarmUp:
    """Chosen answers, and what is needed to put them into a cache or a file."""

    answers: list[WarmAnswer]
    ready: Rehearsal
    scopes: dict[int, str]  # partition → its scope, for people


def warm_up(run: SemanticRun, min_similarity: float, most: int) -> WarmUp:
    """Choose answers of the dearest topics that served hits, all of them judged right."""
    policy = replace(run.options.policy, min_similarity=min_similarity)
    ready = rehearse(run, policy, with_prompts=False)
    usd = np.nan_to_num(per_request_usd(run.log.tariff.classes, run.log.tariff.billed))
    text = run.stream.text[run.eligible]
    by_text = np.bincount(text, weights=usd[run.eligible], minlength=len(run.stream.texts))
    topics = cluster_texts(run.stream.texts, run.vectors, by_text, seed=run.options.seed)
    own = np.full(len(run.stream.text), -1, np.int32)
    own[run.eligible] = topics.cluster[text]
    clusters = [
        WarmCluster(
            cluster_id=topics.ids[number],
            cost_usd=plain(run.log.usd_of(own == number)),
            ttl_s=drift(run.check, own == number, seed=run.options.seed).ttl_s,
        )
        for number in range(min(_TOPICS, len(topics.ids)))
    ]
    chosen = answers_worth_having(
        ready.stream,
        ready.texts,
        ready.predicted,
        [topics.ids[number] for number in topics.cluster],
        clusters,
        most,
    )
    return WarmUp(chosen, ready, {one.partition: _scope(run, one.index) for one in chosen})


def _scope(run: SemanticRun, index: int) -> str:
    """Name the scope of a request by the fields that stand in the log."""
    row = run.log.requests.row(index, named=True)
    names = [name for name in run.options.policy.scope if name in row]
    return ", ".join(f"{name}={row[name] or ''}" for name in names)
