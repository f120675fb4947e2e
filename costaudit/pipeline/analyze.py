"""`analyze` as a library call: from logs to an Audit with its assumptions."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl

from costaudit import __version__
from costaudit.contracts.audit import (
    SCHEMA_VERSION,
    Assumption,
    Audit,
    write_audit,
)
from costaudit.contracts.run_dir import RunDir, atomic_write, check_writable
from costaudit.contracts.semantic import ClusterCentres
from costaudit.costing.claims import claims, routed
from costaudit.costing.findings import Evidence, findings
from costaudit.costing.lever_rows import lever_rows
from costaudit.costing.plans.effort import effort_assumption
from costaudit.costing.plans.nodes import store_assumption
from costaudit.costing.plans.plan import plan
from costaudit.costing.plans.worth import horizon_assumption
from costaudit.costing.prices.price_table import table_source
from costaudit.costing.verdict import verdict
from costaudit.engine.pool import return_memory
from costaudit.levers.levers import Proposals
from costaudit.levers.routing import simple_requests
from costaudit.pipeline.drill import drilled
from costaudit.pipeline.ledger import ledger_of, proposals_of, terms_here, with_commitments
from costaudit.pipeline.loaded import Loaded, ingested, uncacheable
from costaudit.pipeline.prompt_caching import PromptCaches
from costaudit.pipeline.semantic.evidence import SemanticResult
from costaudit.pipeline.semantic.keyed_run import WARM_UP_SHARE
from costaudit.pipeline.semantic.section import swept
from costaudit.pipeline.semantic.store import write_centres
from costaudit.pipeline.sessions.section import agents_sessions, names_sessions
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress, SilentProgress

AT_ONCE = 200_000  # most requests of which both kinds of cache are in memory at once


def assumptions(log: Loaded, options: AnalyzeOptions, *, semantic: bool) -> tuple[Assumption, ...]:
    """Return the assumptions behind the figures; `semantic` includes the semantic cache's."""
    return (
        Assumption(
            "prices",
            "list prices of each request's own date",
            "your contract may differ",
            "--prices",
        ),
        Assumption(
            "month",
            f"{log.month.facts.days:.2f} days"
            if log.month.facts.is_month
            else "none: the figures are those of the log",
            " ".join(log.month.facts.reasons)
            or "each weekday and hour of it is like those in the log",
            "--since, --until",
        ),
        *(_of_the_cache(options) if semantic else ()),
        effort_assumption(),
        horizon_assumption(options.terms),
    )


def _of_the_cache(options: AnalyzeOptions) -> tuple[Assumption, ...]:
    policy, max_wrong_share = options.policy, options.max_wrong_share
    ttl = "none" if policy.ttl_s is None else f"{policy.ttl_s:g} s, {policy.ttl_kind}"
    return (
        Assumption(
            "scope",
            " + ".join(policy.scope) or "everything",
            "an answer is shared only where all of these are equal",
            "--scope",
        ),
        Assumption(
            "compared text",
            {
                "last_user": "the last user message",
                "conversation": "the last user message, where the messages before it are equal",
                "full": "the whole message list",
                "prompt": "the whole prompt, system text first",
            }[policy.key],
            "what a cache embeds decides what it takes for the same question",
            "--key",
        ),
        Assumption("TTL", ttl, "an older answer may be outdated", "--ttl, --ttl-kind"),
        Assumption(
            "wrong answers",
            f"at most {max_wrong_share:.2%} of all requests, at the upper 95% bound",
            "the recommended threshold keeps to it",
            "--max-wrong",
        ),
        Assumption(
            "warm-up",
            f"the first {WARM_UP_SHARE:.0%} of eligible requests are left out of the steady state",
            "an empty cache can't hit",
            "",
        ),
        store_assumption(options.machines),
    )


def analyze(
    inputs: Sequence[str],
    run: RunDir,
    options: AnalyzeOptions,
    progress: Progress | None = None,
) -> Audit:
    """Ingest logs into a run directory, simulate and price them, and return the audit.

    If `inputs` is the run directory itself, it is read as it is.
    """
    progress = progress or SilentProgress()
    return audit_of(ingested(inputs, run, options, progress), options, progress)


def analyze_and_write(
    inputs: Sequence[str], run: RunDir, options: AnalyzeOptions, progress: Progress
) -> Audit:
    """Run `analyze`, and write its results into the run directory.

    These are audit.json, report.html and, for `compare`, the centres of the clusters.
    """
    for path in (run.audit_path, run.report_path):
        check_writable(path)
    audit, centres = _audit_and_centres(  # the only reference to the log, so that it can be freed
        ingested(inputs, run, options, progress), options, progress
    )
    progress.start("report", None, "files")
    write_centres(centres, run)
    write_audit(audit, run.audit_path)
    write_report(audit, run)
    progress.finish(str(run.report_path))
    return audit


def write_report(audit: Audit, run: RunDir) -> None:
    """Write report.html completely or not at all."""
    from costaudit.report.reporters import render

    with atomic_write(run.report_path) as part:
        part.write_bytes(render(audit, "html"))


def audit_of(
    log: Loaded, options: AnalyzeOptions, progress: Progress, at_once: int = AT_ONCE
) -> Audit:
    """Return the audit of a loaded log.

    Logs with up to `at_once` requests simulate both kinds of cache at the same time; larger ones
    free what one stage needs before the next. The audit is the same.
    """
    return _audit_and_centres(log, options, progress, at_once)[0]


def _audit_and_centres(
    log: Loaded, options: AnalyzeOptions, progress: Progress, at_once: int = AT_ONCE
) -> tuple[Audit, ClusterCentres | None]:
    _ = log.templates  # compute once, before two threads need them
    if len(log.requests) > at_once:
        semantic = swept(log, options, progress)
        return_memory(cycles=True)
        proposed = _proposed(log, semantic, options)  # before the caches, which need most memory
        if not names_sessions(log):
            log = log.without_prompts("answer_id")
        return_memory(cycles=True)
        caches = PromptCaches(log, show_prompts=options.show_prompts)
        audit = _audit(log, semantic, caches, proposed, options)
    else:
        with ThreadPoolExecutor(1) as pool:
            later = pool.submit(PromptCaches, log, show_prompts=options.show_prompts)
            semantic = swept(log, options, progress)
            audit = _audit(
                log, semantic, later.result(), _proposed(log, semantic, options), options
            )
    return audit, semantic.centres if semantic else None


@dataclass(frozen=True)
class _Proposed:
    """What is found in the prompts, beside caches."""

    proposals: Proposals
    simple: pl.DataFrame | None  # see simple_requests
    uncacheable: dict[str, int]  # requests by reason, if there is no semantic cache


def _proposed(log: Loaded, semantic: SemanticResult | None, options: AnalyzeOptions) -> _Proposed:
    has_prompts = bool(log.quality.prompt_share) or log.hashed
    return _Proposed(
        proposals_of(log, options),
        simple_requests(log.requests, log.blocks),
        uncacheable(log, options.policy) if semantic is None and has_prompts else {},
    )


def _audit(
    log: Loaded,
    semantic: SemanticResult | None,
    caches: PromptCaches,
    proposed: _Proposed,
    options: AnalyzeOptions,
) -> Audit:
    proposals = proposed.proposals
    levers = proposals.levers
    sessions = agents_sessions(log, caches.facts.prompts, options.show_prompts)
    terms = terms_here(log, caches, levers, options)
    offered = with_commitments(levers, options)
    ledger = ledger_of(log, semantic, caches, offered, terms)
    section, prefix = semantic.section if semantic else None, caches.section()
    return Audit(
        schema_version=SCHEMA_VERSION,
        costaudit_version=__version__,
        prices_source=table_source(),
        show_prompts=options.show_prompts,
        verdict=verdict(log.spend, ledger, log.quality, log.month.facts),
        month=log.month.facts,
        quality=log.quality,
        spend=drilled(log, caches.template, caches.names),
        ledger=ledger,
        semantic=section,
        prefix=prefix,
        plan=plan(ledger, {lever.lever: lever.change for lever in levers}, terms, log.month.facts),
        findings=findings(
            Evidence(log.quality, log.spend, ledger, section, prefix, log.month.facts), levers
        ),
        levers=lever_rows(log.tariff, offered, ledger, log.month),
        worth_testing=proposals.worth_testing,
        assumptions=assumptions(log, options, semantic=semantic is not None),
        claims=claims(
            ledger,
            log.spend,
            section,
            prefix,
            routed(log.tariff, proposed.simple),
        ),
        sessions=sessions,
        uncacheable=proposed.uncacheable,
    )
