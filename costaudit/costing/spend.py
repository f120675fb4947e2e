"""Break spend down by endpoint, tenant, model, day and hour, or by other groups."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.grades import PER_MTOK, Grade, Pricing, micro_usd
from costaudit.contracts.requests import INPUT_CLASSES, SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.contracts.spend import CostBreakdown, CostMode, DailyRow, ModelPrice, Spend, SpendRow
from costaudit.costing.cost import (
    CallSums,
    Sum,
    added,
    billed_classes,
    coded,
    plain,
    rates_by_id,
)
from costaudit.costing.logged import Basis, basis, ratio_note
from costaudit.costing.months.calendar import Floats
from costaudit.costing.months.month import Month
from costaudit.costing.ranks import first_rank

_SHARES = (0.5, 0.95)  # quantiles of latency
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
        **{f"by_{name}": one for name, one in groups.items()},
    ).with_columns(*classes, rate_id=pricing.rate_ids, logged=counted.logged,
                   unit_usd=pricing.units(), logged_units=counted.units)  # fmt: skip
    sent = frame if frame["sent"].all() else frame.filter("sent")
    rates = rates_by_id(pricing)
    sums = _sums(sent, len(rates))
    (every,) = sums.of(np.zeros(len(sent), np.int64), 1)
    total = added(every, rates)
    no_rate = pl.col("rate_id").is_null() & (_tokens() > 0)
    unpriced = sent.filter(pl.col("logged").is_null() & (no_rate | pl.col("unit_usd").is_null()))
    return Spend(
        total=total,
        cost_mode=cost_mode,
        logged_usd=plain(Decimal(sent["logged"].sum() or 0)),
        by={name: _rows(sent, sums, name, rates, total.total_usd) for name in groups},
        prices=_prices(sent, pricing, counted),
        unpriced_requests=len(unpriced),
        unpriced_share=_unpriced_share(unpriced, sent),
        unpriced_models=tuple(sorted(unpriced["model"].fill_null("").unique().to_list())),
        gateway_hits=len(frame) - len(sent),
        invoice_usd=invoice_usd,
        invoice_gap_share=_gap_share(invoice_usd, total.total_usd),
        daily=_daily(sent, sums, rates),
        unpriced_units=pricing.unpriced_units if unpriced["unit_usd"].has_nulls() else (),
    )


def _tokens() -> pl.Expr:
    return pl.sum_horizontal(TOKEN_CLASSES)


def _unpriced_share(unpriced: pl.DataFrame, sent: pl.DataFrame) -> float:
    """Return the share of tokens without a price.

    A call without counts or a logged cost counts with the mean tokens of calls with counts.
    """
    is_uncounted = (pl.col("usage_source") == "missing") & (pl.col("status") == "ok")
    uncounted = sent.filter(is_uncounted & pl.col("logged").is_null())
    every = sent.select(_tokens().sum()).item()
    counted = len(sent.filter(_tokens() > 0))
    unknown = len(uncounted) * (every / counted if every else 1)
    tokens = unpriced.select(_tokens().sum()).item() + unknown
    return float(tokens / (every + unknown)) if tokens else 0.0


def _gap_share(invoice_usd: Decimal | None, log_usd: Decimal) -> float | None:
    return float((invoice_usd - log_usd) / invoice_usd) if invoice_usd else None


def _sums(sent: pl.DataFrame, rates: int) -> CallSums:
    logged = sent["logged"].is_not_null().to_numpy()
    number = 2 * (sent["rate_id"].cast(pl.Int64).fill_null(-1).to_numpy() + 1) + logged
    used = np.flatnonzero(np.bincount(number, minlength=2 * rates + 2))
    place = np.zeros(2 * rates + 2, np.int64)
    place[used] = np.arange(len(used))
    names = [(one // 2 - 1 if one > 1 else None, bool(one % 2)) for one in used.tolist()]
    calls = sent.select(TOKEN_CLASSES)
    if logged.any() or sent.select((pl.col("unit_usd") != 0).any()).item():
        units = pl.when(pl.col("logged").is_null()).then("unit_usd").otherwise("logged_units")
        calls = sent.select(*TOKEN_CLASSES, pl.col("logged").fill_null(0), units=units)
    return CallSums(calls, place[number], names)


def _rows(
    sent: pl.DataFrame,
    sums: CallSums,
    name: str,
    rates: dict[int, tuple[Decimal, ...]],
    total_usd: Decimal,
) -> tuple[SpendRow, ...]:
    code, names = coded(sent[f"by_{name}"])
    costs = [added(one, rates) for one in sums.of(code, len(names))]
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
        costs = [added(one, rates) for one in sums.of(code, TOP)]
        order = list(range(TOP))
    p50s, p95s = _latencies(sent["latency_ms"], code, len(names))
    failed = np.bincount(
        code[(sent["status"] == "error").fill_null(False).to_numpy()], minlength=len(names)
    )
    return tuple(
        _row(names[n], costs[n], total_usd, (p50s[n], p95s[n], int(failed[n]))) for n in order
    )


def _latencies(
    latency_ms: pl.Series, code: npt.NDArray[np.int64], count: int
) -> list[list[float | None]]:
    """Return the median of each of `count` groups, and the 95th percentile; None if unknown."""
    found: list[list[float | None]] = [[None] * count for _ in _SHARES]
    if latency_ms.null_count() == len(latency_ms):
        return found
    known = latency_ms.is_not_null().to_numpy()
    values, code = (
        (latency_ms.to_numpy(), code)
        if known.all()
        else (latency_ms.to_numpy()[known], code[known])
    )
    narrow = code.astype(np.uint16) if count < 1 << 16 else code  # sorted by radix
    grouped = values[np.argsort(narrow, kind="stable")]
    ends = np.cumsum(np.bincount(code, minlength=count)).tolist()
    for group, (start, end) in enumerate(pairwise([0, *ends])):
        if start == end:
            continue
        places = [(end - start - 1) * share for share in _SHARES]
        lows = [int(place) for place in places]
        highs = [min(low + 1, end - start - 1) for low in lows]
        own = np.partition(grouped[start:end], [*lows, *highs])
        for of, place, low, high in zip(found, places, lows, highs, strict=True):
            of[group] = float(own[low] + (own[high] - own[low]) * (place - low))
    return found


def _daily(
    sent: pl.DataFrame, sums: CallSums, rates: dict[int, tuple[Decimal, ...]]
) -> tuple[DailyRow, ...]:
    days = coded(sent["ts"].dt.date())
    providers, models = coded(sent["provider"]), coded(sent["model"])
    pair = providers.code * len(models.names) + models.code
    used = np.flatnonzero(np.bincount(pair))
    place = np.zeros(len(providers.names) * len(models.names), np.int64)
    place[used] = np.arange(len(used))
    groups = sums.of(days.code * len(used) + place[pair], len(days.names) * len(used))
    rows = []
    for number, found in enumerate(groups):
        if not found:
            continue
        day, one = divmod(number, len(used))
        provider, model = divmod(int(used[one]), len(models.names))
        rows.append(
            DailyRow(
                days.names[day], providers.names[provider], models.names[model],
                added(found, rates), _without_rate(found, logged=False),
                _without_rate(found, logged=True),
            )
        )  # fmt: skip
    return tuple(rows)


def _without_rate(found: list[Sum], *, logged: bool) -> dict[str, int]:
    """Return the tokens without a rate by class; classes without tokens are left out."""
    for one in found:
        if one.rate_id is None and one.is_logged == logged:
            return {name: n for name, n in zip(TOKEN_CLASSES, one.tokens, strict=True) if n}
    return {}


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
        sent.filter(pl.col("rate_id").is_not_null())
        .group_by("rate_id")
        .agg(first=pl.col("ts").min(), last=pl.col("ts").max(), requests=pl.len())
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
