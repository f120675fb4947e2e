"""Write the verdict: the sentence that is read first."""

from decimal import Decimal

from costaudit.contracts.audit import DataQuality, Verdict, covered, lost_files
from costaudit.contracts.ledger import Ledger
from costaudit.contracts.month import MonthFacts
from costaudit.contracts.spend import Spend

INVOICE_TOLERANCE = 0.05  # of the invoice
UNPRICED_TOLERANCE = 0.01  # of all tokens
MERGED_TOLERANCE = Decimal("0.01")  # of the spend


def draft_reason(spend: Spend) -> str:
    """Return why the money is provisional; "" if it is not."""
    reasons = []
    gap = spend.invoice_gap_share
    if gap is not None and abs(gap) > INVOICE_TOLERANCE:
        side = "less" if gap > 0 else "more"
        reasons.append(f"the log explains {abs(gap):.0%} {side} than the invoice")
    if spend.unpriced_share > UNPRICED_TOLERANCE:
        reasons.append(f"{spend.unpriced_share:.1%} of the tokens have no known cost")
    return "; ".join(reasons)


def verdict(spend: Spend, ledger: Ledger, quality: DataQuality, month: MonthFacts) -> Verdict:
    """Return the verdict: dollars now and after, the range, the grade and what the log covers.

    Steps that are only assumed are named separately and not counted.
    """
    before, saving, after = ledger.before, ledger.saving, ledger.after_firm
    share = float(saving.usd / before.usd) if before.usd else 0.0
    draft = draft_reason(spend)
    now = "a month now" if month.is_month else "in this log"
    would = "after" if month.is_month else "with every step"
    head = f"{_usd(before.usd)} {now}, {_usd(after.usd)} {would}: {share:.0%} less"
    ranged = (
        f" ({_usd(saving.low_usd)} to {_usd(saving.high_usd)} saved)"
        if saving.low_usd is not None and saving.high_usd is not None and saving.usd
        else ""
    )
    further = after.usd - ledger.after.usd
    sentence = " ".join(
        part
        for part in (
            f"{head}{ranged}, {saving.grade}, from {_coverage(spend, quality)}.",
            f"A further {_usd(further)} depends on assumptions." if further > 0 else "",
            "" if month.is_month else month.reasons[0] if month.reasons else "",
            worth_said(ledger),
            once(spend),
            lost_files(file.source for file in quality.files),
        )
        if part
    )
    if spend.unpriced_share == 1:
        counted = spend.unpriced_requests or not quality.uncounted
        why = "no token has a price" if counted else "no call has token counts"
        sentence = f"no dollars can be given: {why}, in {_log(quality)}."
    return Verdict(
        headline=f"DRAFT: {sentence}" if draft else sentence,
        spend=before,
        after=after,
        saving=saving,
        saving_share=share,
        draft=draft,
        grade=saving.grade,
    )


def worth_said(ledger: Ledger) -> str:
    """Return a sentence about how many steps pay for their effort; "" if the month is unknown."""
    judged = [step for step in ledger.steps if step.worth is not None]
    paying = sum(step.worth is True for step in judged)
    if not judged or paying == len(judged):
        return ""
    months = f"{ledger.horizon_months} months"
    if not paying:
        return f"At this traffic no step pays for its effort within {months}."
    return f"{paying} of {len(judged)} steps pay for their effort within {months}."


def once(spend: Spend) -> str:
    """Return a sentence about repeated records; "" if they cost less than MERGED_TOLERANCE."""
    found = spend.counting
    if found.merged_usd <= MERGED_TOLERANCE * spend.total.total_usd:
        return ""
    if found.merged_calls == 1:
        return f"1 record of {_usd(found.merged_usd)} repeats a call and is not counted."
    return (
        f"{found.merged_calls:,} records of {_usd(found.merged_usd)} repeat calls and are not "
        "counted."
    )


def _coverage(spend: Spend, quality: DataQuality) -> str:
    priced = 1 - spend.unpriced_share
    said = f"{priced:.1%} of tokens priced" if priced < 1 else "all tokens priced"
    return f"{_log(quality)}, {said}"


def _log(quality: DataQuality) -> str:
    requests = "1 request" if quality.kept == 1 else f"{quality.kept:,} requests"
    return f"{requests} over {covered(quality)}"


def _usd(amount: Decimal) -> str:
    """Return dollars as text: whole from 100 on, cents below, two digits below a cent."""
    size = abs(amount)
    digits = 0 if size >= 100 else 2
    if 0 < size < Decimal("0.01"):
        digits = 1 - size.adjusted()
    return f"{'-' if amount < 0 else ''}${size:,.{digits}f}"
