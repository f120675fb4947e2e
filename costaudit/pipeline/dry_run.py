"""Say what an audit of logs will take before they are read: reading, assembly and embedding."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import numpy as np
import polars as pl

from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.requests import in_order
from costaudit.contracts.run_dir import RunDir
from costaudit.costing.plans.sizing import FLOAT_BYTES, embedding_per_mtok
from costaudit.embed.distinct import distinct_texts
from costaudit.embed.embedders import embedder_named, embedder_on, hosted_named, is_own, is_table
from costaudit.embed.store import VectorStore, named, seconds_per_token
from costaudit.engine.hub import without_downloads
from costaudit.errors import CostauditError
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.reading_plan import TRIAL_BYTES, ReadingPlan, assemble_trial, reading_plan
from costaudit.pipeline.narrow import read_tables
from costaudit.scratch import scratch_folder
from costaudit.simulate.semantic.stream import keyed_stream

Between = tuple[float, float]  # the lowest and the highest likely value


@dataclass(frozen=True)
class EmbeddingPlan:
    """What embedding a log's questions will take; None is what can't be told."""

    embedder: str
    tried_questions: int = 0  # that a cache may answer, of the records on trial
    tried_texts: int = 0  # distinct ones among them
    texts: Between | None = None  # distinct questions of the whole log
    tokens: Between | None = None
    seconds: Between | None = None  # at the rate that was measured
    usd: Between | None = None  # of a hosted model
    per_mtok: Decimal | None = None  # its price in dollars
    vector_bytes: Between | None = None
    untold: str = ""  # why there is no time or no cost


def dry_run(
    inputs: Sequence[str],
    options: IngestOptions,
    embedder: str,
    trial_bytes: int = TRIAL_BYTES,
) -> tuple[ReadingPlan, EmbeddingPlan]:
    """Return what reading logs and embedding their questions will take, by a trial of each.

    Up to `trial_bytes` are read of each file that is tried. Nothing is kept, downloaded or sent to
    a hosted model. Raises UsageError for standard input, pipes and an unknown embedder, InputError
    if there is no log.
    """
    embedder_named(embedder)  # refuse an unknown one before the trial
    with scratch_folder("plan-") as folder, without_downloads():
        run = RunDir(folder)
        plan = reading_plan(inputs, options, run, trial_bytes)
        if options.redact == "hash":
            return plan, EmbeddingPlan(embedder, untold="--redact hash keeps no texts to embed.")
        texts, text = _questions(plan, run, options)
        if not len(text):
            why = "No record on trial asks a question that a cache could answer."
            if not plan.tried_records:
                why = "Only files of plain lines are tried."
            return plan, EmbeddingPlan(embedder, untold=why)
        total = len(text) / plan.tried_records * plan.records
        likely = distinct_texts(text, 0.0 if plan.is_whole else total)
        found = EmbeddingPlan(embedder, len(text), len(texts), likely)
        return plan, _embedding(found, texts, run, options.engine)


def _questions(
    plan: ReadingPlan, run: RunDir, options: IngestOptions
) -> tuple[pl.DataFrame, np.ndarray]:
    """Return the distinct questions on trial, and the row of each question asked, in order."""
    if not plan.tried_records:
        return pl.DataFrame(), np.empty(0, np.int32)
    assemble_trial(run, options)
    requests, blocks = read_tables(run)
    policy = SemanticPolicy(1.0, scope=())  # the texts don't depend on the scope
    stream = keyed_stream(in_order(requests), blocks, policy)
    return stream.texts, stream.text[stream.text >= 0]


def _embedding(
    found: EmbeddingPlan, texts: pl.DataFrame, run: RunDir, engine: str
) -> EmbeddingPlan:
    """Add what the embedder takes for the likely number of texts."""
    likely = found.texts
    assert likely is not None
    hosted = hosted_named(found.embedder)
    if hosted is not None:
        counts = hosted.token_counts(texts["text"].to_list())
        tokens = _times(likely, float(np.minimum(counts, hosted.max_tokens).mean()))
        price = embedding_per_mtok(hosted.name, date.max)
        wide = hosted.known_dimensions
        return replace(
            found,
            tokens=tokens,
            usd=None if price is None else _times(tokens, float(price) / 1e6),
            per_mtok=price,
            vector_bytes=None if wide is None else _times(likely, FLOAT_BYTES * wide),
            untold=f"{hosted.name} has no known price." if price is None else "",
        )
    if is_own(found.embedder):
        why = f"{found.embedder} is your own class, and trying it could cost money."
        return replace(found, untold=why)
    embedder = embedder_on(found.embedder, engine)
    try:
        spec = embedder.spec
        found = replace(found, vector_bytes=_times(likely, FLOAT_BYTES * spec.dimensions))
        if is_table(found.embedder):
            return replace(found, untold=f"Its vectors are read from {found.embedder}.")
        counts = np.minimum(embedder.token_counts(texts["text"].to_list()), spec.max_tokens)
        order = np.argsort(counts, kind="stable")
        store = VectorStore(run.vectors_path, spec.name, spec.revision, spec.dimensions)
        each_s = seconds_per_token(named(texts[order]), counts[order], embedder, store)
    except CostauditError as error:  # such as a model that is not on this machine
        return replace(found, untold=error.message)
    tokens = _times(likely, float(counts.mean()))
    return replace(found, tokens=tokens, seconds=_times(tokens, each_s))


def _times(between: Between, factor: float) -> Between:
    return between[0] * factor, between[1] * factor
