"""The one sentence that is read first."""

from collections.abc import Sequence
from decimal import Decimal

from costaudit.contracts.audit import DataQuality, Verdict, covered, lost_files, only_a_rate
from costaudit.contracts.grades import Grade, Money, weakest
from costaudit.contracts.ledger import Ledger
from costaudit.contracts.spend import Spend

INVOICE_TOLERANCE = 0.05  # of the invoice
UNPRICED_TOLERANCE = 0.01  # of all tokens


def spend_grade(quality: DataQuality) -> Grade:
    """Grade the spend: measured, unless token counts are estimated, or missing for an answer."""
    guessed = quality.usage.get("estimated", 0) + quality.uncounted
    return "estimated" if guessed else "measured"


def draft_reason(spend: Spend) -> str:
    """Explain why the money is provisional; "" where it is not."""
    reasons = []
    gap = spend.invoice_gap_share
    if gap is not None and abs(gap) > INVOICE_TOLERANCE:
        side = "less" if gap > 0 else "more"
        reasons.append(f"the log explains {abs(gap):.0%} {side} than the invoice")
    if spend.unpriced_share > UNPRICED_TOLERANCE:
        reasons.append(f"{spend.unpriced_share:.1%} of the tokens have no known price")
    return "; ".join(reasons)


def verdict(spend: Spend, ledger: Ledger, quality: DataQuality) -> Verdict:
    """Sum up: dollars a month now and after, the range, the grade and what the log covers.

    Steps that are only assumed, such as routing, are named apart and not counted.
    """
    before = ledger.before
    firm = [step.saved for step in ledger.steps if step.saved.grade != "assumed"]
    saving = _sum([before.grade, *(money.grade for money in firm)], firm)
    after = _less(before.usd, saving)
    share = float(saving.usd / before.usd) if before.usd else 0.0
    draft = draft_reason(spend)
    head = f"{_usd(before.usd)} a month now, {_usd(after.usd)} after: {share:.0%} less"
    ranged = (
        f" ({_usd(saving.low_usd)} to {_usd(saving.high_usd)} saved)"
        if saving.low_usd is not None and saving.high_usd is not None
        else ""
    )
    further = before.usd - saving.usd - ledger.after.usd
    more = f"A further {_usd(further)} rests on assumptions." if further > 0 else ""
    first = f"{head}{ranged}, {saving.grade}, from {_coverage(spend, quality)}."
    lost = lost_files(file.source for file in quality.files)
    sentence = " ".join(part for part in (first, more, only_a_rate(quality), lost) if part)
    if spend.unpriced_share == 1:
        sentence = f"no dollars can be told: no token has a price, in {_log(quality)}."
    return Verdict(
        headline=f"DRAFT: {sentence}" if draft else sentence,
        spend=before,
        after=after,
        saving=saving,
        saving_share=share,
        draft=draft,
        grade=saving.grade,
    )


def _sum(grades: Sequence[Grade], parts: Sequence[Money]) -> Money:
    usd = sum((part.usd for part in parts), Decimal(0))
    if all(part.low_usd is None for part in parts):
        return Money(usd, weakest(grades))
    low = sum((part.usd if part.low_usd is None else part.low_usd for part in parts), Decimal(0))
    high = sum((part.usd if part.high_usd is None else part.high_usd for part in parts), Decimal(0))
    return Money(usd, weakest(grades), low, high)


def _less(before: Decimal, saving: Money) -> Money:
    ends = (saving.high_usd, saving.low_usd)
    low, high = (None if end is None else before - end for end in ends)
    return Money(before - saving.usd, saving.grade, low, high)


def _coverage(spend: Spend, quality: DataQuality) -> str:
    priced = 1 - spend.unpriced_share
    said = f"{priced:.1%} of tokens priced" if priced < 1 else "all tokens priced"
    return f"{_log(quality)}, {said}"


def _log(quality: DataQuality) -> str:
    period = covered(quality)
    if not quality.first_ts:
        period = "a log without times, taken for one month"
    requests = "1 request" if quality.kept == 1 else f"{quality.kept:,} requests"
    return f"{requests} over {period}"


def _usd(amount: Decimal) -> str:
    """Write whole dollars from 100 on, cents below, and two digits that count below a cent."""
    size = abs(amount)
    digits = 0 if size >= 100 else 2
    if 0 < size < Decimal("0.01"):
        digits = 1 - size.adjusted()
    return f"{'-' if amount < 0 else ''}${size:,.{digits}f}"
