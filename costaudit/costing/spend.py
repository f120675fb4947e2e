"""Break spend down by endpoint, tenant, model, day and hour, or by other groups."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import PER_MTOK, Grade, Pricing, micro_usd
from costaudit.contracts.requests import INPUT_CLASSES, SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.contracts.run_dir import column
from costaudit.contracts.spend import CostBreakdown, CostMode, DailyRow, ModelPrice, Spend, SpendRow
from costaudit.costing.cost import (
    CallSums,
    added,
    billed_classes,
    plain,
    without_rate,
)
from costaudit.costing.groups.codes import coded
from costaudit.costing.groups.latency import Latencies
from costaudit.costing.groups.ranks import first_rank
from costaudit.costing.logged import Basis, basis, ratio_note
from costaudit.costing.months.calendar import Floats
from costaudit.costing.months.month import Month

_HOUR_US = 3_600_000_000
_MOST_CELLS = 1 << 22
TOP = 200  # rows per breakdown; all others are one row
GROUPS: dict[str, pl.Expr | pl.Series] = {
    "endpoint": pl.col("endpoint"),
    "tenant": pl.col("tenant"),
    "model": pl.col("model"),
    "day": pl.col("ts").dt.date(),
    "hour": pl.col("ts").dt.hour(),
}


def spend(
    requests: pl.DataFrame,
    pricing: Pricing,
    cost_mode: CostMode = "auto",
    invoice_usd: Decimal | None = None,
    groups: Mapping[str, pl.Expr | pl.Series] = GROUPS,
) -> Spend:
    """Return what the log cost, by each grouping; calls served by a gateway's cache are left out.

    `pricing` is aligned with `requests`. Groups after the TOP most expensive are one row,
    `(other)`.
    """
    classes = billed_classes(requests)
    counted = basis(requests, classes, pricing, cost_mode)
    frame = requests.select(
        "provider", "model", "ts", "latency_ms", "status", "usage_source", sent=SENT_TO_PROVIDER,
        **{f"by_{name}": one for name, one in groups.items() if name not in _OF_CELLS},
    ).with_columns(*classes, rate_id=pricing.rate_ids, logged=counted.logged,
                   unit_usd=pricing.units(), logged_units=counted.units)  # fmt: skip
    sent = frame if frame["sent"].all() else frame.filter("sent")
    rates = pricing.rates_by_id
    calls = _calls(sent, len(rates))
    (every,) = calls.cells.of(np.zeros(len(calls.of_cell), np.int64), 1)
    total = added(every, rates)
    unpriced = _unpriced(sent)
    return Spend(
        total=total,
        cost_mode=cost_mode,
        logged_usd=plain(Decimal(sent["logged"].sum() or 0)),
        by={name: _rows(calls, name, rates, total.total_usd) for name in groups},
        prices=_prices(sent, pricing, counted),
        unpriced_requests=len(unpriced),
        unpriced_share=_unpriced_share(unpriced, sent),
        unpriced_models=tuple(sorted(unpriced["model"].cast(pl.String).fill_null("").unique())),
        gateway_hits=len(frame) - len(sent),
        invoice_usd=invoice_usd,
        invoice_gap_share=_gap_share(invoice_usd, total.total_usd),
        daily=_daily(calls, rates),
        unpriced_units=pricing.unpriced_units if unpriced["unit_usd"].has_nulls() else (),
    )


def _unpriced(sent: pl.DataFrame) -> pl.DataFrame:
    """Return the calls with tokens or units of unknown price, and no logged cost that counts."""
    if not sent["rate_id"].has_nulls() and not sent["unit_usd"].has_nulls():
        return sent.clear()
    no_rate = pl.col("rate_id").is_null() & (_tokens() > 0)
    return sent.filter(pl.col("logged").is_null() & (no_rate | pl.col("unit_usd").is_null()))


def _tokens() -> pl.Expr:
    return pl.sum_horizontal(TOKEN_CLASSES)


def _unpriced_share(unpriced: pl.DataFrame, sent: pl.DataFrame) -> float:
    """Return the share of tokens without a price.

    A call without counts or a logged cost counts with the mean tokens of calls with counts.
    """
    is_uncounted = (pl.col("usage_source") == "missing") & (pl.col("status") == "ok")
    uncounted = sent.select((is_uncounted & pl.col("logged").is_null()).sum()).item()
    if unpriced.is_empty() and not uncounted:
        return 0.0
    every, counted = sent.select(tokens=_tokens().sum(), counted=(_tokens() > 0).sum()).row(0)
    unknown = uncounted * (every / counted if every else 1)
    tokens = unpriced.select(_tokens().sum()).item() + unknown
    return float(tokens / (every + unknown)) if tokens else 0.0


def _gap_share(invoice_usd: Decimal | None, log_usd: Decimal) -> float | None:
    return float((invoice_usd - log_usd) / invoice_usd) if invoice_usd else None


_OF_CELLS: dict[str, pl.Expr] = {  # groupings that the calls of a cell share
    "model": pl.col("model"),
    "provider": pl.col("provider"),
    "day": pl.col("ts").dt.date(),
    "hour": pl.col("ts").dt.hour(),
}


@dataclass(frozen=True)
class _Calls:
    """Calls with their sums, also by cell: by hour, provider, model and rate."""

    sent: pl.DataFrame
    sums: CallSums
    cell: npt.NDArray[np.int64]  # of each call
    cells: CallSums
    of_cell: pl.DataFrame  # a call of each cell, with the columns of _OF_CELLS
    failed: npt.NDArray[np.int64]  # the numbers of the failed calls
    latencies: Latencies


def _calls(sent: pl.DataFrame, rates: int) -> _Calls:
    """Add up calls by cell: there are far fewer cells than calls in a large log."""
    sums = _sums(sent, rates)
    providers, models = coded(column(sent, "provider")), coded(column(sent, "model"))
    kind = (providers.code * len(models.names) + models.code) * len(sums.rates) + sums.rate
    used = np.flatnonzero(np.bincount(kind))
    place = np.zeros(int(kind.max(initial=0)) + 1, np.int64)
    place[used] = np.arange(len(used))
    hour = (sent["ts"].dt.epoch("us") // _HOUR_US).cast(pl.Int64)
    first = hour.min()
    number = (hour - (first if isinstance(first, int) else 0) + 1).fill_null(0).to_numpy()
    cell = number * len(used) + place[kind]
    count = int(cell.max(initial=-1)) + 1
    if count > _MOST_CELLS:
        cell = pl.Series(cell).rank("dense").to_numpy().astype(np.int64) - 1
        count = int(cell.max()) + 1
    cells, call = sums.grouped(cell, count)
    failed = sent.select((pl.col("status") == "error").fill_null(False).arg_true()).to_series()
    return _Calls(
        sent, sums, cell, cells, sent.select("provider", "model", "ts")[call],
        failed.to_numpy().astype(np.int64), Latencies(column(sent, "latency_ms")),
    )  # fmt: skip


def _sums(sent: pl.DataFrame, rates: int) -> CallSums:
    logged = sent["logged"].is_not_null().to_numpy()
    kind = np.where(logged, 1, 2 * sent["unit_usd"].is_null().to_numpy())  # at most one of both
    number = 3 * (sent["rate_id"].cast(pl.Int64).fill_null(-1).to_numpy() + 1) + kind
    used = np.flatnonzero(np.bincount(number, minlength=3 * rates + 3))
    place = np.zeros(3 * rates + 3, np.int64)
    place[used] = np.arange(len(used))
    names = [
        (one // 3 - 1 if one > 2 else None, one % 3 == 1, one % 3 == 2) for one in used.tolist()
    ]
    calls = sent.select(TOKEN_CLASSES)
    if logged.any() or sent.select((pl.col("unit_usd") != 0).any()).item():
        units = pl.when(pl.col("logged").is_null()).then("unit_usd").otherwise("logged_units")
        calls = sent.select(*TOKEN_CLASSES, pl.col("logged").fill_null(0), units=units)
    return CallSums(calls, place[number], names)


def _rows(
    calls: _Calls, name: str, rates: dict[int, tuple[Decimal, ...]], total_usd: Decimal
) -> tuple[SpendRow, ...]:
    of_cell = _OF_CELLS.get(name)
    if of_cell is None:
        sums = calls.sums
        summed, names = coded(calls.sent[f"by_{name}"])
        code = summed
    else:
        sums = calls.cells
        summed, names = coded(calls.of_cell.select(of_cell).to_series())
        code = summed[calls.cell]
    costs = [added(one, rates) for one in sums.of(summed, len(names))]
    in_time = name in ("day", "hour")
    if name.endswith("_rank"):
        order = sorted(range(len(names)), key=lambda n: first_rank(names[n]))
    elif in_time:
        order = list(range(len(names)))
    else:
        order = sorted(range(len(names)), key=lambda n: (-costs[n].total_usd, names[n]))
    if len(order) > TOP and not in_time:
        place = np.full(len(names), TOP - 1)
        place[order[: TOP - 1]] = np.arange(TOP - 1)
        code, names = place[code], [*(names[n] for n in order[: TOP - 1]), "(other)"]
        costs = [added(one, rates) for one in sums.of(place[summed], TOP)]
        order = list(range(TOP))
    p50s, p95s = calls.latencies.of(code, len(names))
    failed = np.bincount(code[calls.failed], minlength=len(names))
    return tuple(
        _row(names[n], costs[n], total_usd, (p50s[n], p95s[n], int(failed[n]))) for n in order
    )


def _daily(calls: _Calls, rates: dict[int, tuple[Decimal, ...]]) -> tuple[DailyRow, ...]:
    days = coded(calls.of_cell["ts"].dt.date())
    providers, models = coded(calls.of_cell["provider"]), coded(calls.of_cell["model"])
    pair = providers.code * len(models.names) + models.code
    used = np.flatnonzero(np.bincount(pair))
    place = np.zeros(len(providers.names) * len(models.names), np.int64)
    place[used] = np.arange(len(used))
    code = days.code * len(used) + place[pair]
    rows = []
    for number, found in enumerate(calls.cells.of(code, len(days.names) * len(used))):
        if not found:
            continue
        day, one = divmod(number, len(used))
        provider, model = divmod(int(used[one]), len(models.names))
        rows.append(
            DailyRow(
                days.names[day], providers.names[provider], models.names[model],
                added(found, rates), without_rate(found, logged=True),
            )
        )  # fmt: skip
    return tuple(rows)


def _row(
    group: str,
    cost: CostBreakdown,
    total_usd: Decimal,
    rest: tuple[float | None, float | None, int],
) -> SpendRow:
    """Return a row; `rest` holds the latency's median, its 95th percentile and the failures."""
    tokens = sum(getattr(cost, name) for name in INPUT_CLASSES)
    share = float(cost.total_usd / total_usd) if total_usd else 0.0
    return SpendRow(group, cost, share, tokens / cost.requests, *rest)


def _prices(sent: pl.DataFrame, pricing: Pricing, counted: Basis) -> tuple[ModelPrice, ...]:
    used = (
        sent.select("rate_id", "ts")
        .group_by("rate_id")
        .agg(first=pl.col("ts").min(), last=pl.col("ts").max(), requests=pl.len())
        .drop_nulls("rate_id")
    )
    rows = pricing.rates.join(used, on="rate_id").sort(
        "requests", "rate_id", descending=[True, False]
    )
    return tuple(
        _price(row, counted.ratios.get(row["rate_id"]), counted.faults.get(row["rate_id"]))
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


def with_months(spend: Spend, requests: pl.DataFrame, month: Month, usd: Floats) -> Spend:
    """Return the spend with each group's cost per month; `usd` is each request's bill."""
    if not month.facts.is_month:
        return spend
    grade: Grade = "estimated"
    by = dict(spend.by)
    for name in [name for name in by if name in GROUPS and name not in ("day", "hour")]:
        rows = by[name]
        number = {row.group: place for place, row in enumerate(rows)}
        if not number:
            continue
        code, names = coded(requests.select(one=GROUPS[name]).to_series())
        other = number.get("(other)", len(number))
        place = np.array([number.get(one, other) for one in names], np.int64)
        daily = month.by_group(usd, place[code], len(number) + 1)
        by[name] = tuple(
            replace(row, month=month.ranged(micro_usd(days.sum()), days, grade))
            for row, days in zip(rows, daily, strict=False)
        )
    return replace(spend, by=by)


def _logged_note(ratio: float | None, fault: str | None) -> str:
    return f"the logged cost does not count: {fault}" if fault else ratio_note(ratio)


def _day(at: datetime | None) -> str:
    return at.date().isoformat() if at else ""
