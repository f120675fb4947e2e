"""Embed a sample if an exact sweep is not possible.

It is not if vectors of all texts take too long for the audit's budget of time, if one scope has too
many texts, or if there is too little memory.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.semantic import Lack, SampledSweep
from costaudit.embed.embedder import Embedder
from costaudit.embed.embedders import embedder_on
from costaudit.embed.store import VectorStore, named, seconds_per_token
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.memory import free_bytes
from costaudit.pipeline.semantic.effort import effort_of, topic_texts
from costaudit.pipeline.semantic.evidence import SemanticResult
from costaudit.pipeline.semantic.exact import exact_result
from costaudit.pipeline.semantic.keyed_run import Keyed
from costaudit.pipeline.semantic.sampled import sampled_sweep
from costaudit.pipeline.semantic.topics import with_topics
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress
from costaudit.simulate.semantic.sample import LEAST_TEXTS
from costaudit.simulate.semantic.stream import Stream, largest_pool
from costaudit.simulate.semantic.thresholds import parse_thresholds

_LONG_VECTOR = 20_000  # bytes: no embedder needs more for a question
_PART = 0.35  # of the time left that vectors may take: the other half of the audit comes later
_ANSWERS = 2.0  # vectors of questions and answers together, as a multiple of the questions'
_MOST_TEXTS = 20_000  # of a sample
_COUNTED = 20_000  # texts whose tokens stand for those of all
_SWEEP_S, _SWEEP_TEXTS, _SWEEP_POWER = 129.0, 300_000, 1.7  # measured: benchmarks/README.md
_SHOWN = 0.9  # the threshold that the sentence is about, if the sweep has it


@dataclass(frozen=True)
class Shortage:
    """Why not all texts can be compared, and how many can."""

    why: str
    affordable: int  # texts
    lacks: Lack


def within_budget(
    log: Loaded, options: AnalyzeOptions, keyed: Keyed, progress: Progress
) -> SemanticResult | None:
    """Simulate identical questions, and sample the others, if not all can be compared.

    Return None if they can: the caller then simulates the cache exactly.
    """
    why = too_large(keyed.stream, options)
    found = Shortage(why, min(_MOST_TEXTS, len(keyed.stream.texts) - 1), "room") if why else None
    if options.deadline_s is not None and len(keyed.stream.texts) >= LEAST_TEXTS:
        found = shortage(log, options, keyed.stream, why)
    if found is None:
        return None
    sampled, policy = None, options.policy
    bounded = policy.max_entries is not None or bool(policy.guard)  # no sample shows these
    if found.affordable >= LEAST_TEXTS and not bounded:
        sampled = sampled_sweep(log, options, float(found.affordable), progress, keyed.stream)
    why = _why(found, sampled if isinstance(sampled, SampledSweep) else None)
    if found.affordable < LEAST_TEXTS and options.deadline_s is not None and not bounded:
        why += " A sample takes longer than --budget leaves for it."
    result = exact_result(log, options, progress, why, keyed, found.lacks)
    if result is None or found.affordable < LEAST_TEXTS:
        return result
    return with_topics(result, log, options, keyed.stream, topic_texts(found.affordable), progress)


def too_large(stream: Stream, options: AnalyzeOptions) -> str | None:
    """Return what one partition or the memory lacks for an exact sweep; None if it is possible."""
    most, free = options.sizes.most_nodes, options.sweep_bytes or free_bytes() or math.inf
    if len(stream.text) <= min(most, free / _LONG_VECTOR):
        return None
    nodes = largest_pool(stream, most)
    if nodes:
        return (
            f"One scope has {nodes:,} different questions, more than the {most:,} of an exact sweep"
        )
    policies = len(parse_thresholds(options.thresholds)) + 1
    dimensions = embedder_on(options.policy.embedder, options.ingest.engine).spec.dimensions
    needed = len(stream.texts) * (4 * dimensions + 8 * policies) + len(stream.text) * 8 * policies
    if needed <= free:
        return None
    return (
        f"An exact sweep of {len(stream.texts):,} questions needs {needed / 1e9:,.1f} GB of memory "
        f"or more, and {free / 1e9:,.1f} GB are free"
    )


def shortage(
    log: Loaded, options: AnalyzeOptions, stream: Stream, why: str | None
) -> Shortage | None:
    """Return what the budget lacks, and the sample that fits it; None if it allows all vectors.

    `why` is what forbids an exact sweep at any budget, if anything does.
    """
    if why and _left_s(options) <= 0:
        return Shortage(why, 0, "room")
    texts = stream.texts
    embedder = embedder_on(options.policy.embedder, options.ingest.engine)
    spec = embedder.spec
    store = VectorStore(log.run.vectors_path, spec.name, spec.revision, spec.dimensions)
    new, tokens, each = new_texts(texts, embedder, store)
    token_s = seconds_per_token(new, tokens, embedder, store) if len(new) else 0.0
    sweep_s = _SWEEP_S * (len(texts) / _SWEEP_TEXTS) ** _SWEEP_POWER
    all_s = _ANSWERS * token_s * each * float(tokens.sum()) + sweep_s
    if not why and all_s <= _left_s(options):
        return None
    lacks: Lack = "room" if why else "time"
    why = why or (
        f"Vectors of all {len(texts):,} questions take about {_minutes(all_s)}, more than --budget "
        "leaves for them"
    )
    most = min(_MOST_TEXTS, len(texts) - 1)
    embed_s = token_s * float(tokens.mean()) if len(new) else 0.0
    if embed_s:
        most = min(most, int(max(0.0, _left_s(options)) / embed_s))
    if most >= LEAST_TEXTS:
        most = effort_of(stream, embed_s, most).affordable(_left_s(options), most)
    return Shortage(why, most, lacks)


def _left_s(options: AnalyzeOptions) -> float:
    """Return the seconds that vectors and a sample may take."""
    until = math.inf if options.deadline_s is None else options.deadline_s
    return _PART * (until - time.monotonic())


def new_texts(
    texts: pl.DataFrame, embedder: Embedder, store: VectorStore, most: int = _COUNTED
) -> tuple[pl.DataFrame, np.ndarray, float]:
    """Return the texts without a vector, their tokens, and how many texts each one is for.

    They are rows of `texts` (text) with their text_id. Both are in rising order of tokens, which
    are those that the embedder reads. Of more than `most` texts, only as many are looked at, always
    the same ones.
    """
    part = texts
    if len(texts) > most:  # drawn, because even steps can fall in with a period of the log
        part = texts[np.random.default_rng(0).choice(len(texts), most, replace=False)]
    part = named(part)
    new = part.filter(~pl.Series(store.known(part["text_id"])))
    counts = embedder.token_counts(new["text"].to_list())
    order = np.argsort(counts, kind="stable")
    each = len(texts) / max(len(part), 1)
    return new[order], np.minimum(counts, embedder.spec.max_tokens)[order], each


def _why(found: Shortage, sampled: SampledSweep | None) -> str:
    """Return what wasn't simulated and why, and what the sample shows instead."""
    told = (
        f"{found.why}: only identical questions are simulated, and answers that differ count as "
        "wrong."
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
