"""The settings of an audit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from costaudit.answers.traps.signatures import guard
from costaudit.contracts.policies import SemanticPolicy, TtlKind
from costaudit.contracts.spend import Bill, CostMode
from costaudit.costing.plans.commitments import offers_in
from costaudit.costing.plans.effort import LEVERS
from costaudit.costing.plans.nodes import CacheCosts
from costaudit.costing.plans.worth import Terms
from costaudit.costing.prices.invoice import check_currencies
from costaudit.costing.prices.overlay import read_overlay
from costaudit.errors import UsageError
from costaudit.ingest.bills.read_bill import read_bill
from costaudit.ingest.options import IngestOptions
from costaudit.levers.levers import lever_at
from costaudit.simulate.semantic.inverted_file import LEAST_TEXTS
from costaudit.simulate.semantic.pairs import Sizes
from costaudit.simulate.semantic.sweep import CHECKED
from costaudit.simulate.semantic.thresholds import parse_thresholds


@dataclass(frozen=True)
class AnalyzeOptions:
    """Settings of every stage of an audit."""

    ingest: IngestOptions = field(default_factory=IngestOptions)
    policy: SemanticPolicy = field(default_factory=lambda: SemanticPolicy(1.0))  # but its threshold
    thresholds: str = "0.70:0.99:0.01"
    max_wrong_share: float = 0.01  # of all requests, upper 95 % bound
    wrong_cost_usd: Decimal = Decimal(0)  # per wrong answer that a cache serves
    prices: Path | None = None  # the user's own rates
    cost_mode: CostMode = "auto"
    invoice_usd: Decimal | None = None
    invoice: tuple[str, ...] = ()  # cost reports and exports
    invoice_rates: Mapping[str, Decimal] = field(default_factory=dict)  # currency → dollars
    levers: tuple[str, ...] = ()  # the user's own, in addition to the built-in ones
    commitments: Path | None = None  # offers of capacity; None: the published ones
    terms: Terms = field(default_factory=Terms)  # efforts, horizon and order of the plan
    machines: CacheCosts = field(default_factory=CacheCosts)  # for a response cache
    show_prompts: bool = False
    seed: int = 0
    approximate: bool = False  # search only a part of the texts if there are many
    approximate_from: int = LEAST_TEXTS  # distinct texts; with fewer, the sweep is exact
    checked_requests: int = CHECKED  # first requests, which measure the error
    sizes: Sizes = field(default_factory=Sizes)  # of the work of a sweep
    sweep_bytes: float | None = None  # memory that a sweep may take; None: what is free
    deadline_s: float | None = None  # time.monotonic() when the audit should end; None: any time
    lifetimes: tuple[tuple[float | None, TtlKind], ...] = ()  # further TTLs to sweep, in seconds

    @cached_property
    def bill(self) -> Bill | None:
        """The invoice's files, read once; raises InputError for a file that can't be read."""
        return read_bill(self.invoice) if self.invoice else None

    def check(self) -> None:
        """Raise UsageError or InputError, before a log is read, for settings that can't work."""
        parse_thresholds(self.thresholds)
        self.machines.check()
        self.terms.check(LEVERS)
        guard(self.policy.guard, ())
        for name in self.levers:
            lever_at(name)
        if self.bill is not None:
            if self.invoice_usd is not None:
                raise UsageError(
                    "--invoice and --invoice-usd exclude each other.",
                    hint="Leave out --invoice-usd: the files say what was billed.",
                )
            check_currencies(self.bill, self.invoice_rates)
        if self.prices is not None:
            read_overlay(self.prices)
        offers_in(self.commitments)
