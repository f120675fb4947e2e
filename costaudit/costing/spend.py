"""Break spend down by endpoint, tenant, model, day and hour, or by other groups."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from costaudit.contracts.grades import PER_MTOK, Grade, Pricing, micro_usd
from costaudit.contracts.requests import INPUT_CLASSES, SENT_TO_PROVIDER, TOKEN_CLASSES
from costaudit.contracts.spend import CostBreakdown, CostMode, DailyRow, ModelPrice, Spend, SpendRow
from costaudit.costing.cost import billed_classes, breakdown, plain, rates_by_id
from costaudit.costing.logged import Basis, basis, ratio_note
from costaudit.costing.months.calendar import Floats
from costaudit.costing.months.month import Month
from costaudit.costing.ranks import first_rank

TOP = 200  # rows per breakdown; all others are one row
GROUPS: dict[str, pl.Expr | pl.Series] = {
    "endpoint": pl.col("endpoint"),
    "tenant": pl.col("tenant"),
    "model": pl.col("model"),
    "day": pl.col("ts").dt.date().cast(pl.String),
    "hour": pl.col("ts").dt.hour().cast(pl.String).str.zfill(2),
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
        "served_by", "provider", "model", "ts", "latency_ms", "status", "usage_source",
        **{f"by_{name}": one.fill_null("") for name, one in (GROUPS | dict(groups)).items()},
    ).with_columns(*classes, rate_id=pricing.rate_ids, logged=counted.logged,
                   unit_usd=pricing.units(), logged_units=counted.units)  # fmt: skip
    sent = frame.filter(SENT_TO_PROVIDER)
    rates = rates_by_id(pricing)
    total = _breakdowns(sent.with_columns(all=pl.lit("")), "all", rates).get("", _NOTHING)
    no_rate = pl.col("rate_id").is_null() & (_tokens() > 0)
    unpriced = sent.filter(pl.col("logged").is_null() & (no_rate | pl.col("unit_usd").is_null()))
    return Spend(
        total=total,
        cost_mode=cost_mode,
        logged_usd=plain(Decimal(sent["logged"].sum() or 0)),
        by={name: _rows(sent, name, rates, total.total_usd) for name in groups},
        prices=_prices(sent, pricing, counted),
        unpriced_requests=len(unpriced),
        unpriced_share=_unpriced_share(unpriced, sent),
        unpriced_models=tuple(sorted(unpriced["model"].fill_null("").unique().to_list())),
        gateway_hits=len(frame) - len(sent),
        invoice_usd=invoice_usd,
        invoice_gap_share=_gap_share(invoice_usd, total.total_usd),
        daily=_daily(sent, rates),
        unpriced_units=pricing.unpriced_units if unpriced["unit_usd"].has_nulls() else (),
    )


_NOTHING = breakdown([], {})


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


def _breakdowns(
    sent: pl.DataFrame, group: str, rates: dict[int, tuple[Decimal, ...]]
) -> dict[str, CostBreakdown]:
    """Return the breakdown of each group; totals use the logged cost if that counts."""
    sums = sent.group_by(group, "rate_id", from_log=pl.col("logged").is_not_null()).agg(
        pl.len(),
        pl.col(TOKEN_CLASSES).sum(),
        pl.col("logged").sum(),
        pl.when(pl.col("logged").is_null()).then("unit_usd").otherwise("logged_units").sum(),
    )
    parts: dict[str, list[tuple[int | None, int, tuple[int, ...]]]] = {}
    correction: dict[str, Decimal] = {}
    units: dict[str, Decimal] = {}
    for name, rate_id, from_log, requests, *rest in sums.sort(
        group, "rate_id", "from_log"
    ).iter_rows():
        *tokens, logged, unit_usd = rest
        part = (rate_id, requests, tuple(tokens))
        parts.setdefault(name, []).append(part)
        if from_log:
            recomputed = breakdown([part], rates).total_usd
            correction[name] = correction.get(name, Decimal(0)) + logged - recomputed - unit_usd
        units[name] = units.get(name, Decimal(0)) + unit_usd
    found = {name: breakdown(part, rates) for name, part in parts.items()}
    return {
        name: replace(
            cost,
            total_usd=plain(cost.total_usd + correction.get(name, Decimal(0)) + units[name]),
            units_usd=plain(units[name]),
        )
        for name, cost in found.items()
    }


def _rows(
    sent: pl.DataFrame, name: str, rates: dict[int, tuple[Decimal, ...]], total_usd: Decimal
) -> tuple[SpendRow, ...]:
    group = f"by_{name}"
    costs = _breakdowns(sent, group, rates)
    in_time = name in ("day", "hour")
    if name.endswith("_rank"):
        order = sorted(costs, key=first_rank)
    else:
        order = sorted(costs, key=lambda g: (g,) if in_time else (-costs[g].total_usd, g))
    if len(order) > TOP and not in_time:
        rest = sorted(order[TOP - 1 :])
        merged = pl.when(pl.col(group).is_in(rest)).then(pl.lit("(other)")).otherwise(group)
        sent = sent.with_columns(merged.alias(group))
        costs = _breakdowns(sent, group, rates)
        order = [*order[: TOP - 1], "(other)"]
    latency = sent.group_by(group).agg(
        p50=pl.col("latency_ms").quantile(0.5, "linear"),
        p95=pl.col("latency_ms").quantile(0.95, "linear"),
        failed=(pl.col("status") == "error").sum(),
    )
    times = {row[0]: row[1:] for row in latency.iter_rows()}
    return tuple(_row(g, costs[g], total_usd, times[g]) for g in order)


def _daily(sent: pl.DataFrame, rates: dict[int, tuple[Decimal, ...]]) -> tuple[DailyRow, ...]:
    names = ["by_day", "provider", "model"]
    filled = sent.with_columns(pl.col(names).fill_null(""))
    keys = filled.select(names).unique().sort(names)
    keys = keys.with_columns(key=pl.int_range(pl.len()).cast(pl.String))
    keyed = filled.join(keys, on=names)
    costs = _breakdowns(keyed, "key", rates)
    no_rate = keyed.filter(pl.col("rate_id").is_null())
    unpriced = _tokens_by_key(no_rate.filter(pl.col("logged").is_null()))
    only_logged = _tokens_by_key(no_rate.filter(pl.col("logged").is_not_null()))
    return tuple(
        DailyRow(day, provider, model, costs[key], unpriced.get(key, {}), only_logged.get(key, {}))
        for day, provider, model, key in keys.iter_rows()
    )


def _tokens_by_key(calls: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Return the tokens of each key by class; classes without tokens are left out."""
    sums = calls.group_by("key").agg(pl.col(TOKEN_CLASSES).sum())
    return {
        row.pop("key"): {name: tokens for name, tokens in row.items() if tokens}
        for row in sums.iter_rows(named=True)
    }


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
        names = requests.select(one=GROUPS[name]).to_series().fill_null("")
        other = number.get("(other)", len(number))
        places = names.replace_strict(number, default=other, return_dtype=pl.Int64).to_numpy()
        daily = month.by_group(usd, places, len(number) + 1)
        by[name] = tuple(
            replace(row, month=month.ranged(micro_usd(days.sum()), days, grade))
            for row, days in zip(rows, daily, strict=False)
        )
    return replace(spend, by=by)


def _logged_note(ratio: float | None, fault: str | None) -> str:
    return f"the logged cost does not count: {fault}" if fault else ratio_note(ratio)


def _day(at: datetime | None) -> str:
    return at.date().isoformat() if at else ""
