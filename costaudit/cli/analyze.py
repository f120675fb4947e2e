"""`costaudit analyze`: everything, in one go."""

from costaudit.cli import options as opt
from costaudit.cli import values


def analyze(
    logs: opt.Logs,
    out: opt.Out = None,
    source: opt.Source = "auto",
    mapping: opt.Mapping = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    strict: opt.Strict = False,
    no_dedupe: opt.NoDedupe = False,
    redact: opt.Redact = "none",
    prices: opt.Prices = None,
    cost_mode: opt.CostMode = "auto",
    invoice_usd: opt.Invoice = "",
    embedder: opt.Embedder = "minilm",
    thresholds: opt.Thresholds = "0.70:0.99:0.01",
    scope: opt.Scope = "tenant,endpoint,model,system,tools",
    key: opt.Key = "conversation",
    ttl: opt.Ttl = "",
    ttl_kind: opt.TtlKind = "fixed",
    max_entries: opt.MaxEntries = None,
    eviction: opt.Eviction = "lru",
    visible_after: opt.VisibleAfter = "response",
    guard: opt.Guard = "",
    max_wrong: opt.MaxWrong = "1%",
    effort_usd: opt.Effort = None,
    show_prompts: opt.ShowPrompts = False,
    format: opt.Format = "terminal",
    seed: opt.Seed = 0,
    quiet: opt.Quiet = False,
    no_color: opt.NoColor = False,
    config: opt.Config = None,
) -> int:
    """Audit a log: run directory, report.html and the verdict.

    Reads the log, prices it, simulates a semantic cache and the provider's prompt cache over it,
    and writes before and after. A second run over the same log reads and embeds nothing anew.
    """
    from costaudit.cli.session import audit_run, ingest_options, semantic_policy
    from costaudit.cli.values import dollars, pairs, share
    from costaudit.costing.plan import check_levers, parse_effort
    from costaudit.pipeline.settings import AnalyzeOptions

    efforts = pairs(effort_usd, "--effort-usd")
    check_levers(efforts)

    wanted = AnalyzeOptions(
        ingest=ingest_options(source, mapping, since, until, where, strict, not no_dedupe, redact),
        policy=semantic_policy(
            embedder, scope, key, ttl, ttl_kind, max_entries, eviction, visible_after, guard
        ),
        thresholds=thresholds,
        max_wrong_share=share(max_wrong, "--max-wrong"),
        prices=prices,
        cost_mode=values.cost_mode(cost_mode),
        invoice_usd=dollars(invoice_usd, "--invoice-usd") if invoice_usd else None,
        efforts={lever: parse_effort(text) for lever, text in efforts.items()},
        show_prompts=show_prompts,
        seed=seed,
    )
    return audit_run(logs, out, wanted, format, quiet=quiet, color=not no_color)
