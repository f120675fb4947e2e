"""An invoice beside the log, as tables: by model, and by day."""

from collections.abc import Sequence
from decimal import Decimal

from costaudit.contracts.spend import InvoiceRow, Reconciliation
from costaudit.report.language import said, separated, tr
from costaudit.report.numbers import count, counted, share, tokens, usd
from costaudit.report.tables.table import Table

_DAYS = 20  # of a model, shown where they differ most
_EQUAL = 0.0005  # of the invoice: no difference to speak of


def invoice_tables(found: Reconciliation) -> tuple[Table, ...]:
    """Return billed, counted and difference by model, and by model and day."""
    names = _names(found.days)
    days = sorted(found.days, key=_rank)
    title = tr("Invoice and log, by model and day")
    if len(days) > _DAYS:
        text = tr("Invoice and log, by model and day (the {a} that differ most of {b})")
        title = text.format(a=_DAYS, b=count(len(days)))
    return (
        Table(
            "Invoice and log, by model",
            ("provider", "model", *names),
            tuple((row.provider, _model(row), *_cells(row, names)) for row in found.rows),
            left=(0, 1),
            note=" ".join((*notes_of(found), *map(said, found.notes))),
        ),
        Table(
            title,
            ("day", "provider", "model", "covered by", *names),
            tuple(
                (row.day, row.provider, _model(row), tr(row.covered), *_cells(row, names))
                for row in days[:_DAYS]
            ),
            left=(0, 1, 2, 3),
            note="difference: billed less counted, on days that both cover.",
        ),
    )


def _names(rows: Sequence[InvoiceRow]) -> tuple[str, ...]:
    """Choose the columns that have something in them."""
    has_usd = any(row.billed_usd is not None for row in rows)
    has_tokens = any(row.billed_tokens is not None for row in rows)
    return (
        *(("billed USD",) if has_usd else ()),
        "counted USD",
        *(("difference",) if has_usd else ()),
        "gap",
        *(("billed tokens", "counted tokens") if has_tokens else ()),
    )


def _model(row: InvoiceRow) -> str:
    return row.model or tr("all models")


def _cells(row: InvoiceRow, names: Sequence[str]) -> tuple[str, ...]:
    billed, counted = row.billed_tokens, row.counted_tokens
    written = {
        "billed USD": "" if row.billed_usd is None else usd(row.billed_usd),
        "counted USD": "" if row.counted_usd is None else usd(row.counted_usd),
        "difference": "" if row.difference_usd is None else usd(row.difference_usd),
        "gap": gap_of(row),
        "billed tokens": "" if billed is None else tokens(billed.all),
        "counted tokens": "" if counted is None else tokens(counted.all),
    }
    return tuple(written[name] for name in names)


def gap_of(row: InvoiceRow) -> str:
    """Write the difference as a share of what was billed, of dollars or else of tokens."""
    if row.covered != "both":
        return ""
    if row.billed_usd:
        return share(float((row.difference_usd or Decimal(0)) / row.billed_usd))
    if row.billed_usd is None and row.billed_tokens is not None and row.billed_tokens.all:
        counted = row.counted_tokens.all if row.counted_tokens else 0
        return share(1 - counted / row.billed_tokens.all)
    return ""


def _rank(row: InvoiceRow) -> tuple[bool, Decimal, str, str, str]:
    """Put what differs most first, and what can't be compared last."""
    return row.covered != "both", -_size(row), row.day, row.provider, row.model


def _size(row: InvoiceRow) -> Decimal:
    if row.difference_usd is not None:
        return abs(row.difference_usd)
    if row.covered != "both":
        return row.billed_usd or row.counted_usd or Decimal(0)
    billed = row.billed_tokens.all if row.billed_tokens else 0
    counted = row.counted_tokens.all if row.counted_tokens else 0
    return Decimal(abs(billed - counted))


def notes_of(found: Reconciliation) -> list[str]:
    """Say which days were compared, and what is in none of the figures."""
    told = [tr("Days that both cover: {n}.").format(n=count(found.days_of_both))]
    for days, text in (
        (found.partly, "Days of which the log lacks hours, not compared: {days}."),
        (found.only_invoice, "Days of the invoice that the log does not cover: {days}."),
        (found.only_log, "Days of the log that the invoice does not cover: {days}."),
    ):
        if days:
            told.append(tr(text).format(days=_span(days)))
    if found.providers_without:
        names = ", ".join(found.providers_without)
        told.append(tr("No invoice of {names} was given.").format(names=names))
    if found.credits_usd:
        told.append(tr("Credits of {usd} are in no row.").format(usd=usd(found.credits_usd)))
    if found.other_usd:
        told.append(tr("Taxes and fees of {usd} are in no row.").format(usd=usd(found.other_usd)))
    for currency, rate in found.rates.items():
        text = tr("Amounts in {currency} are converted at {rate} USD.")
        told.append(text.format(currency=currency, rate=separated(f"{rate:f}")))
    return told


def _span(days: Sequence[str]) -> str:
    return days[0] if len(days) == 1 else f"{count(len(days))}, {days[0]} – {days[-1]}"


def invoice_line(found: Reconciliation) -> str:
    """Describe in half a sentence what the invoice covers, and how far both are apart."""
    if found.gap_share is None:
        if found.partly:
            return tr("; the invoice has nothing to compare on days that the log covers wholly")
        return tr("; the invoice has nothing to compare on the days of the log")
    below = found.gap_share > 0
    if found.gap_of != "dollars":
        text = tr("; {gap} above the invoice's tokens over {days}")
        if below:
            text = tr("; {gap} below the invoice's tokens over {days}")
    elif abs(found.gap_share) < _EQUAL:
        text = tr("; the invoice of {usd} over {days} covers {part} of it: they agree")
    elif below:
        text = tr(
            "; the invoice of {usd} over {days} covers {part} of it: {gap} less than it bills"
        )
    else:
        text = tr(
            "; the invoice of {usd} over {days} covers {part} of it: {gap} more than it bills"
        )
    return text.format(
        gap=share(abs(found.gap_share)),
        usd=usd(found.billed_usd or Decimal(0)),
        part=usd(found.counted_usd),
        days=counted(found.days_of_both, "day"),
    )
