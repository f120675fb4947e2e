"""Add up what a run's calls cost, part by part on any engine: memory doesn't grow with the log."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import polars as pl

from costaudit.contracts.month import MonthFacts
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.contracts.run_dir import RunDir, column
from costaudit.contracts.spend import Spend
from costaudit.costing.months.times import Times
from costaudit.costing.prices.overlay import read_overlay
from costaudit.costing.quality import covered_days
from costaudit.costing.spend import LogFacts, spend_of_log
from costaudit.costing.spending.parts import Part, PriceTerms, with_verdict
from costaudit.costing.spending.tally import Groups, Stretch
from costaudit.engine.engine import Engine, engine_named
from costaudit.pipeline.loaded import (
    SPEND_COLUMNS,
    has_tables,
    load,
    made,
    nothing_left,
    spent_by,
)
from costaudit.pipeline.memory import PREFIX, say_need
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import Progress

R = TypeVar("R")
ROWS = 1 << 18  # calls that a worker reads at once
_FIRST_LOOK = ("ts", "served_by", "logged_cost")
_COLUMNS = (
    "request_id", "ts", "provider", "model", "service_tier", "is_batch", "region", "endpoint",
    "tenant", "user", "conversation", "session", "agent", "skill", "branch", "cache_options",
    *TOKEN_CLASSES, "cache_write_other_ttl", "billed_units", "usage_source", "usage_convention",
    "logged_cost", "cost_unit", "latency_ms", "status", "served_by", "source_file",
)  # fmt: skip


@dataclass(frozen=True)
class _Work(Generic[R]):
    """What a worker does with a part of a run: its calls, or the first row of them."""

    run: Path
    columns: tuple[str, ...]
    terms: PriceTerms
    rows: int
    function: Callable[[Stretch, Groups], R]
    groups: Groups

    def __call__(self, part: int | pl.DataFrame) -> R:
        calls = part if isinstance(part, pl.DataFrame) else self.read(part)
        return self.function(Part(calls, self.terms), self.groups)

    def read(self, first: int) -> pl.DataFrame:
        return RunDir(self.run).request_rows(self.columns, first, self.rows)


@dataclass(frozen=True)
class StoredLog:
    """The calls of a run, which workers read and price in parts."""

    run: RunDir
    engine: Engine
    calls: int
    terms: PriceTerms
    progress: Progress
    rows: int = ROWS  # of a part
    columns: tuple[str, ...] = _COLUMNS

    def map(self, function: Callable[[Stretch, Groups], R], groups: Groups) -> Iterator[R]:
        """Yield `function` of each part of the log and its groups; both must be picklable."""
        work = _Work(self.run.path, self.columns, self.terms, self.rows, function, groups)
        firsts = range(0, self.calls, self.rows)
        parts = (work.read(first) if self.engine.is_apart else first for first in firsts)
        for found in self.engine.map(work, parts):
            self.progress.advance(1)
            yield found


def spend_of_run(
    inputs: Sequence[str],
    run: RunDir,
    options: AnalyzeOptions,
    progress: Progress,
    by: Sequence[str] | None = None,
    rows: int = ROWS,
) -> tuple[Spend, MonthFacts]:
    """Ingest logs, or take a run that is its own input; return what they cost, and their month.

    `by` are names of SPEND_COLUMNS; rows have their cost per month without it. The engine of
    `options.ingest` reads and prices the calls, `rows` at once.
    """
    made(inputs, run, options, progress)
    manifest = run.manifest()
    if has_tables(manifest):
        say_need(PREFIX, run, progress)  # all is loaded there, too
        log = load(run, options)
        return log.spend if by is None else spent_by(log, options, by), log.month.facts
    calls = run.request_count()
    if not calls:
        raise nothing_left(manifest, run.skips())
    user = read_overlay(options.prices) if options.prices else None
    with closing(engine_named(options.ingest.engine, options.ingest.workers)) as engine:
        every = StoredLog(run, engine, calls, PriceTerms(user, options.cost_mode), progress, rows)
        progress.start("price", None, "parts")
        looks = list(replace(every, columns=_FIRST_LOOK).map(_first_look, {}))
        times = Times.together(one for one, _ in looks)
        terms = replace(every.terms, as_of=times.last_day)
        if any(has_costs for _, has_costs in looks):
            terms = with_verdict(replace(every, terms=terms), terms)
        month = times.month(covered_days(times.first, times.last), options.seed)
        facts = LogFacts(
            times=times,
            month=month if by is None else None,
            terms=terms,
            merged=run.merged(),
            ingest=manifest.ingest,
            bill=options.bill,
            bill_rates=options.invoice_rates,
            invoice_usd=options.invoice_usd,
        )
        groups = None if by is None else {name: SPEND_COLUMNS[name] for name in by}
        found = spend_of_log(replace(every, terms=terms), facts, groups)
        progress.finish(f"{calls:,} requests")
    return found, month.facts


def _first_look(stretch: Stretch, _: Groups) -> tuple[Times, bool]:
    """Return when calls were made, and whether any has a logged cost."""
    has_costs = not column(stretch.requests, "logged_cost").is_null().all()
    return Times.of(stretch.requests), has_costs
