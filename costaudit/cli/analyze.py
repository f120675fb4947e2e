"""`costaudit analyze`: the whole audit."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from costaudit.cli import options as opt
from costaudit.cli import values

if TYPE_CHECKING:
    from costaudit.costing.plans.nodes import CacheCosts
    from costaudit.costing.plans.worth import Terms
    from costaudit.pipeline.settings import AnalyzeOptions


@dataclass(frozen=True)
class Asked:
    """The options of `costaudit analyze` as typed, one field each.

    The library's settings have the same names.
    """

    source: str = "auto"
    mapping: Sequence[str] | None = None
    since: str = ""
    until: str = ""
    where: Sequence[str] | None = None
    strict: bool = False
    no_dedupe: bool = False
    redact: str = "none"
    engine: str = "pool"
    prices: Path | None = None
    cost_mode: str = "auto"
    invoice_usd: str = ""
    invoice: Sequence[str] | None = None
    invoice_rate: Sequence[str] | None = None
    embedder: str = "minilm"
    thresholds: str = "0.70:0.99:0.01"
    scope: str = opt.SCOPE
    key: str = "conversation"
    ttl: str = ""
    ttl_kind: str = "fixed"
    max_entries: int | None = None
    eviction: str = "lru"
    visible_after: str = "response"
    guard: str = ""
    max_wrong: str = "1%"
    lever: Sequence[str] | None = None
    commitments: Path | None = None
    effort_usd: Sequence[str] | None = None
    horizon: int = 12
    order: str = "npv"
    store_usd: str = ""
    node: str = ""
    embed_usd: str = ""
    budget: str = ""
    show_prompts: bool = False
    seed: int = 0

    def options(self) -> "AnalyzeOptions":
        """Return the checked settings; raises UsageError or InputError."""
        from costaudit.cli.session import EntryLife, LogPart, ingest_options, semantic_policy
        from costaudit.cli.values import dollars, share
        from costaudit.engine.engine import check_engine
        from costaudit.pipeline.settings import AnalyzeOptions

        life = EntryLife(
            self.ttl, self.ttl_kind, self.max_entries, self.eviction, self.visible_after
        )
        reading = ingest_options(
            LogPart(self.since, self.until, self.where),
            self.source,
            self.mapping,
            strict=self.strict,
            dedupe=not self.no_dedupe,
            redact=self.redact,
        )
        return AnalyzeOptions(
            ingest=replace(reading, engine=check_engine(self.engine)),
            policy=semantic_policy(self.embedder, self.scope, self.key, life, self.guard),
            thresholds=self.thresholds,
            max_wrong_share=share(self.max_wrong, "--max-wrong"),
            prices=self.prices,
            cost_mode=values.cost_mode(self.cost_mode),
            invoice_usd=dollars(self.invoice_usd, "--invoice-usd") if self.invoice_usd else None,
            invoice=tuple(self.invoice or ()),
            invoice_rates=values.rates(self.invoice_rate),
            levers=tuple(self.lever or ()),
            commitments=self.commitments,
            terms=self._terms(),
            machines=self._machines(),
            show_prompts=self.show_prompts,
            seed=self.seed,
            deadline_s=_deadline_s(self.budget),
        )

    def _terms(self) -> "Terms":
        from costaudit.costing.plans.effort import check_levers, parse_effort
        from costaudit.costing.plans.worth import Terms

        efforts = values.pairs(self.effort_usd, "--effort-usd")
        check_levers(efforts, self.lever or ())
        parsed = {lever: parse_effort(text) for lever, text in efforts.items()}
        return Terms(self.horizon, self.order, parsed)

    def _machines(self) -> "CacheCosts":
        from costaudit.costing.plans.nodes import CacheCosts

        return CacheCosts(
            store_usd=_monthly(self.store_usd, "--store-usd"),
            node=self.node,
            embed_usd=_monthly(self.embed_usd, "--embed-usd"),
        )


def _deadline_s(budget: str) -> float | None:
    """Return when an audit that begins now should end, as by time.monotonic()."""
    seconds = values.duration_s(budget, "A budget")
    return None if seconds is None else time.monotonic() + seconds


def _monthly(text: str, option: str) -> Decimal | None:
    """Return what machines cost a month; 0 if they exist already, None if not set."""
    return values.dollars(text, option, zero=True) if text else None


def analyze(
    logs: opt.Logs,
    out: opt.Out = None,
    source: opt.Source = Asked.source,
    mapping: opt.Mapping = None,
    since: opt.Since = "",
    until: opt.Until = "",
    where: opt.Where = None,
    strict: opt.Strict = False,
    no_dedupe: opt.NoDedupe = False,
    redact: opt.Redact = Asked.redact,
    engine: opt.Engine = Asked.engine,
    prices: opt.Prices = None,
    cost_mode: opt.CostMode = Asked.cost_mode,
    invoice_usd: opt.Invoice = "",
    invoice: opt.InvoiceFiles = None,
    invoice_rate: opt.InvoiceRates = None,
    embedder: opt.Embedder = Asked.embedder,
    thresholds: opt.Thresholds = Asked.thresholds,
    scope: opt.Scope = Asked.scope,
    key: opt.Key = Asked.key,
    ttl: opt.Ttl = "",
    ttl_kind: opt.TtlKind = Asked.ttl_kind,
    max_entries: opt.MaxEntries = None,
    eviction: opt.Eviction = Asked.eviction,
    visible_after: opt.VisibleAfter = Asked.visible_after,
    guard: opt.Guard = "",
    max_wrong: opt.MaxWrong = Asked.max_wrong,
    lever: opt.Levers = None,
    commitments: opt.Commitments = None,
    effort_usd: opt.Effort = None,
    horizon: opt.Horizon = Asked.horizon,
    order: opt.Order = Asked.order,
    store_usd: opt.StoreUsd = "",
    node: opt.Node = "",
    embed_usd: opt.EmbedUsd = "",
    budget: opt.Budget = "",
    show_prompts: opt.ShowPrompts = False,
    format: opt.Format = "terminal",
    seed: opt.Seed = Asked.seed,
    quiet: opt.Quiet = False,
    no_color: opt.NoColor = False,
    config: opt.Config = None,
) -> int:
    """Audit a log: run directory, report.html and the verdict.

    Reads the log, prices it, simulates a semantic cache and the provider's prompt cache, and writes
    the cost before and after. A second run over the same log reads and embeds nothing again.
    """
    from costaudit.cli.session import audit_run

    asked = Asked(
        source=source,
        mapping=mapping,
        since=since,
        until=until,
        where=where,
        strict=strict,
        no_dedupe=no_dedupe,
        redact=redact,
        engine=engine,
        prices=prices,
        cost_mode=cost_mode,
        invoice_usd=invoice_usd,
        invoice=invoice,
        invoice_rate=invoice_rate,
        embedder=embedder,
        thresholds=thresholds,
        scope=scope,
        key=key,
        ttl=ttl,
        ttl_kind=ttl_kind,
        max_entries=max_entries,
        eviction=eviction,
        visible_after=visible_after,
        guard=guard,
        max_wrong=max_wrong,
        lever=lever,
        commitments=commitments,
        effort_usd=effort_usd,
        horizon=horizon,
        order=order,
        store_usd=store_usd,
        node=node,
        embed_usd=embed_usd,
        budget=budget,
        show_prompts=show_prompts,
        seed=seed,
    )
    return audit_run(logs, out, asked.options(), format, quiet=quiet, color=not no_color)
