"""Build the ledger of one log, with the levers that are not caches."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from costaudit.contracts.grades import Money
from costaudit.contracts.ledger import Ledger, Lever, LeverRow, Suggestion
from costaudit.costing.ledger import CacheStep, build_ledger
from costaudit.costing.lever_rows import lever_rows
from costaudit.costing.plans.commitments import Commitments, offers_in
from costaudit.costing.plans.effort import efforts_here
from costaudit.costing.plans.worth import Terms
from costaudit.costing.traffic import Traffic
from costaudit.engine.pool import return_memory
from costaudit.ingest.content.tokenizer import Tokenizer
from costaudit.levers.batch import by_flex, with_flex
from costaudit.levers.levers import Proposals, lever_at, propose
from costaudit.pipeline.loaded import Loaded
from costaudit.pipeline.narrow import with_keys
from costaudit.pipeline.prompt_caching import PromptCaches
from costaudit.pipeline.semantic.evidence import SemanticResult
from costaudit.pipeline.semantic.exact import identical_hits
from costaudit.pipeline.semantic.keyed_run import CacheHits
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.pipeline.twins import taught_by, twins_of
from costaudit.progress import Progress
from costaudit.simulate.prefix.rules.rules import assign_rules


def ledger_of(
    log: Loaded,
    semantic: SemanticResult | CacheHits | None,
    caches: PromptCaches,
    levers: Sequence[Lever | Commitments],
    terms: Terms,
) -> Ledger:
    """Return the ledger; a log without prompts gets no semantic steps.

    `semantic` is the result of a sweep, or only the hits of identical questions. The prompts of
    `caches` are released.
    """
    assigned = assign_rules(log.requests, caches.facts.prompts)
    least = pl.Series(assigned.each(lambda rules: rules.min_tokens))
    if isinstance(semantic, SemanticResult):
        steps = semantic_steps(semantic)
    else:
        steps = [] if semantic is None else [duplicates_step(semantic)]
    hits = [one.hits for one in steps if one.hits is not None]
    caches.release([*hits, np.logical_or(*hits)] if len(hits) > 1 else hits)
    return build_ledger(
        log.tariff,
        lambda removed, best: caches.best(removed) if best else caches.as_is(removed),
        [*steps, PROMPT_CACHING, *(_with_minimum(lever, least) for lever in levers)],
        log.month,
        Money(log.spend.total.total_usd, log.quality.spend_grade),
        terms,
    )


def with_commitments(
    levers: Sequence[Lever], options: AnalyzeOptions
) -> Sequence[Lever | Commitments]:
    """Return the levers, and the capacity that may be bought for what they leave."""
    offered: list[Lever | Commitments] = list(levers)
    offered.append(Commitments(offers_in(options.commitments)))
    return offered


def _with_minimum(lever: Lever | Commitments, least: pl.Series) -> Lever | Commitments:
    """Return a lever with the shortest prefix that each request's provider caches."""
    if isinstance(lever, Commitments):
        return lever
    cut = pl.when(pl.col("cuts").is_not_null()).then(pl.lit(least))
    return replace(lever, effect=lever.effect.with_columns(least_read_tokens=cut))


def duplicates_step(found: CacheHits) -> CacheStep:
    """Return the ledger step of a cache for identical questions."""
    return CacheStep(
        lever="duplicates",
        label="Identical questions",
        section="sweep",
        grade="simulated" if found.part == 1 else "estimated",
        hits=found.hits,
        store_usd=found.store_usd,
        saved_bounds=found.bounds,
        right_part=found.part,
    )


def semantic_steps(result: SemanticResult) -> list[CacheStep]:
    """Return the ledger steps of caches for identical and for similar questions.

    Neither is offered if no response cache is safe enough.
    """
    if result.section.recommended_kind == "none":
        return []
    steps = [duplicates_step(result.exact)]
    recommended = result.section.recommended
    if recommended is not None:
        steps.append(
            CacheStep(
                lever="semantic",
                label=f"Similar questions (similarity {recommended:.2f})",
                section="sweep",
                grade="simulated" if result.chosen.part == 1 else "estimated",
                hits=result.chosen.hits,
                store_usd=result.chosen.store_usd,
                embed_usd=result.chosen.embed_usd,
                saved_bounds=result.chosen.bounds,
                right_part=result.chosen.part,
            )
        )
    return steps


PROMPT_CACHING = CacheStep(
    lever="prompt_caching",
    label="Prompt caching",
    section="prefix",
    grade="simulated",
    hits=None,
)


def proposals_of(log: Loaded, options: AnalyzeOptions) -> Proposals:
    """Return the levers, other than caches, that the log supports, and those that need a test."""
    rules = [lever_at(name) for name in options.levers]
    tables = with_keys(log.keys, log.requests, log.blocks) if rules else ()
    own = [rule.propose(*tables) for rule in rules]
    found = propose(log.requests, log.blocks, Tokenizer().count_text, own=own)
    routed, untold = twins_of(log)
    taught = taught_by(log, options)
    found = replace(found, levers=tuple(_cheaper_wait(log, one) for one in found.levers))
    return Proposals(
        (*(one for one in (routed, taught) if one), *found.levers),
        (*found.worth_testing, *((untold,) if untold else ())),
    )


def _cheaper_wait(log: Loaded, lever: Lever) -> Lever:
    """Return a batch lever with the flex tier where that is cheaper, as the log is billed."""
    if lever.lever != "batch":
        return lever
    first = Traffic.logged(log.tariff)
    usd = pl.DataFrame(
        {
            "unit": lever.effect["unit"],
            "batch": first.under(lever.effect).request_usd(),
            "flex": first.under(by_flex(lever)).request_usd(),
        }
    )
    sums = usd.drop_nulls("unit").group_by("unit").sum()
    return with_flex(lever, sums.filter(pl.col("flex") < 0.999 * pl.col("batch"))["unit"].to_list())


def terms_here(
    log: Loaded, caches: PromptCaches, levers: Sequence[Lever], options: AnalyzeOptions
) -> Terms:
    """Return the terms by which steps are judged, with efforts for what does not exist yet."""
    given = options.terms.efforts
    efforts = efforts_here(caches.section(), log.spend.gateway_hits, levers, given)
    return replace(options.terms, efforts=efforts)


def levered(
    log: Loaded, options: AnalyzeOptions, progress: Progress
) -> tuple[tuple[LeverRow, ...], tuple[Suggestion, ...]]:
    """Return the levers, priced on what identical questions and prompt caching leave.

    Nothing is embedded: similar questions need vectors, so only `analyze` includes them.
    """
    proposals = proposals_of(log, options)
    levers = proposals.levers
    log = replace(log, laid_out=log.segments)
    identical = identical_hits(log, options, progress)
    log = log.without_prompts()
    return_memory(cycles=True)
    caches = PromptCaches(log, compare=False)
    return_memory(cycles=True)
    terms = terms_here(log, caches, levers, options)
    offered = with_commitments(levers, options)
    ledger = ledger_of(log, identical, caches, offered, terms)
    rows = lever_rows(log.tariff, offered, ledger, log.month)
    return rows, proposals.worth_testing
