"""Pairs of questions worth reading: wrong hits, and near misses that guards refuse."""

from dataclasses import replace

import numpy as np

from costaudit.answers.evidence import evidence, worst_pairs
from costaudit.answers.rates import Rated
from costaudit.answers.traps.table import TRAP_NAMES
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.semantic import PairEvidence
from costaudit.pipeline.semantic_run import SemanticRun

_TOP = 12
_NEAR_MISS = 0.8  # refused pairs are looked for from this similarity on


def worst_evidence(run: SemanticRun, rated: Rated, chosen: int) -> tuple[PairEvidence, ...]:
    """List the hits of one policy that look most wrong."""
    rows = np.unique(rated.pairs.row[chosen])
    worst = worst_pairs(run.check, rated, rows[rows >= 0], _TOP)
    return _evidence(run, rated.pairs.asked[worst], rated.pairs.matched[worst], rated.right[worst])


def refused_evidence(run: SemanticRun, policy: SemanticPolicy) -> tuple[PairEvidence, ...]:
    """List the most similar pairs that the guards refuse, all of them unless some were chosen."""
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
