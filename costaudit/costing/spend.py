"""Break spend down by endpoint, tenant, model, day and hour, or by other groups."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import numpy as np
import polars as pl

from costaudit.contracts.grades import PER_MTOK, Money, Pricing, micro_usd
from costaudit.contracts.requests import INPUT_CLASSES, SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.contracts.run_dir import column
from costaudit.contracts.spend import CostBreakdown, CostMode, DailyRow, ModelPrice, Spend, SpendRow
from costaudit.costing.cost import added, billed_classes, plain, without_rate
from costaudit.costing.groups.codes import coded
from costaudit.costing.groups.latency import Ints, Latencies, QuantileCells, Quantiles
from costaudit.costing.groups.ranks import first_rank
from costaudit.costing.logged import basis, ratio_note
from costaudit.costing.months.month import Month
from costaudit.costing.tally import HOUR, PER_USD, Groups, Log, Stretch, Tally, tally, together

R = TypeVar("R")
TOP = 200  # rows per breakdown; all others are one row
GROUPS: dict[str, pl.Expr | pl.Series] = {
    "endpoint": pl.col("endpoint"),
    "tenant": pl.col("tenant"),
    "model": pl.col("model"),
    "day": pl.col("ts").dt.date(),
    "hour": pl.col("ts").dt.hour(),
}


_HAVE_MONTHS = ("endpoint", "tenant", "model")  # of GROUPS: days and hours are parts of a month
ROWS = 1 << 19  # calls that are added up at once


@dataclass(frozen=True)
class Whole:
    """A log in memory, whose sums are made in parts."""

    stretch: Stretch

    def map(self, function: Callable[[Stretch, Groups], R], groups: Groups) -> Iterator[R]:
        """Yield `function` of each part of the log and its groups."""
        for part, own in self.stretch.parts(groups, ROWS):
            yield function(part, own)


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
    log = Whole(Stretch(requests, pricing, counted))
    return spend_of(log, groups, cost_mode, invoice_usd)


def spend_of(
    log: Log,
    groups: Groups = GROUPS,
    cost_mode: CostMode = "auto",
    invoice_usd: Decimal | None = None,
    month: Month | None = None,
) -> Spend:
    """Return what the log cost, by each grouping; calls served by a gateway's cache are left out.

    Groups after the TOP most expensive are one row, `(other)`. With `month`, rows of GROUPS other
    than days and hours have their cost per month. Memory grows with the groups, not with the calls.
    """
    sums = together(log.map(tally, groups))
    every = [one for found, _ in sums.groups("provider").values() for one in found]
    total = added(every, sums.pricing.rates_by_id)
    has_month = month is not None and month.facts.is_month
    shown = {name: _shown(sums, name, has_month=has_month) for name in groups}
    details = _Details(log, groups, shown, sums.least_latency, month)
    return Spend(
        total=total,
        cost_mode=cost_mode,
        logged_usd=plain(sum((one.logged_usd for one in every), Decimal(0))),
        by={name: _rows(one, total.total_usd, details, name) for name, one in shown.items()},
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


@dataclass(frozen=True)
class _Shown:
    """The groups of a grouping that are rows, in order."""

    names: tuple[str, ...]
    costs: tuple[CostBreakdown, ...]
    failed: tuple[int, ...]
    place: dict[str, int]  # row of each group that has one of its own
    has_month: bool  # whether the rows have their cost per month

    def code(self, calls: pl.DataFrame, one: pl.Expr | pl.Series) -> Ints:
        """Return the row of each call."""
        code, names = coded(calls.select(one).to_series())
        other = len(self.names) - 1
        return np.array([self.place.get(name, other) for name in names], np.int64)[code]


def _shown(sums: Tally, name: str, *, has_month: bool) -> _Shown:
    rates = sums.pricing.rates_by_id
    groups = sums.groups(name)
    rows = [(group, added(one, rates), failed) for group, (one, failed) in groups.items()]
    in_time = name in ("day", "hour")
    if name.endswith("_rank"):
        rows.sort(key=lambda row: first_rank(row[0]))
    elif not in_time:
        rows.sort(key=lambda row: (-row[1].total_usd, row[0]))
    place = {group: number for number, (group, _, _) in enumerate(rows)}
    if len(rows) > TOP and not in_time:
        others = [groups[group] for group, _, _ in rows[TOP - 1 :]]
        every = added([one for sums, _ in others for one in sums], rates)
        rows[TOP - 1 :] = [("(other)", every, sum(failed for _, failed in others))]
        place = {group: number for number, (group, _, _) in enumerate(rows[:-1])}
    names, costs, failed = zip(*rows, strict=True) if rows else ((), (), ())
    return _Shown(names, costs, failed, place, has_month and name in _HAVE_MONTHS)


@dataclass(frozen=True)
class _Rest:
    """What is known of a part's calls once it is known which groups are rows."""

    latencies: dict[str, pl.DataFrame]  # by grouping, see Latencies.counts
    hours: dict[str, pl.DataFrame]  # place of the group, hour, parts of a dollar


def _rest(
    stretch: Stretch, groups: Groups, shown: Mapping[str, _Shown], least: float | None
) -> _Rest:
    rows = _sent_rows(stretch)
    calls = stretch.requests if rows is None else stretch.requests.filter(rows)
    codes = {name: one.code(calls, _of(groups[name], rows)) for name, one in shown.items()}
    latencies, hours = {}, {}
    if least is not None:
        timed = Latencies(column(calls, "latency_ms"), least)
        latencies = {name: timed.counts(code) for name, code in codes.items()}
    if any(one.has_month for one in shown.values()):
        usd = stretch.usd()
        parts = np.rint((usd if rows is None else usd[rows.to_numpy()]) * PER_USD)
        by_hour = calls.select(hour=HOUR, parts=pl.Series(parts).cast(pl.Int64))
        hours = {
            name: by_hour.group_by(pl.Series("group", code), "hour").agg(pl.col("parts").sum())
            for name, code in codes.items()
            if shown[name].has_month
        }
    return _Rest(latencies, hours)


def _latencies(
    stretch: Stretch,
    groups: Groups,
    shown: Mapping[str, _Shown],
    least: float,
    wanted: Mapping[str, Ints],
) -> dict[str, pl.DataFrame]:
    rows = _sent_rows(stretch)
    calls = stretch.requests if rows is None else stretch.requests.filter(rows)
    timed = Latencies(column(calls, "latency_ms"), least)
    return {
        name: timed.values(one.code(calls, _of(groups[name], rows)), wanted[name])
        for name, one in shown.items()
    }


def _sent_rows(stretch: Stretch) -> pl.Series | None:
    """Return which calls were sent to a provider; None if all were."""
    sent = stretch.requests.select(SENT_TO_PROVIDER).to_series()
    return None if sent.all() else sent


def _of(group: pl.Expr | pl.Series, rows: pl.Series | None) -> pl.Expr | pl.Series:
    return group if rows is None or isinstance(group, pl.Expr) else group.filter(rows)


class _Details:
    """The latencies and the months of rows, which need the log once or twice again."""

    def __init__(
        self,
        log: Log,
        groups: Groups,
        shown: Mapping[str, _Shown],
        least: float | None,
        month: Month | None,
    ) -> None:
        self._month = month
        parts = list(log.map(partial(_rest, shown=shown, least=least), groups))
        self._hours = {
            name: pl.concat(part.hours[name] for part in parts)
            .group_by("group", "hour").agg(pl.col("parts").sum()).sort("group", "hour")
            .with_columns(usd=pl.col("parts") / PER_USD)
            for name, one in shown.items() if one.has_month
        }  # fmt: skip
        self._quantiles: dict[str, Quantiles] = {}
        if least is None:
            return
        cells = {
            name: QuantileCells((part.latencies[name] for part in parts), len(one.names))
            for name, one in shown.items()
        }
        wanted = {name: one.wanted for name, one in cells.items()}
        values = list(log.map(partial(_latencies, shown=shown, least=least, wanted=wanted), groups))
        for name, one in cells.items():
            self._quantiles[name] = one.quantiles(part[name] for part in values)

    def latencies(self, name: str, row: int) -> tuple[float | None, float | None]:
        """Return the median and the 95th percentile of a row, in milliseconds."""
        if name not in self._quantiles:
            return None, None
        p50, p95 = self._quantiles[name]
        return p50[row], p95[row]

    def months(self, name: str, rows: int) -> Sequence[Money | None]:
        """Return the cost of each row per month; None if it is not known."""
        if name not in self._hours or self._month is None:
            return [None] * rows
        daily = self._month.by_group(self._hours[name], rows)
        return [self._month.ranged(micro_usd(days.sum()), days, "estimated") for days in daily]


def _rows(shown: _Shown, total_usd: Decimal, details: _Details, name: str) -> tuple[SpendRow, ...]:
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
