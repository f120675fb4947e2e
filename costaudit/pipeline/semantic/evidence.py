"""Collect evidence about a semantic cache: pairs worth reading, and topics ranked by money."""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from costaudit.answers.evidence import evidence, typical_pairs, worst_pairs
from costaudit.answers.rates import Rated
from costaudit.answers.staleness import drift
from costaudit.answers.traps.detectors import TRAP_NAMES
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.semantic import ClusterCentres, ClusterRow, PairEvidence, SemanticSection
from costaudit.costing.cost import plain
from costaudit.pipeline.semantic.keyed_run import CacheHits
from costaudit.pipeline.semantic.text_run import SemanticRun
from costaudit.simulate.semantic.topics.clusters import Clusters


@dataclass(frozen=True)
class SemanticResult:
    """The section, and the hits that the ledger needs."""

    section: SemanticSection
    exact: CacheHits  # hits on identical text
    chosen: CacheHits  # at the recommended point, or else of exact matching
    centres: ClusterCentres | None = None  # of all clusters; None without texts


_TOP = 12
_NEAR_MISS = 0.8  # minimum similarity of refused pairs


def worst_evidence(run: SemanticRun, rated: Rated, chosen: int) -> tuple[PairEvidence, ...]:
    """Return the hits of one policy that look most wrong."""
    rows = np.unique(rated.pairs.row[chosen])
    worst = worst_pairs(run.check, rated, rows[rows >= 0], _TOP)
    return _evidence(run, rated.pairs.asked[worst], rated.pairs.matched[worst], rated.right[worst])


def refused_evidence(run: SemanticRun, policy: SemanticPolicy) -> tuple[PairEvidence, ...]:
    """Return the most similar pairs that the policy's guards refuse, or that any guard refuses."""
    guard = policy.guard or TRAP_NAMES
    floor = min(policy.min_similarity, _NEAR_MISS)
    decisions = run.swept([replace(policy, guard=guard, min_similarity=floor)])
    refused = decisions.refusals
    similarity = decisions.similarity[refused.policy, refused.request]
    text = run.stream.text
    pairs = np.sort(np.stack([text[refused.request], text[refused.entry]]), axis=0)
    _, first = np.unique(pairs, axis=1, return_index=True)
    order = first[np.lexsort((refused.request[first], -similarity[first]))][:_TOP]
    asked, matched = refused.request[order], refused.entry[order]
    return _evidence(run, asked, matched, run.check.judge(asked, matched).right)


def _evidence(
    run: SemanticRun, asked: np.ndarray, matched: np.ndarray, right: np.ndarray
) -> tuple[PairEvidence, ...]:
    return evidence(
        run.log.requests, run.check, asked, matched, right, show_prompts=run.options.show_prompts
    )


TOP = 25
SMALLEST = 5  # requests; smaller groups might identify a person and are left out
_PAIRS = 2  # of each kind
_NAME_CHARS = 80  # of a topic's central question


def clustered(
    run: SemanticRun, rated: Rated, chosen: int, top: int = TOP
) -> tuple[tuple[ClusterRow, ...], ClusterCentres]:
    """Return the most expensive topics, and the centres of all topics.

    `chosen` is the row of `rated` with the hits.
    """
    clusters, own = run.topics, run.topic
    sizes = np.bincount(own[own >= 0], minlength=len(clusters.ids))
    largest = [number for number in range(len(clusters.ids)) if sizes[number] >= SMALLEST]
    rows = tuple(_row(run, rated, chosen, number) for number in largest[:top])
    spec = run.embedder.spec
    return rows, ClusterCentres(spec.name, spec.revision, clusters.ids, clusters.centres)


def topic_name(clusters: Clusters, number: int, texts: pl.Series, *, show_prompts: bool) -> str:
    """Return a topic's central question if prompts may be shown, else its terms."""
    if not show_prompts:
        return clusters.labels[number]
    question = " ".join(texts[int(clusters.medoid[number])].split())
    return question if len(question) <= _NAME_CHARS else f"{question[: _NAME_CHARS - 1]}…"


def _row(run: SemanticRun, rated: Rated, chosen: int, number: int) -> ClusterRow:
    clusters, members = run.topics, run.topic == number
    rows = np.unique(rated.pairs.row[chosen][members])
    rows = rows[rows >= 0]
    shown = np.concatenate(
        [typical_pairs(run.check, rated, rows, _PAIRS), worst_pairs(run.check, rated, rows, _PAIRS)]
    )
    similarity = rated.verdicts.similarity[rows]
    similarity = similarity[~np.isnan(similarity)]
    times = run.stream.ts_s[members]
    gaps = np.diff(times[np.isfinite(times)]) if run.stream.timed else np.empty(0)
    fresh = drift(run.check, members, seed=run.options.seed)
    spent = run.log.usd_of(members)
    return ClusterRow(
        cluster_id=clusters.ids[number],
        label=topic_name(
            clusters,
            number,
            run.stream.texts["text"],
            show_prompts=run.options.show_prompts,
        ),
        requests=int(members.sum()),
        distinct_texts=int((clusters.cluster == number).sum()),
        cost_usd=plain(spent),
        share=float(clusters.usd[number] / max(clusters.usd.sum(), 1e-12)),
        hit_share=float((rated.pairs.row[chosen][members] >= 0).mean()),
        tightness=float(clusters.tightness[number]),
        answer_similarity_p50=float(np.median(similarity)) if len(similarity) else None,
        median_gap_s=float(np.median(gaps)) if len(gaps) else None,
        pairs=evidence(
            run.log.requests,
            run.check,
            rated.pairs.asked[shown],
            rated.pairs.matched[shown],
            rated.right[shown],
            show_prompts=run.options.show_prompts,
        ),
        ttl_s=fresh.ttl_s,
        ttl_why=fresh.why,
    )
