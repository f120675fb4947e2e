"""The ledger of one log, and the levers beside the caches with their place in it."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from costaudit.contracts.ledger import Ledger, Lever, LeverRow
from costaudit.costing.ledger import SimulatedStep, build_ledger, lever_rows
from costaudit.costing.verdict import spend_grade
from costaudit.levers.levers import propose
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.prompt_caching import PromptCaches
from costaudit.pipeline.semantic.evidence import SemanticResult
from costaudit.pipeline.semantic.section import swept
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress


def ledger_of(
    log: Loaded, semantic: SemanticResult | None, caches: PromptCaches, levers: Sequence[Lever]
) -> Ledger:
    """Build the waterfall; a log without prompts gets no semantic steps."""
    nothing = np.zeros(len(log.requests), np.bool_)
    left = semantic.hits if semantic is not None else nothing
    steps = semantic_steps(semantic, caches) if semantic is not None else []
    return build_ledger(
        log.tariff,
        log.spend.total.total_usd,
        caches.as_is(nothing),
        [*steps, prompt_step(caches, left, nothing)],
        levers,
        log.quality.covered_days,
        spend_grade(log.quality),
    )


def semantic_steps(result: SemanticResult, caches: PromptCaches) -> list[SimulatedStep]:
    """Take out identical questions, then similar ones; what is left cools the provider's cache."""
    exact = pl.Series(result.exact_hits)
    classes = caches.as_is(result.exact_hits)
    steps = [
        SimulatedStep(
            lever="duplicates",
            label="Identical questions",
            section="sweep",
            grade="simulated",
            removed=exact,
            alone_removed=exact,
            classes=classes,
            alone_classes=classes,
        )
    ]
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


def levered(log: Loaded, options: AnalyzeOptions, progress: Progress) -> tuple[LeverRow, ...]:
    """Simulate the caches, which come first, and price the levers on what they leave."""
    levers = propose(log.requests, log.blocks)
    ledger = ledger_of(log, swept(log, options, progress), PromptCaches(log), levers)
    return lever_rows(log.tariff, levers, ledger, log.quality.covered_days)
