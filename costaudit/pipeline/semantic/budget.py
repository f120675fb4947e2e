"""Keep an audit within its budget of time: embed a sample if vectors of all texts take too long."""

import time
from dataclasses import dataclass

import numpy as np

from costaudit.contracts.semantic import SampledSweep
from costaudit.embed.embedders import embedder_on
from costaudit.embed.store import VectorStore, seconds_per_token
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.semantic.evidence import SemanticResult
from costaudit.pipeline.semantic.exact import exact_result
from costaudit.pipeline.semantic.sampled import sampled_sweep
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.semantic.sample import LEAST_TEXTS
from costaudit.simulate.semantic.stream import keyed_stream

_PART = 0.35  # of the time left that vectors may take: the other half of the audit comes later
_ANSWERS = 2.0  # vectors of questions and answers together, as a multiple of the questions'
_MOST_TEXTS = 20_000  # of a sample
_SWEEP_S, _SWEEP_TEXTS, _SWEEP_POWER = 129.0, 300_000, 1.7  # measured: benchmarks/README.md
_SHOWN = 0.9  # the threshold that the sentence is about, if the sweep has it


@dataclass(frozen=True)
class Shortage:
    """What vectors of all texts would take, and what there is time for."""

    all_texts: int
    all_s: float
    affordable: int  # texts


def within_budget(
    log: Loaded, options: AnalyzeOptions, progress: Progress
) -> SemanticResult | None:
    """Simulate identical questions, and sample the others, if there is no time for all vectors.

    Return None if there is: the caller then simulates the cache as without a budget.
    """
    found = shortage(log, options, progress)
    if found is None:
        return None
    sampled = None
    if found.affordable >= LEAST_TEXTS:
        sampled = sampled_sweep(log, options, float(found.affordable), progress)
    why = _why(found, sampled if isinstance(sampled, SampledSweep) else None)
    return exact_result(log, options, progress, why)


def shortage(log: Loaded, options: AnalyzeOptions, progress: Progress) -> Shortage | None:
    """Return what the budget lacks; None without one, or if it allows vectors of all texts."""
    if options.deadline_s is None:
        return None
    texts = keyed_stream(log.requests, log.compared, options.policy, log.templates).texts
    if len(texts) < LEAST_TEXTS:
        return None
    embedder = embedder_on(options.policy.embedder, options.ingest.engine)
    spec = embedder.spec
    store = VectorStore(log.run.vectors_path, spec.name, spec.revision, spec.dimensions)
    new = np.flatnonzero(~store.known(texts["text_id"]))
    counts = embedder.token_counts(texts["text"].gather(new).to_list())
    tokens = np.minimum(counts, spec.max_tokens)
    sweep_s = _SWEEP_S * (len(texts) / _SWEEP_TEXTS) ** _SWEEP_POWER
    allowed_s = _PART * (options.deadline_s - time.monotonic())
    if not len(new):
        return None if sweep_s <= allowed_s else Shortage(len(texts), sweep_s, _MOST_TEXTS)
    order = np.argsort(tokens, kind="stable")
    token_s = seconds_per_token(texts[new[order]], tokens[order], embedder, store)
    all_s = _ANSWERS * token_s * float(tokens.sum()) + sweep_s
    allowed_s = _PART * (options.deadline_s - time.monotonic())
    if all_s <= allowed_s:
        return None
    affordable = int(allowed_s / (token_s * float(tokens.mean())))
    return Shortage(len(texts), all_s, min(affordable, _MOST_TEXTS, len(texts) - 1))


def _why(found: Shortage, sampled: SampledSweep | None) -> str:
    """Return what wasn't simulated and why, and what the sample shows instead."""
    told = (
        f"Vectors of all {found.all_texts:,} questions take about {_minutes(found.all_s)}, more "
        "than --budget leaves for them: only identical questions are simulated, and answers that "
        "differ count as wrong."
    )
    if sampled is None:
        return told
    point = min(sampled.points, key=lambda one: abs(one.min_similarity - _SHOWN))
    hits = point.raw_hit_share
    low, high = (hits.value if one is None else one for one in (hits.low, hits.high))
    return (
        f"{told} A sample of {sampled.embedded_texts:,} questions shows that similarity "
        f"{point.min_similarity:.2f} would hit {hits.value:.1%} of them ({low:.1%} to {high:.1%}), "
        "rightly or not."
    )


def _minutes(seconds: float) -> str:
    return f"{max(1.0, seconds / 60):,.0f} min"
