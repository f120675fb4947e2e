"""`analyze` as a library call: from logs to an Audit, with what it takes for granted."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from costaudit import __version__
from costaudit.contracts.audit import (
    SCHEMA_VERSION,
    Assumption,
    Audit,
    covered,
    only_a_rate,
    write_audit,
)
from costaudit.contracts.policies import SemanticPolicy
from costaudit.contracts.run_dir import RunDir, atomic_write, check_writable
from costaudit.costing.claims import claims, routed
from costaudit.costing.findings import findings
from costaudit.costing.ledger import MONTH_DAYS, lever_rows
from costaudit.costing.plan import effort_assumption, plan, store_assumption
from costaudit.costing.prices.price_table import table_source
from costaudit.costing.verdict import verdict
from costaudit.levers.routing import simple_requests
from costaudit.pipeline.drill import drilled
from costaudit.pipeline.ledger import ledger_of, proposals_of
from costaudit.pipeline.loaded import Loaded, ingested, uncacheable
from costaudit.pipeline.prompt_caching import PromptCaches
from costaudit.pipeline.semantic.evidence import SemanticResult
from costaudit.pipeline.semantic.keyed_run import WARM_UP_SHARE
from costaudit.pipeline.semantic.section import swept
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress, SilentProgress


def assumptions(log: Loaded, options: AnalyzeOptions, *, semantic: bool) -> tuple[Assumption, ...]:
    """List what the figures rest on; those of the semantic cache only where it was simulated."""
    return (
        Assumption(
            "prices",
            "list prices of each request's own date",
            "your contract may differ",
            "--prices",
        ),
        Assumption(
            "month",
            f"{MONTH_DAYS} days; the log covers {covered(log.quality)}",
            only_a_rate(log.quality)
            or "traffic outside the log is taken to be like the traffic in it",
            "--since, --until",
        ),
        *(_of_the_cache(options.policy, options.max_wrong_share) if semantic else ()),
        effort_assumption(),
    )


def _of_the_cache(policy: SemanticPolicy, max_wrong_share: float) -> tuple[Assumption, ...]:
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
            f"at most {max_wrong_share:.2%} of all requests, at the upper 95 % bound",
            "the recommended threshold keeps to it",
            "--max-wrong",
        ),
        Assumption(
            "warm-up",
            f"the first {WARM_UP_SHARE:.0%} of eligible requests are left out of the steady state",
            "an empty cache can't hit",
            "",
        ),
        store_assumption(),
    )


def analyze(
    inputs: Sequence[str],
    run: RunDir,
    options: AnalyzeOptions,
    progress: Progress | None = None,
) -> Audit:
    """Ingest logs into a run directory, simulate and price them, and put the audit together.

    `inputs` may be the run directory itself, which is then read as it is.
    """
    progress = progress or SilentProgress()
    log = ingested(inputs, run, options, progress)
    return audit_of(log, options, progress)


def analyze_and_write(
    inputs: Sequence[str], run: RunDir, options: AnalyzeOptions, progress: Progress
) -> Audit:
    """Do what `analyze` does, and write audit.json and report.html into the run directory."""
    for path in (run.audit_path, run.report_path):
        check_writable(path)
    audit = analyze(inputs, run, options, progress)
    progress.start("report", None, "files")
    write_audit(audit, run.audit_path)
    write_report(audit, run)
    progress.finish(str(run.report_path))
    return audit


def write_report(audit: Audit, run: RunDir) -> None:
    """Write report.html whole or not at all."""
    from costaudit.report.reporters import render

    with atomic_write(run.report_path) as part:
        part.write_bytes(render(audit, "html"))


def audit_of(log: Loaded, options: AnalyzeOptions, progress: Progress) -> Audit:
    """Simulate and price a log that is loaded; both kinds of cache at once."""
    _ = log.templates  # found before both want them
    with ThreadPoolExecutor(1) as pool:
        caches = pool.submit(PromptCaches, log, show_prompts=options.show_prompts)
        return _audit(log, swept(log, options, progress), caches.result(), options)


def _audit(
    log: Loaded, semantic: SemanticResult | None, caches: PromptCaches, options: AnalyzeOptions
) -> Audit:
    proposals = proposals_of(log, options)
    levers = proposals.levers
    simple = simple_requests(log.requests, log.blocks)
    ledger = ledger_of(log, semantic, caches, levers)
    section, prefix = semantic.section if semantic else None, caches.section()
    names = tuple(one.template_id for one in prefix.templates)
    return Audit(
        schema_version=SCHEMA_VERSION,
        costaudit_version=__version__,
        prices_source=table_source(),
        show_prompts=options.show_prompts,
        verdict=verdict(log.spend, ledger, log.quality),
        quality=log.quality,
        spend=drilled(log, options, caches.facts.template, names),
        ledger=ledger,
        semantic=section,
        prefix=prefix,
        plan=plan(ledger, {lever.lever: lever.change for lever in levers}, options.efforts),
        findings=findings(log.quality, log.spend, ledger, section, prefix, levers),
        levers=lever_rows(log.tariff, levers, ledger, log.quality.covered_days),
        worth_testing=proposals.worth_testing,
        assumptions=assumptions(log, options, semantic=semantic is not None),
        claims=claims(
            ledger,
            log.spend,
            section,
            prefix,
            routed(log.tariff, simple),
        ),
        uncacheable=uncacheable(log, options.policy)
        if section is None and (log.quality.prompt_share or log.hashed)
        else {},
    )
