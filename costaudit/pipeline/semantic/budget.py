"""Embed a sample if an exact sweep is not possible.

It is not if vectors of all texts take too long for the audit's budget of time, if one scope has too
many texts, or if there is too little memory.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.contracts.semantic import SampledSweep
from costaudit.embed.embedder import Embedder
from costaudit.embed.embedders import embedder_on
from costaudit.embed.store import VectorStore, named, seconds_per_token
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.memory import free_bytes
from costaudit.pipeline.semantic.evidence import SemanticResult
from costaudit.pipeline.semantic.exact import exact_result
from costaudit.pipeline.semantic.keyed_run import Keyed
from costaudit.pipeline.semantic.sampled import sampled_sweep
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


def within_budget(
    log: Loaded, options: AnalyzeOptions, keyed: Keyed, progress: Progress
) -> SemanticResult | None:
    """Simulate identical questions, and sample the others, if not all can be compared.

    Return None if they can: the caller then simulates the cache exactly.
    """
    found = too_large(keyed.stream, options) or shortage(log, options, keyed.stream)
    if found is None:
        return None
    sampled = None
    if found.affordable >= LEAST_TEXTS and options.policy.max_entries is None:
        sampled = sampled_sweep(log, options, float(found.affordable), progress, keyed.stream)
    why = _why(found, sampled if isinstance(sampled, SampledSweep) else None)
    return exact_result(log, options, progress, why, keyed)


def too_large(stream: Stream, options: AnalyzeOptions) -> Shortage | None:
    """Return what one partition or the memory lacks for an exact sweep; None if it is possible."""
    most, free = options.sizes.most_nodes, options.sweep_bytes or free_bytes() or math.inf
    if len(stream.text) <= min(most, free / _LONG_VECTOR):
        return None
    affordable = min(_MOST_TEXTS, len(stream.texts) - 1)
    nodes = largest_pool(stream, most)
    if nodes:
        return Shortage(
            f"One scope has {nodes:,} different questions, more than the {most:,} of an exact "
            "sweep",
            affordable,
        )
    policies = len(parse_thresholds(options.thresholds)) + 1
    dimensions = embedder_on(options.policy.embedder, options.ingest.engine).spec.dimensions
    needed = len(stream.texts) * (4 * dimensions + 8 * policies) + len(stream.text) * 8 * policies
    if needed <= free:
        return None
    return Shortage(
        f"An exact sweep of {len(stream.texts):,} questions needs {needed / 1e9:,.1f} GB of memory "
        f"or more, and {free / 1e9:,.1f} GB are free",
        affordable,
    )


def shortage(log: Loaded, options: AnalyzeOptions, stream: Stream) -> Shortage | None:
    """Return what the budget lacks; None without one, or if it allows vectors of all texts."""
    if options.deadline_s is None:
        return None
    texts = stream.texts
    if len(texts) < LEAST_TEXTS:
        return None
    embedder = embedder_on(options.policy.embedder, options.ingest.engine)
    spec = embedder.spec
    store = VectorStore(log.run.vectors_path, spec.name, spec.revision, spec.dimensions)
    new, tokens, each = new_texts(texts, embedder, store)
    sweep_s = _SWEEP_S * (len(texts) / _SWEEP_TEXTS) ** _SWEEP_POWER
    allowed_s = _PART * (options.deadline_s - time.monotonic())
    if not len(new):
        return None if sweep_s <= allowed_s else _no_time(len(texts), sweep_s, _MOST_TEXTS)
    token_s = seconds_per_token(new, tokens, embedder, store)
    all_s = _ANSWERS * token_s * each * float(tokens.sum()) + sweep_s
    allowed_s = _PART * (options.deadline_s - time.monotonic())
    if all_s <= allowed_s:
        return None
    affordable = int(allowed_s / (token_s * float(tokens.mean())))
    return _no_time(len(texts), all_s, min(affordable, _MOST_TEXTS, len(texts) - 1))


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


def _no_time(texts: int, seconds: float, affordable: int) -> Shortage:
    return Shortage(
        f"Vectors of all {texts:,} questions take about {_minutes(seconds)}, more than --budget "
        "leaves for them",
        affordable,
    )


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
