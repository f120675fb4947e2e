"""Break spend down by endpoint, tenant, model, day and hour, or by other groups."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import polars as pl

from costaudit.contracts.grades import PER_MTOK, Pricing
from costaudit.contracts.manifest import IngestCounts
from costaudit.contracts.requests import INPUT_CLASSES, TOKEN_CLASSES
from costaudit.contracts.spend import (
    Bill,
    CostBreakdown,
    CostMode,
    DailyRow,
    ModelPrice,
    Spend,
    SpendRow,
)
from costaudit.costing.cost import added, billed_classes, plain, without_rate
from costaudit.costing.counting import counting
from costaudit.costing.groups.latency import Ints
from costaudit.costing.groups.ranks import RANKED
from costaudit.costing.logged import basis, ratio_note
from costaudit.costing.months.month import Month
from costaudit.costing.months.times import Times
from costaudit.costing.prices.invoice import reconciled
from costaudit.costing.prices.unused import Billed, unused_entries
from costaudit.costing.spending.parts import PriceTerms
from costaudit.costing.spending.rows import Details, Shown, shown
from costaudit.costing.spending.tally import Groups, Log, Priced, Stretch, Tally, tally, together

R = TypeVar("R")
GROUPS: dict[str, pl.Expr | pl.Series] = {
    "endpoint": pl.col("endpoint"),
    "tenant": pl.col("tenant"),
    "model": pl.col("model"),
    "day": pl.col("ts").dt.date(),
    "hour": pl.col("ts").dt.hour(),
}
IF_LOGGED = {"agent": pl.col("agent"), **RANKED}  # groupings that only some logs have; agents have
# the application's own names
ROWS = 1 << 19  # calls that are added up at once


@dataclass(frozen=True)
class Whole:
    """A log in memory, or rows of it, whose sums are made in parts."""

    calls: Priced
    rows: Ints | None = None  # None: all

    def map(self, function: Callable[[Stretch, Groups], R], groups: Groups) -> Iterator[R]:
        """Yield `function` of each part of the log and its groups, aligned with its rows."""
        count = len(self.calls.requests) if self.rows is None else len(self.rows)
        for first in range(0, max(count, 1), ROWS):
            here = slice(first, first + ROWS)
            own = {
                name: one[here] if isinstance(one, pl.Series) else one
                for name, one in groups.items()
            }
            yield function(self.calls.part(here if self.rows is None else self.rows[here]), own)


def spend(
    requests: pl.DataFrame,
    pricing: Pricing,
    cost_mode: CostMode = "auto",
    invoice_usd: Decimal | None = None,
    groups: Groups = GROUPS,
) -> Spend:
    """Return what the log cost, by each grouping (see `spend_of`).

    `pricing` is aligned with `requests`.
    """
    counted = basis(requests, billed_classes(requests), pricing, cost_mode)
    log = Whole(Priced(requests, pricing, counted))
    return spend_of(log, groups, cost_mode, invoice_usd)


@dataclass(frozen=True)
class LogFacts:
    """What is known of a log besides its calls, for its spend."""

    times: Times
    month: Month | None  # None: rows have no month
    terms: PriceTerms
    merged: pl.DataFrame  # MERGED
    ingest: IngestCounts
    bill: Bill | None = None
    bill_rates: Mapping[str, Decimal] = field(default_factory=dict)  # currency → dollars
    invoice_usd: Decimal | None = None


def spend_of_log(log: Log, facts: LogFacts, by: Groups | None = None) -> Spend:
    """Return what a log cost, compared with its invoice; and what was counted once or not at all.

    `by` are the groupings, by default GROUPS and those IF_LOGGED.
    """
    terms = facts.terms
    groups = {**GROUPS, **IF_LOGGED} if by is None else by
    optional = IF_LOGGED if by is None else ()
    found = spend_of(log, groups, terms.mode, facts.invoice_usd, facts.month, optional)
    if facts.bill is not None:
        partial_days = facts.times.partial_days()
        found = reconciled(found, facts.bill, facts.bill_rates, partial_days)
    unused = unused_entries(log.map(_billed, {}), terms.prices) if terms.prices else ()
    counted = counting(log, facts.merged, facts.ingest, terms)
    return replace(found, counting=counted, unused_prices=unused)


def _billed(stretch: Stretch, _: Groups) -> Billed:
    return Billed.of(stretch.requests)


def spend_of(
    log: Log,
    groups: Groups = GROUPS,
    cost_mode: CostMode = "auto",
    invoice_usd: Decimal | None = None,
    month: Month | None = None,
    optional: Collection[str] = (),
) -> Spend:
    """Return what the log cost, by each grouping; calls served by a gateway's cache are left out.

    Groups after the TOP most expensive are one row, `(other)`. With `month`, rows of GROUPS other
    than days and hours have their cost per month. `optional` groupings are left out if no call
    belongs to a group, and RANKED ones with fewer than FEWEST members. Memory grows with the
    groups, not with the calls.
    """
    sums = together(log.map(tally, groups))
    every = [one for found, _ in sums.groups(sums.table("provider")).values() for one in found]
    total = added(every, sums.pricing.rates_by_id)
    rows = shown(sums, groups, month, optional)
    details = Details(log, groups, rows, sums.least_latency, month)
    return Spend(
        total=total,
        cost_mode=cost_mode,
        logged_usd=plain(sum((one.logged_usd for one in every), Decimal(0))),
        by={name: _rows(one, total.total_usd, details, name) for name, one in rows.items()},
        prices=_prices(sums),
        unpriced_requests=sums.unpriced,
        unpriced_share=_unpriced_share(sums, total),
        unpriced_models=tuple(sorted(sums.unpriced_models)),
        gateway_hits=sums.gateway_hits,
        invoice_usd=invoice_usd,
        invoice_gap_share=_gap_share(invoice_usd, total.total_usd),
        daily=_daily(sums),
        unpriced_units=sums.pricing.unpriced_units if sums.unpriced_units else (),
    )


def _unpriced_share(sums: Tally, total: CostBreakdown) -> float:
    """Return the share of tokens without a price.

    A call without counts or a logged cost counts with the mean tokens of calls with counts.
    """
    every = sum(getattr(total, name) for name in TOKEN_CLASSES)
    unknown = sums.uncounted * (every / sums.counted if every else 1)
    tokens = sums.unpriced_tokens + unknown
    return float(tokens / (every + unknown)) if tokens else 0.0


def _gap_share(invoice_usd: Decimal | None, log_usd: Decimal) -> float | None:
    return float((invoice_usd - log_usd) / invoice_usd) if invoice_usd else None


def _rows(shown: Shown, total_usd: Decimal, details: Details, name: str) -> tuple[SpendRow, ...]:
    months = details.months(name, len(shown.names))
    return tuple(
        SpendRow(
            group,
            cost,
            float(cost.total_usd / total_usd) if total_usd else 0.0,
            sum(getattr(cost, name) for name in INPUT_CLASSES) / cost.requests,
            *details.latencies(name, row),
            failed,
            month,
        )
        for row, (group, cost, failed, month) in enumerate(
            zip(shown.names, shown.costs, shown.failed, months, strict=True)
        )
    )


def _daily(sums: Tally) -> tuple[DailyRow, ...]:
    rates = sums.pricing.rates_by_id
    return tuple(
        DailyRow(day, provider, model, added(found, rates), without_rate(found, logged=True))
        for (day, provider, model), found in sums.daily().items()
    )


def _prices(sums: Tally) -> tuple[ModelPrice, ...]:
    rows = sums.pricing.rates.join(sums.rates, on="rate_id").sort(
        "requests", "rate_id", descending=[True, False]
    )
    return tuple(
        _price(row, sums.ratios.get(row["rate_id"]), sums.faults.get(row["rate_id"]))
        for row in rows.iter_rows(named=True)
    )


def _price(row: dict[str, Any], ratio: float | None, fault: str | None) -> ModelPrice:
    band = f"over {row['over_tokens']:,} input tokens" if row["over_tokens"] else ""
    note = "; ".join(part for part in (band, row["note"], _logged_note(ratio, fault)) if part)
    return ModelPrice(
        provider=row["provider"] or "",
        model=row["model"],
        priced_as=row["priced_as"],
        service_tier=row["service_tier"],
        since=_day(row["first"]),
        until=_day(row["last"]),
        **{name: Decimal(row[name]) for name in PER_MTOK if name != "cache_write_other_per_mtok"},
        requests=row["requests"],
        source=row["source"],
        logged_to_recomputed=ratio,
        note=note,
    )


def _logged_note(ratio: float | None, fault: str | None) -> str:
    return f"the logged cost does not count: {fault}" if fault else ratio_note(ratio)


def _day(at: datetime | None) -> str:
    return at.date().isoformat() if at else ""
