"""`analyze` as a library call: from logs to an Audit."""

from collections.abc import Sequence

from costaudit import __version__
from costaudit.contracts.audit import SCHEMA_VERSION, Audit
from costaudit.contracts.run_dir import RunDir
from costaudit.costing.findings import findings
from costaudit.costing.plan import plan
from costaudit.costing.price_table import table_source
from costaudit.costing.verdict import verdict
from costaudit.ingest.run import ingest
from costaudit.pipeline.assumptions import assumptions
from costaudit.pipeline.before_after import ledger_of
from costaudit.pipeline.loaded import Loaded, load
from costaudit.pipeline.prompt_caching import PromptCaches
from costaudit.pipeline.semantic import SemanticResult, semantic_result
from costaudit.pipeline.semantic_run import SemanticRun
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress, SilentProgress
from costaudit.simulate.semantic.thresholds import parse_thresholds


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
    thresholds = parse_thresholds(options.thresholds)
    if not (len(inputs) == 1 and RunDir.is_run(run.path) and inputs[0] == str(run.path)):
        ingest(inputs, run, options.ingest, progress)
    log = load(run, options)
    semantic = _semantic(log, options, thresholds, progress)
    return _audit(log, semantic, options)


def _semantic(
    log: Loaded, options: AnalyzeOptions, thresholds: Sequence[float], progress: Progress
) -> SemanticResult | None:
    """Simulate the semantic cache; None where the log holds no question to compare."""
    if not log.quality.prompt_share:
        return None
    run = SemanticRun(log, options, progress)
    if not run.eligible.any():
        return None
    return semantic_result(run, thresholds, options.max_wrong_share)


def _audit(log: Loaded, semantic: SemanticResult | None, options: AnalyzeOptions) -> Audit:
    caches = PromptCaches(log, show_prompts=options.show_prompts)
    ledger = ledger_of(log, semantic, caches)
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
        plan=plan(ledger, {}, options.efforts),
        findings=findings(log.quality, log.spend, ledger, section, prefix),
        assumptions=assumptions(log, options, semantic=semantic is not None),
    )
