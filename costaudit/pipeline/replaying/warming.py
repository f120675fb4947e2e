"""Choose answers of a log for filling a cache beforehand; write and check them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from costaudit.answers.staleness import drift
from costaudit.costing.cost import per_request_usd, plain
from costaudit.errors import BackendError, InsufficientDataError
from costaudit.pipeline.replaying.stream import Rehearsal, rehearse
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.replay.warm import WarmAnswer, WarmCluster, answers_worth_having
from costaudit.replay.warming.places import Admitted, admitted, foreign
from costaudit.replay.warming.target import Checked, Filled
from costaudit.replay.warming.targets import target_at
from costaudit.simulate.semantic.topics.clusters import cluster_texts

_TOPICS = 50  # most expensive topics that are considered


@dataclass(frozen=True)
class WarmUp:
    """Chosen answers, with all that a cache or a file needs."""

    answers: list[WarmAnswer]
    ready: Rehearsal


@dataclass(frozen=True)
class Warmed:
    """The result of filling a cache."""

    cache: str  # printable address
    admitted: Admitted
    filled: Filled
    checked: Checked


def warm_up(
    run: SemanticRun, min_similarity: float, most: int, *, with_prompts: bool = False
) -> WarmUp:
    """Choose answers of the most expensive topics that served only hits judged right."""
    policy = replace(run.options.policy, min_similarity=min_similarity)
    ready = rehearse(run, policy, with_prompts=with_prompts)
    usd = np.nan_to_num(per_request_usd(run.log.tariff.classes, run.log.tariff.billed))
    text = run.stream.text[run.eligible]
    by_text = np.bincount(text, weights=usd[run.eligible], minlength=len(run.stream.texts))
    topics = cluster_texts(run.texts, run.vectors, by_text)
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
    return WarmUp(chosen, ready)


def fill(found: WarmUp, run: SemanticRun, cache: str, headers: Mapping[str, str]) -> Warmed:
    """Write chosen answers into the cache at an address, and look them up like its client.

    Raises InsufficientDataError if the cache would serve every answer to other scopes too, and
    BackendError if the check finds less than was written. An answer that crosses a scope is removed
    again.
    """
    policy = found.ready.policy

    def embed(text: str) -> np.ndarray:
        vector: np.ndarray = run.embedder.encode([text])[0]
        return vector

    target = target_at(
        cache, found.ready.stream, embed, policy.min_similarity, policy.scope, headers
    )
    separation = target.separation()
    fitting = admitted(found.answers, found.ready.stream, separation, policy.scope)
    if not fitting.answers:
        raise InsufficientDataError(
            f"No answer can be stored in {target.name}: {reasons_of(fitting)}.",
            hint="Let the cache separate these fields (fields=tenant,model of a RedisVL index, "
            "name=llmcache-{tenant}, `fields` of a class), or use a part of the log: --where.",
        )
    filled = target.fill(fitting.answers)
    checked = target.check(filled.answers, foreign(filled.answers, separation))
    if checked.crossed:
        target.remove(filled.answers)
        raise BackendError(
            f"{target.name} served {checked.crossed:,} of {checked.probes:,} questions an answer "
            "of another scope; all written answers were removed again.",
            hint="Check how the cache separates scopes.",
        )
    return Warmed(target.name, fitting, filled, checked)


def reasons_of(fitting: Admitted) -> str:
    """Return why answers were left out, with their numbers."""
    ranked = sorted(fitting.left_out.items(), key=lambda item: -item[1])
    return "; ".join(f"{count:,}: {reason}" for reason, count in ranked)
