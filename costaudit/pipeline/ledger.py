"""The ledger of one log, and the levers beside the caches with their place in it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from costaudit.contracts.ledger import Ledger, Lever, LeverRow, Suggestion
from costaudit.costing.ledger import SimulatedStep, build_ledger, lever_rows
from costaudit.costing.verdict import spend_grade
from costaudit.ingest.content.tokenizer import Tokenizer
from costaudit.levers.levers import Proposals, propose
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.prompt_caching import PromptCaches
from costaudit.pipeline.semantic.evidence import SemanticResult
from costaudit.pipeline.semantic.exact import identical_hits
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.pipeline.twins import twins_of
from costaudit.progress import Progress
from costaudit.simulate.prefix.rules.rules import assign_rules


def ledger_of(
    log: Loaded,
    semantic: SemanticResult | np.ndarray | None,
    caches: PromptCaches,
    levers: Sequence[Lever],
) -> Ledger:
    """Build the waterfall; a log without prompts gets no semantic steps.

    semantic: what a sweep found, or a mask of the requests that identical questions answer.
    """
    nothing = np.zeros(len(log.requests), np.bool_)
    assigned = assign_rules(log.requests, caches.facts.prompts)
    least = pl.Series(assigned.each(lambda rules: rules.min_tokens))
    levers = [_with_minimum(lever, least) for lever in levers]
    if isinstance(semantic, SemanticResult):
        steps, left = semantic_steps(semantic, caches), semantic.hits
    else:
        left = nothing if semantic is None else semantic
        steps = [] if semantic is None else [duplicates_step(semantic, caches)]
    return build_ledger(
        log.tariff,
        log.spend.total.total_usd,
        caches.as_is(nothing),
        [*steps, prompt_step(caches, left, nothing)],
        levers,
        log.quality.covered_days,
        spend_grade(log.quality),
    )


def _with_minimum(lever: Lever, least: pl.Series) -> Lever:
    """Return a lever whose cuts know the shortest head that each request's provider caches."""
    cut = pl.when(pl.col("cuts").is_not_null()).then(pl.lit(least))
    return replace(lever, effect=lever.effect.with_columns(least_read_tokens=cut))


def duplicates_step(hits: np.ndarray, caches: PromptCaches) -> SimulatedStep:
    """Take out identical questions; what is left cools the provider's cache."""
    exact, classes = pl.Series(hits), caches.as_is(hits)
    return SimulatedStep(
        lever="duplicates",
        label="Identical questions",
        section="sweep",
        grade="simulated",
        removed=exact,
        alone_removed=exact,
        classes=classes,
        alone_classes=classes,
    )


def semantic_steps(result: SemanticResult, caches: PromptCaches) -> list[SimulatedStep]:
    """Take out identical questions, then similar ones; what is left cools the provider's cache."""
    steps = [duplicates_step(result.exact_hits, caches)]
    recommended = result.section.recommended
    if recommended is not None:
        hits = pl.Series(result.hits)
        classes = caches.as_is(result.hits)
        steps.append(
            SimulatedStep(
                lever="semantic",
                label=f"Similar questions (similarity {recommended:.2f})",
                section="sweep",
                grade="simulated",
                removed=hits,
                alone_removed=hits,
                classes=classes,
                alone_classes=classes,
                running_usd=result.running_usd,
                saved_bounds=result.saved_bounds,
            )
        )
    return steps


def prompt_step(caches: PromptCaches, left: np.ndarray, nothing: np.ndarray) -> SimulatedStep:
    """Mark and order what is left as well as the provider allows."""
    return SimulatedStep(
        lever="prompt_caching",
        label="Prompt caching on the rest",
        section="prefix",
        grade="simulated",
        removed=pl.Series(left),
        alone_removed=pl.Series(nothing),
        classes=caches.best(left),
        alone_classes=caches.best(nothing),
    )


def proposals_of(log: Loaded, options: AnalyzeOptions) -> Proposals:
    """Return what the log holds evidence for beside caches, and what is only worth a test."""
    found = propose(log.requests, log.blocks, Tokenizer().count_text, own=options.levers)
    routed, untold = twins_of(log)
    return Proposals(
        (*((routed,) if routed else ()), *found.levers),
        (*found.worth_testing, *((untold,) if untold else ())),
    )


def levered(
    log: Loaded, options: AnalyzeOptions, progress: Progress
) -> tuple[tuple[LeverRow, ...], tuple[Suggestion, ...]]:
    """Price the levers on what identical questions and prompt caching leave.

    Nothing is embedded: similar questions need vectors, and have their place in `analyze`.
    """
    proposals = proposals_of(log, options)
    levers = proposals.levers
    hits = identical_hits(log, options, progress)
    ledger = ledger_of(log, hits, PromptCaches(log), levers)
    rows = lever_rows(log.tariff, levers, ledger, log.quality.covered_days)
    return rows, proposals.worth_testing
