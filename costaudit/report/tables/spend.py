"""Spend as tables: who and what cost how much, when, and at which prices."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from costaudit.contracts.spend import CostBreakdown, Counting, ModelPrice, Spend, SpendRow
from costaudit.report.numbers import count, milliseconds, per_mtok, share, tokens, usd
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
    """Token classes, breakdowns, context inflation, prices, and what has no price."""
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
    total = spend.total
    said = f"{usd(total.total_usd)} for {_requests(total.requests)}"
    if spend.unpriced_requests:
        said = f"At least {said}"
    if spend.logged_usd and total.total_usd:
        part = share(float(spend.logged_usd / total.total_usd))
        said += f", {part} of it by the costs in the log"
    if spend.invoice is not None:
        said += invoice_line(spend.invoice)
    elif spend.invoice_usd is not None and spend.invoice_gap_share is not None:
        gap = share(abs(spend.invoice_gap_share))
        side = "below" if spend.invoice_gap_share > 0 else "above"
        said += f"; {gap} {side} the invoice of {usd(spend.invoice_usd)}"
    if spend.gateway_hits:
        said += f". A gateway's cache served {count(spend.gateway_hits)} more at no cost"
    if spend.unpriced_requests:
        are = "is" if spend.unpriced_requests == 1 else "are"
        part = share(spend.unpriced_share)
        said += f". {_requests(spend.unpriced_requests)} with {part} of the tokens {are} not fully"
        said += " priced"
    return " ".join((f"{said}.", *_counted(spend.counting)))


def _counted(found: Counting) -> Iterator[str]:
    """Describe what is counted once, and what is undecided, each in a sentence."""
    if found.merged_usd:
        repeat = "1 record" if found.merged_calls == 1 else f"{count(found.merged_calls)} records"
        yield f"Not counted again: {repeat} of {usd(found.merged_usd)} that told a call again."
    if lost := found.unreadable_usage:
        names = ", ".join(f"{name} in {_requests(calls)}" for name, calls in lost.items())
        yield f"Counts that can't be read, and are in no figure: {names}."
    if found.unread_usage:
        yield f"Numbers in the usage that are not read: {', '.join(list(found.unread_usage)[:3])}."
    if found.undecided:
        low = sum((min(one.usd, one.other_usd) for one in found.undecided), Decimal(0))
        high = sum((max(one.usd, one.other_usd) for one in found.undecided), Decimal(0))
        calls = sum(one.requests for one in found.undecided)
        yield (
            f"Undecided for {_requests(calls)}: whether the input holds the cached tokens; they "
            f"cost {usd(low)} or {usd(high)} at list prices."
        )


def _requests(number: int) -> str:
    return "1 request" if number == 1 else f"{count(number)} requests"


def _classes(total: CostBreakdown) -> Table:
    priced = sum((getattr(total, name) for _, _, name in _CLASSES), Decimal(0))
    return Table(
        "Spend by token class",
        ("class", "tokens", "USD", "share"),
        tuple(
            (
                name,
                tokens(sum(getattr(total, field) for field in fields)),
                usd(getattr(total, dollars)),
                share(float(getattr(total, dollars) / priced)) if priced else "",
            )
            for name, fields, dollars in _CLASSES
        ),
        note=" ".join(_beside(total, priced)),
    )


def _beside(total: CostBreakdown, priced: Decimal) -> Iterator[str]:
    """Describe what the total holds beside tokens at list prices."""
    if total.units_usd:
        yield f"Searches, media, other models and fees add {usd(total.units_usd)}."
        priced += total.units_usd
    if priced != total.total_usd:
        yield f"At list prices: {usd(priced)}; the log's own costs make it {usd(total.total_usd)}."


def _breakdown(rows: Sequence[SpendRow], name: str) -> Table:
    ranked = name.removesuffix("_rank")
    title = f"Spend by {name}" if ranked == name else f"Spend by {ranked}, by rank of cost"
    return Table(
        title + _cut(len(rows)),
        (ranked, "requests", "input", "output", "cached", "USD", "share", "p50", "p95"),
        tuple(
            (
                row.group or "not logged",
                count(row.cost.requests),
                tokens(_input(row.cost)),
                tokens(row.cost.output_tokens),
                _cached(row.cost),
                usd(row.cost.total_usd),
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
        f"Spend by {name}" + (", UTC" if name == "hour" else ""),
        (name, "requests", "USD", "share", "input per request", "p95"),
        tuple(
            (
                row.group or "not logged",
                count(row.cost.requests),
                usd(row.cost.total_usd),
                share(row.share),
                tokens(row.mean_input_tokens),
                _latency(row.latency_p95_ms),
            )
            for row in rows
        ),
    )


def _inflation(days: Sequence[SpendRow]) -> Table:
    """Hold the first third of the whole days against the last; the outer days may be partial."""
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
                f"{part[0].group} to {part[-1].group}",
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
                "" if row.logged_to_recomputed is None else f"{row.logged_to_recomputed:.3f}",
                row.source,
                row.note,
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
        (row.model, row.service_tier, part.removeprefix(asked))
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
        ", ".join(name or "(no model)" for name in spend.unpriced_models),
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


def _latency(value: float | None) -> str:
    return "" if value is None else milliseconds(value)


def _signed(change: float) -> str:
    return f"+{share(change)}" if change > 0 else share(change)


def _cut(groups: int) -> str:
    return f" (the dearest {_GROUPS} of {groups:,})" if groups > _GROUPS else ""
