"""`analyze` as a library call: from logs to an Audit."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from costaudit import __version__
from costaudit.contracts.audit import SCHEMA_VERSION, Audit
from costaudit.contracts.run_dir import RunDir
from costaudit.costing.claims import claims, routed
from costaudit.costing.findings import findings
from costaudit.costing.plan import plan
from costaudit.costing.price_table import table_source
from costaudit.costing.verdict import verdict
from costaudit.levers.table import propose
from costaudit.pipeline.assumptions import assumptions
from costaudit.pipeline.before_after import ledger_of
from costaudit.pipeline.loaded import Loaded, ingested
from costaudit.pipeline.prompt_caching import PromptCaches
from costaudit.pipeline.semantic import swept
from costaudit.pipeline.semantic_result import SemanticResult
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.pipeline.uncacheable import uncacheable
from costaudit.progress import Progress, SilentProgress


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


def audit_of(log: Loaded, options: AnalyzeOptions, progress: Progress) -> Audit:
    """Simulate and price a log that is loaded; both kinds of cache at once."""
    _ = log.templates  # found before both want them
    with ThreadPoolExecutor(1) as pool:
        caches = pool.submit(PromptCaches, log, show_prompts=options.show_prompts)
        return _audit(log, swept(log, options, progress), caches.result(), options)


def _audit(
    log: Loaded, semantic: SemanticResult | None, caches: PromptCaches, options: AnalyzeOptions
) -> Audit:
    levers = propose(log.requests, log.blocks)
    ledger = ledger_of(log, semantic, caches, levers)
    routing = next((lever for lever in levers if lever.lever == "routing"), None)
    section, prefix = semantic.section if semantic else None, caches.section()
    return Audit(
        schema_version=SCHEMA_VERSION,
        costaudit_version=__version__,
        prices_source=table_source(),
        show_prompts=options.show_prompts,
        verdict=verdict(log.spend, ledger, log.quality),
        quality=log.quality,
        spend=log.spend,
        ledger=ledger,
        semantic=section,
        prefix=prefix,
        plan=plan(ledger, {lever.lever: lever.change for lever in levers}, options.efforts),
        findings=findings(log.quality, log.spend, ledger, section, prefix),
        assumptions=assumptions(log, options, semantic=semantic is not None),
        claims=claims(ledger, log.spend, section, prefix, routed(log.tariff, routing)),
        uncacheable=uncacheable(log, options.policy)
        if section is None and (log.quality.prompt_share or log.hashed)
        else {},
    )
