"""Spend as tables: who and what cost how much, when, and at which prices."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from costaudit.contracts.spend import CostBreakdown, Counting, ModelPrice, Spend, SpendRow
from costaudit.report.language import renumbered, said, separated, tr
from costaudit.report.numbers import (
    count,
    counted,
    milliseconds,
    per_mtok,
    share,
    spent,
    tokens,
    usd,
)
from costaudit.report.tables.invoice import invoice_line, invoice_tables
from costaudit.report.tables.table import Table

_GROUPS = 20  # groups shown of each breakdown, the dearest first
_WIDEST = 64  # characters of a group's name: a template's holds its endpoint and model
_IN_TIME = ("day", "hour")
_FEWEST_DAYS = 6  # whole days that show whether contexts grow
_CLASSES = (
    ("uncached input", ("input_uncached_tokens",), "input_uncached_usd"),
    ("cache reads", ("cache_read_tokens",), "cache_read_usd"),
    (
        "cache writes",
        ("cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_other_tokens"),
        "cache_write_usd",
    ),
    ("output", ("output_tokens",), "output_usd"),
)


def spend_tables(spend: Spend) -> tuple[Table, ...]:
    """Return tables of token classes, breakdowns, inflation, prices and unpriced usage."""
    return (
        _classes(spend.total),
        *(invoice_tables(spend.invoice) if spend.invoice is not None else ()),
        *(
            _in_time(rows, name) if name in _IN_TIME else _breakdown(rows, name)
            for name, rows in spend.by.items()
        ),
        _inflation(spend.by.get("day", ())),
        _prices(spend.prices),
        _questioned(spend.prices),
        _unpriced(spend),
    )


def spend_line(spend: Spend) -> str:
    """Describe the total in a sentence, and how much of it is the log's own figure."""
    return " ".join((f"{_first(spend)}.", *_beside(spend), *_counted(spend.counting)))


def _first(spend: Spend) -> str:
    total = spend.total
    lead = tr("{usd} for {requests}")
    if spend.unpriced_requests:
        lead = tr("At least {usd} for {requests}")
    if not spend.has_price:
        lead = tr("No dollars can be given for {requests}")
    told = lead.format(usd=usd(total.total_usd), requests=counted(total.requests, "request"))
    if spend.logged_usd and total.total_usd:
        part = share(float(spend.logged_usd / total.total_usd))
        told += tr(", {share} of it by the costs in the log").format(share=part)
    if spend.invoice is not None:
        return told + invoice_line(spend.invoice)
    if spend.invoice_usd is not None and spend.invoice_gap_share is not None:
        apart = tr("; {gap} above the invoice of {usd}")
        if spend.invoice_gap_share > 0:
            apart = tr("; {gap} below the invoice of {usd}")
        told += apart.format(gap=share(abs(spend.invoice_gap_share)), usd=usd(spend.invoice_usd))
    return told


def _beside(spend: Spend) -> Iterator[str]:
    """Describe what cost nothing, and what has no price, each in a sentence."""
    if spend.gateway_hits:
        text = tr("A gateway's cache served {n} more at no cost.")
        yield text.format(n=count(spend.gateway_hits))
    if spend.unpriced_requests:
        yield not_priced(spend.unpriced_requests, spend.unpriced_share)
    yield from map(said, spend.unused_prices)


def not_priced(requests: int, of_tokens: float) -> str:
    """Return how many requests, with which share of the tokens, are not fully priced."""
    text = tr("{requests} with {share} of the tokens are not fully priced.")
    if requests == 1:
        text = tr("1 request with {share} of the tokens is not fully priced.")
    return text.format(requests=counted(requests, "request"), share=share(of_tokens))


def _counted(found: Counting) -> Iterator[str]:
    """Describe what is counted once, and what is undecided, each in a sentence."""
    if found.merged_usd:
        yield tr("Not counted again: {records} of {usd} that told a call again.").format(
            records=counted(found.merged_calls, "record"), usd=usd(found.merged_usd)
        )
    if lost := found.unreadable_usage:
        text = tr("{name} in {requests}")
        names = ", ".join(
            text.format(name=name, requests=counted(calls, "request"))
            for name, calls in lost.items()
        )
        told = tr("Counts that can't be read, and are in no figure: {names}.")
        yield told.format(names=names)
    if found.estimated:
        told = tr("Estimated by a tokenizer, as the log has no plausible counts: {requests}.")
        yield told.format(requests=counted(found.estimated, "request"))
    if found.unread_usage:
        told = tr("Numbers in the usage that are not read: {names}.")
        yield told.format(names=", ".join(list(found.unread_usage)[:3]))
    if found.undecided:
        low = sum((min(one.usd, one.other_usd) for one in found.undecided), Decimal(0))
        high = sum((max(one.usd, one.other_usd) for one in found.undecided), Decimal(0))
        calls = sum(one.requests for one in found.undecided)
        yield tr(
            "Undecided for {requests}: whether the input holds the cached tokens; they cost {low} "
            "or {high} at list prices."
        ).format(requests=counted(calls, "request"), low=usd(low), high=usd(high))


def _classes(total: CostBreakdown) -> Table:
    priced = sum((getattr(total, name) for _, _, name in _CLASSES), Decimal(0))
    return Table(
        "Spend by token class",
        ("class", "tokens", "USD", "share"),
        tuple(
            (
                tr(name),
                tokens(sum(getattr(total, field) for field in fields)),
                spent(getattr(total, dollars), any(map(total.unpriced.__contains__, fields))),
                share(float(getattr(total, dollars) / priced)) if priced else "",
            )
            for name, fields, dollars in _CLASSES
        ),
        note=" ".join(_in_total(total, priced)),
    )


def _in_total(total: CostBreakdown, priced: Decimal) -> Iterator[str]:
    """Describe what the total holds beside tokens at list prices."""
    if total.units_usd:
        text = tr("Searches, media, other models and fees add {usd}.")
        yield text.format(usd=usd(total.units_usd))
        priced += total.units_usd
    if priced != total.total_usd:
        text = tr("At list prices: {list}; the log's own costs make it {total}.")
        yield text.format(list=usd(priced), total=usd(total.total_usd))


def _breakdown(rows: Sequence[SpendRow], name: str) -> Table:
    ranked = name.removesuffix("_rank")
    title = tr("Spend by {what}") if ranked == name else tr("Spend by {what}, by rank of cost")
    written = str if ranked == name else renumbered  # a name of the log, or ranks such as 237–1,182
    return Table(
        title.format(what=tr(ranked)) + _cut(len(rows)),
        (ranked, "requests", "input", "output", "cached", "USD", "share", "p50", "p95"),
        tuple(
            (
                written(row.group) or tr("not logged"),
                count(row.cost.requests),
                tokens(_input(row.cost)),
                tokens(row.cost.output_tokens),
                _cached(row.cost),
                spent(row.cost.total_usd, row.cost.unpriced),
                share(row.share),
                _latency(row.latency_p50_ms),
                _latency(row.latency_p95_ms),
            )
            for row in rows[:_GROUPS]
        ),
        note="cached: share of input tokens read from the provider's cache; p50, p95: latency.",
        widest=_WIDEST,
    )


def _in_time(rows: Sequence[SpendRow], name: str) -> Table:
    return Table(
        tr("Spend by {what}").format(what=tr(name)) + (", UTC" if name == "hour" else ""),
        (name, "requests", "USD", "share", "input per request", "p95"),
        tuple(
            (
                row.group or tr("not logged"),
                count(row.cost.requests),
                spent(row.cost.total_usd, row.cost.unpriced),
                share(row.share),
                tokens(row.mean_input_tokens),
                _latency(row.latency_p95_ms),
            )
            for row in rows
        ),
    )


def _inflation(days: Sequence[SpendRow]) -> Table:
    """Compare the first third of whole days with the last; the outer days may be partial."""
    whole = [row for row in days if row.group][1:-1]
    third = len(whole) // 3
    rows: tuple[tuple[str, ...], ...] = ()
    if len(whole) >= _FEWEST_DAYS:
        parts = whole[:third], whole[-third:]
        means = [
            sum(_input(row.cost) for row in part) / sum(row.cost.requests for row in part)
            for part in parts
        ]
        rows = tuple(
            (
                tr("{low} to {high}").format(low=part[0].group, high=part[-1].group),
                tokens(mean),
                "" if part is parts[0] or not means[0] else _signed(mean / means[0] - 1),
            )
            for part, mean in zip(parts, means, strict=True)
        )
    return Table("Context inflation", ("days", "input per request", "change"), rows)


def _prices(prices: Sequence[ModelPrice]) -> Table:
    return Table(
        "Prices, USD per million tokens",
        ("model", "priced as", "tier", "used from", "to", "input", "read", "output", "requests",
         "logged/list", "source", "note"),
        tuple(
            (
                row.model,
                row.priced_as,
                row.service_tier,
                row.since,
                row.until,
                per_mtok(row.input_per_mtok),
                per_mtok(row.cache_read_per_mtok),
                per_mtok(row.output_per_mtok),
                count(row.requests),
                _times(row.logged_to_recomputed),
                said(row.source),
                said(row.note),
            )
            for row in prices
        ),
        left=(0, 1, 2, 3, 4, 10, 11),
        note="logged/list: the log's own cost over tokens times list price.",
    )  # fmt: skip


def _questioned(prices: Sequence[ModelPrice]) -> Table:
    """Return the prices that the reader gave and that look like slips."""
    asked = "questioned: "
    rows = [
        (row.model, row.service_tier, said(part.removeprefix(asked)))
        for row in prices
        for part in row.note.split("; ")
        if part.startswith(asked)
    ]
    return Table(
        "Given prices that look wrong",
        ("model", "tier", "why"),
        tuple(rows),
        left=(0, 1, 2),
        note="They count as given, in US dollars per million tokens. Check the file of --prices.",
    )


def _unpriced(spend: Spend) -> Table:
    row = (
        ", ".join(name or tr("(no model)") for name in spend.unpriced_models),
        count(spend.unpriced_requests),
        share(spend.unpriced_share),
    )
    return Table(
        "Without a price, and not in the spend",
        ("models", "requests", "share of tokens"),
        (row,) if spend.unpriced_requests else (),
        note="Give their rates in a prices.toml: one [[price]] entry each, or an [[alias]].",
    )


def _input(cost: CostBreakdown) -> int:
    return (
        cost.input_uncached_tokens + cost.cache_read_tokens + cost.cache_write_5m_tokens
        + cost.cache_write_1h_tokens + cost.cache_write_other_tokens
    )  # fmt: skip


def _cached(cost: CostBreakdown) -> str:
    whole = _input(cost)
    return share(cost.cache_read_tokens / whole) if whole else ""


def _times(ratio: float | None) -> str:
    return "" if ratio is None else separated(f"{ratio:.3f}")


def _latency(value: float | None) -> str:
    return "" if value is None else milliseconds(value)


def _signed(change: float) -> str:
    return f"+{share(change)}" if change > 0 else share(change)


def _cut(groups: int) -> str:
    cut = tr(" (the dearest {shown} of {all})").format(shown=_GROUPS, all=count(groups))
    return cut if groups > _GROUPS else ""
