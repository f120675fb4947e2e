"""`costaudit analyze`: everything, in one go."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from costaudit.cli import options as opt
from costaudit.cli import values

if TYPE_CHECKING:
    from costaudit.pipeline.settings import AnalyzeOptions


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
    invoice: opt.InvoiceFiles = None,
    invoice_rate: opt.InvoiceRates = None,
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
    lever: opt.Levers = None,
    effort_usd: opt.Effort = None,
    horizon: opt.Horizon = 12,
    order: opt.Order = "npv",
    store_usd: opt.StoreUsd = "",
    node: opt.Node = "",
    embed_usd: opt.EmbedUsd = "",
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
    asked = dict(locals())  # the options by their names, as the library passes them too
    from costaudit.cli.session import audit_run

    wanted = options_of(asked)
    return audit_run(logs, out, wanted, format, quiet=quiet, color=not no_color)


def options_of(asked: Mapping[str, Any]) -> "AnalyzeOptions":
    """Return the settings of an audit from the texts of its options, by their names here."""
    from costaudit.cli.session import EntryLife, LogPart, ingest_options, semantic_policy
    from costaudit.cli.values import dollars, pairs, share
    from costaudit.costing.plans.effort import check_levers, parse_effort
    from costaudit.costing.plans.nodes import CacheCosts
    from costaudit.costing.plans.worth import Terms
    from costaudit.pipeline.settings import AnalyzeOptions

    efforts = pairs(asked["effort_usd"], "--effort-usd")
    check_levers(efforts, asked["lever"] or ())
    billed = asked["invoice_usd"]
    return AnalyzeOptions(
        ingest=ingest_options(
            LogPart(asked["since"], asked["until"], asked["where"]),
            asked["source"],
            asked["mapping"],
            strict=asked["strict"],
            dedupe=not asked["no_dedupe"],
            redact=asked["redact"],
        ),
        policy=semantic_policy(
            asked["embedder"],
            asked["scope"],
            asked["key"],
            EntryLife(
                asked["ttl"],
                asked["ttl_kind"],
                asked["max_entries"],
                asked["eviction"],
                asked["visible_after"],
            ),
            asked["guard"],
        ),
        thresholds=asked["thresholds"],
        max_wrong_share=share(asked["max_wrong"], "--max-wrong"),
        prices=asked["prices"],
        cost_mode=values.cost_mode(asked["cost_mode"]),
        invoice_usd=dollars(billed, "--invoice-usd") if billed else None,
        invoice=tuple(asked["invoice"] or ()),
        invoice_rates=values.rates(asked["invoice_rate"]),
        levers=tuple(asked["lever"] or ()),
        terms=Terms(
            asked["horizon"],
            asked["order"],
            {lever: parse_effort(text) for lever, text in efforts.items()},
        ),
        machines=CacheCosts(
            store_usd=_given(asked, "store_usd"),
            node=asked["node"],
            embed_usd=_given(asked, "embed_usd"),
        ),
        show_prompts=asked["show_prompts"],
        seed=asked["seed"],
    )


def _given(asked: Mapping[str, Any], name: str) -> Decimal | None:
    """Read what machines cost a month; 0 where they are there already."""
    text = asked[name]
    return values.dollars(text, f"--{name.replace('_', '-')}", zero=True) if text else None
