"""The one sentence that is read first."""

from decimal import Decimal

from costaudit.contracts.audit import DataQuality, Verdict
from costaudit.contracts.grades import Grade, Money
from costaudit.contracts.ledger import Ledger
from costaudit.contracts.spend import Spend

INVOICE_TOLERANCE = 0.05  # of the invoice
UNPRICED_TOLERANCE = 0.01  # of all tokens


def spend_grade(quality: DataQuality) -> Grade:
    """Grade the spend: measured, unless some token counts are estimated or missing."""
    guessed = quality.usage.get("estimated", 0) + quality.usage.get("missing", 0)
    return "estimated" if guessed else "measured"


def draft_reason(spend: Spend) -> str:
    """Say why the money is provisional; "" where it is not."""
    reasons = []
    gap = spend.invoice_gap_share
    if gap is not None and abs(gap) > INVOICE_TOLERANCE:
        side = "less" if gap > 0 else "more"
        reasons.append(f"the log explains {abs(gap):.0%} {side} than the invoice")
    if spend.unpriced_share > UNPRICED_TOLERANCE:
        reasons.append(f"{spend.unpriced_share:.1%} of the tokens have no known price")
    return "; ".join(reasons)


def verdict(spend: Spend, ledger: Ledger, quality: DataQuality) -> Verdict:
    """Sum up: dollars a month now and after, the range, the grade and what the log covers."""
    before, after = ledger.before, ledger.after
    usd = before.usd - after.usd
    low, high = (
        (before.usd - after.high_usd, before.usd - after.low_usd)
        if after.high_usd is not None and after.low_usd is not None
        else (None, None)
    )
    saving = Money(usd, after.grade, low, high)
    share = float(usd / before.usd) if before.usd else 0.0
    draft = draft_reason(spend)
    head = f"{_usd(before.usd)} a month now, {_usd(after.usd)} after: {share:.0%} less"
    ranged = f" ({_usd(low)} to {_usd(high)} saved)" if low is not None and high is not None else ""
    sentence = f"{head}{ranged}, {after.grade}, from {_coverage(spend, quality)}."
    return Verdict(
        headline=f"DRAFT: {sentence}" if draft else sentence,
        spend=before,
        after=after,
        saving=saving,
        saving_share=share,
        draft=draft,
        grade=after.grade,
    )


def _coverage(spend: Spend, quality: DataQuality) -> str:
    period = f"{quality.covered_days:.1f} days"
    if not quality.first_ts:
        period = "a log without times, taken for one month"
    elif quality.covered_days < 1:
        period = f"{quality.covered_days * 24:.0f} hours"
    priced = 1 - spend.unpriced_share
    said = f"{priced:.1%} of tokens priced" if priced < 1 else "all tokens priced"
    return f"{quality.kept:,} requests over {period}, {said}"


def _usd(amount: Decimal) -> str:
    text = f"${abs(amount):,.2f}" if abs(amount) < 100 else f"${abs(amount):,.0f}"
    return f"-{text}" if amount < 0 else text
