"""Compare an invoice with the log, by provider, model and day."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from costaudit.contracts.grades import micro_usd
from costaudit.contracts.spend import (
    Bill,
    BilledTokens,
    BillLine,
    CostBreakdown,
    Covered,
    DailyRow,
    InvoiceRow,
    Reconciliation,
    Spend,
)
from costaudit.costing.months.partial_days import WHOLE_DAYS, PartialDays
from costaudit.costing.prices.names import family
from costaudit.errors import UsageError

Place = tuple[str, str, str]  # provider, model, day


@dataclass
class _Sum:
    """What was billed or counted for one provider, model and day."""

    usd: Decimal | None = None
    tokens: BilledTokens | None = None
    requests: int | None = None

    def add(self, usd: Decimal | None, tokens: BilledTokens | None, requests: int | None) -> None:
        if usd is not None:
            self.usd = (self.usd or Decimal(0)) + usd
        if tokens is not None:
            self.tokens = (self.tokens or BilledTokens()) + tokens
        if requests is not None:
            self.requests = (self.requests or 0) + requests


@dataclass
class _Sides:
    """What the invoice and the log say about one provider, model and day."""

    billed: _Sum | None = None
    counted: _Sum | None = None


@dataclass
class _Found:
    """All places that the invoice or the log names, and amounts that belong to no call."""

    places: dict[Place, _Sides] = field(default_factory=dict)
    credits_usd: Decimal = Decimal(0)
    other_usd: Decimal = Decimal(0)


def reconciled(
    spend: Spend, bill: Bill, rates: Mapping[str, Decimal], partial: PartialDays = WHOLE_DAYS
) -> Spend:
    """Return the spend with its comparison to the invoice (see `reconcile`)."""
    found = reconcile(bill, spend.daily, rates, partial)
    return replace(
        spend, invoice=found, invoice_usd=found.billed_usd, invoice_gap_share=found.gap_share
    )


def reconcile(
    bill: Bill,
    daily: Sequence[DailyRow],
    rates: Mapping[str, Decimal],
    partial: PartialDays = WHOLE_DAYS,
) -> Reconciliation:
    """Compare a bill with what the log counts, over the days that both cover in full.

    Days that the log covers in part are shown and not compared.

    `daily` is the log's spend by day, provider and model; `rates` says how many dollars a unit of
    another currency is worth. Raises UsageError for a currency without a rate. Credits, taxes and
    fees are listed separately: no call causes them.
    """
    check_currencies(bill, rates)
    partly = set(partial.partly)
    priced = {line.provider for line in bill.lines if line.amount is not None}
    timed = [row for row in daily if row.day]
    log_days = _between(row.day for row in timed)
    found = _found(bill, timed, rates)
    days = [
        _row(place, sides, _Scope(bill, log_days, priced, frozenset(partly)))
        for place, sides in sorted(found.places.items())
    ]
    both = [row for row in days if row.covered == "both"]
    rows = _by_model(both, priced)
    compared = [row for row in rows if row.provider in priced]
    compared = compared or [row for row in rows if row.billed_tokens is not None]
    billed = _total(row.billed_usd for row in compared)
    counted = _total(row.counted_usd for row in compared) or Decimal(0)
    gap, of = _gap(compared, billed, counted)
    covered = {day for each in bill.days.values() for day in each}
    return Reconciliation(
        files=bill.files,
        rows=tuple(rows),
        days=tuple(days),
        billed_usd=billed,
        counted_usd=counted,
        credits_usd=found.credits_usd,
        other_usd=found.other_usd,
        currency=", ".join(sorted({line.currency for line in bill.lines})) or "USD",
        rates={currency: rates[currency] for currency in sorted(_others(bill))},
        days_of_both=len((covered & log_days) - partly),
        partly=tuple(sorted(covered & log_days & partly)),
        only_invoice=tuple(sorted(covered - log_days)),
        only_log=tuple(sorted(log_days - covered)),
        providers_without=tuple(sorted({row.provider for row in timed} - bill.days.keys())),
        gap_share=gap,
        gap_of=of,
        notes=(*_notes(bill, daily, priced), *_untold(covered & set(partial.untold))),
    )


def check_currencies(bill: Bill, rates: Mapping[str, Decimal]) -> None:
    """Raise UsageError for a currency without a rate."""
    missing = sorted(_others(bill) - rates.keys())
    if missing:
        raise UsageError(
            f"The invoice is in {', '.join(missing)}, and the log is priced in USD.",
            hint=f"Say what a unit was in dollars: --invoice-rate {missing[0]}=1.08",
        )


def _others(bill: Bill) -> set[str]:
    return {line.currency for line in bill.lines} - {"USD"}


def _between(days: Iterable[str]) -> set[str]:
    """Return all days from the first to the last; a day without a call counts as covered."""
    known = sorted(set(days))
    if not known:
        return set()
    first, last = date.fromisoformat(known[0]), date.fromisoformat(known[-1])
    return {(first + timedelta(n)).isoformat() for n in range((last - first).days + 1)}


def _found(bill: Bill, timed: Sequence[DailyRow], rates: Mapping[str, Decimal]) -> _Found:
    found = _Found()
    counted = [row for row in timed if row.provider in bill.days]
    names = _common_names(bill.lines, counted)
    for line in bill.lines:
        rate = Decimal(1) if line.currency == "USD" else rates[line.currency]
        usd = None if line.amount is None else line.amount * rate
        if line.charge == "credit":
            found.credits_usd += usd or Decimal(0)
        elif line.charge == "other":
            found.other_usd += usd or Decimal(0)
        else:
            place = line.provider, names[line.provider, line.model, "billed"], line.day
            sides = found.places.setdefault(place, _Sides())
            sides.billed = sides.billed or _Sum()
            sides.billed.add(usd, line.tokens, line.requests)
    for row in counted:
        place = row.provider, names[row.provider, row.model, "counted"], row.day
        sides = found.places.setdefault(place, _Sides())
        sides.counted = sides.counted or _Sum()
        sides.counted.add(row.cost.total_usd, _tokens(row.cost), row.cost.requests)
    return found


def _tokens(cost: CostBreakdown) -> BilledTokens:
    written = (
        cost.cache_write_5m_tokens + cost.cache_write_1h_tokens + cost.cache_write_other_tokens
    )
    return BilledTokens(
        cost.input_uncached_tokens, cost.cache_read_tokens, written, cost.output_tokens
    )


def _common_names(
    lines: Sequence[BillLine], counted: Sequence[DailyRow]
) -> dict[tuple[str, str, str], str]:
    """Return a common name for each (provider, model, side); side is "billed" or "counted".

    A name is kept if the bill has all of the log's names of its family, or if only one side has
    names of the family. Otherwise the family is compared as a whole: a bill's `gpt-4o` may include
    the calls of `gpt-4o` and of `gpt-4o-2024-08-06`. If a provider's bill names no model, all of
    its models are compared together.
    """
    common: dict[tuple[str, str, str], str] = {}
    for provider in {line.provider for line in lines} | {row.provider for row in counted}:
        names = {
            "billed": {
                line.model for line in lines if line.provider == provider and line.charge == "usage"
            },
            "counted": {row.model for row in counted if row.provider == provider},
        }
        for side, name in ((side, name) for side, found in names.items() for name in found):
            own = family(name)
            billed, other = ({one for one in each if family(one) == own} for each in names.values())
            is_shared = billed and other and not other <= billed
            common[provider, name, side] = own if is_shared else name
            if names["billed"] == {""}:
                common[provider, name, side] = ""
    return common


@dataclass(frozen=True)
class _Scope:
    """What both sides cover."""

    bill: Bill
    log_days: set[str]
    priced: set[str]  # providers whose bill has dollars
    partly: frozenset[str]  # days of the log that lack hours


def _row(place: Place, sides: _Sides, scope: _Scope) -> InvoiceRow:
    provider, _, day = place
    covered: Covered = "both"
    if day not in scope.log_days:
        covered = "invoice only"
    elif day not in scope.bill.days.get(provider, ()):
        covered = "log only"
    elif day in scope.partly:
        covered = "log in part"
    return _compared(place, covered, sides, has_usd=provider in scope.priced)


def _compared(place: Place, covered: Covered, sides: _Sides, *, has_usd: bool) -> InvoiceRow:
    billed, counted = sides.billed or _Sum(), sides.counted or _Sum()
    difference = None
    if covered == "both" and has_usd:
        difference = (billed.usd or Decimal(0)) - (counted.usd or Decimal(0))
    return InvoiceRow(
        *place,
        covered,
        billed_usd=_micro(billed.usd),
        counted_usd=_micro(counted.usd),
        difference_usd=_micro(difference),
        billed_tokens=billed.tokens,
        counted_tokens=counted.tokens,
        billed_requests=billed.requests,
        counted_requests=counted.requests,
    )


def _micro(usd: Decimal | None) -> Decimal | None:
    return None if usd is None else micro_usd(usd)


def _by_model(days: Sequence[InvoiceRow], priced: set[str]) -> list[InvoiceRow]:
    sums: dict[tuple[str, str], _Sides] = {}
    for row in days:
        sides = sums.setdefault((row.provider, row.model), _Sides(_Sum(), _Sum()))
        assert sides.billed is not None and sides.counted is not None
        sides.billed.add(row.billed_usd, row.billed_tokens, row.billed_requests)
        sides.counted.add(row.counted_usd, row.counted_tokens, row.counted_requests)
    rows = [
        _compared((provider, model, ""), "both", sides, has_usd=provider in priced)
        for (provider, model), sides in sums.items()
    ]
    return sorted(
        rows, key=lambda row: (-max(row.billed_usd or 0, row.counted_usd or 0), row.model)
    )


def _total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known else None


def _gap(
    rows: Sequence[InvoiceRow], billed: Decimal | None, counted: Decimal
) -> tuple[float | None, Literal["dollars", "tokens"]]:
    if billed is not None:
        return (float((billed - counted) / billed) if billed else None), "dollars"
    tokens = sum(row.billed_tokens.all for row in rows if row.billed_tokens)
    own = sum(row.counted_tokens.all for row in rows if row.counted_tokens)
    return ((tokens - own) / tokens if tokens else None), "tokens"


def _untold(days: set[str]) -> Iterable[str]:
    if days:
        yield (
            f"It can't be told whether the log holds all of {', '.join(sorted(days))}: no other "
            "day shows the hours that are missing."
        )


def _notes(bill: Bill, daily: Sequence[DailyRow], priced: set[str]) -> Iterable[str]:
    yield from bill.notes
    untimed = sum(row.cost.requests for row in daily if not row.day)
    if untimed:
        yield f"{untimed:,} requests without a time can't be compared by day."
    if bill.is_cut:
        yield "The report says that it has further pages, which are not in the file."
    if bill.left_out:
        yield f"{bill.left_out:,} lines of the invoice are for other services."
    if bare := sorted(bill.days.keys() - priced):
        yield f"The report of {', '.join(bare)} counts tokens and has no dollars."
