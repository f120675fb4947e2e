"""How numbers are written for people: dollars, shares, counts, tokens and times."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from costaudit.contracts.grades import Estimate, Money
from costaudit.report.language import is_priced, separated, style, tr, with_currency
from costaudit.report.language import percent as percentage

MINUS = "−"
_SCALES = ((1_000_000_000, 1_000_000_000, "B"), (1_000_000, 1_000_000, "M"), (10_000, 1_000, "k"))


def usd(amount: Decimal) -> str:
    """Write US dollars in the currency in use: whole from 100 on, cents below that.

    Below a cent, two digits that count are written. If the log has no prices, what is spent or
    saved is not known, so 0 and less are "not priced"; what a cache costs is known.
    """
    amount = amount * style().rate
    size = abs(amount)
    if not is_priced() and amount <= 0:
        return tr("not priced")
    if size == 0:
        return with_currency("0")
    if size >= 100:
        text = f"{size.quantize(Decimal(1), ROUND_HALF_EVEN):,}"
    elif size >= Decimal("0.01"):
        text = f"{size.quantize(Decimal('0.01'), ROUND_HALF_EVEN):,}"
    else:
        digits = 1 - size.adjusted()
        text = f"{size.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN):f}"
    return with_currency(f"{MINUS if amount < 0 else ''}{text}")


def spent(amount: Decimal, unpriced: Mapping[str, int] | bool) -> str:
    """Write an amount as the least that was spent if a part of it has no known price."""
    if not unpriced:
        return usd(amount)
    return f"≥ {usd(amount)}" if amount else tr("not priced")


def usd_range(money: Money) -> str:
    """Write the 95 % interval of an amount; empty where it is exact."""
    if money.low_usd is None or money.high_usd is None:
        return ""
    return _between(usd(money.low_usd), usd(money.high_usd))


def per_mtok(rate: Decimal) -> str:
    """Write a rate in dollars per million tokens, with every digit that counts."""
    rate = rate * style().rate
    text = f"{rate.normalize():f}" if rate else "0"
    whole, _, cents = text.partition(".")
    return with_currency(f"{whole}.{cents.ljust(2, '0')}")


def share(value: float) -> str:
    """Write a share as a percentage: one decimal, two below 1 %."""
    percent = value * 100
    size = abs(percent)
    if size == 0:
        return percentage("0")
    if size < 0.005:
        return f"<{percentage('0.01')}"
    text = f"{size:.2f}" if size < 1 else f"{size:.1f}"
    return f"{MINUS if percent < 0 else ''}{percentage(text)}"


def share_range(estimate: Estimate) -> str:
    """Write the 95 % interval of a share; empty where it is exact."""
    if estimate.low is None or estimate.high is None:
        return ""
    return _between(share(estimate.low), share(estimate.high))


def _between(low: str, high: str) -> str:
    if low == high:
        return ""
    close = MINUS not in low + high and style().language == "en"
    return f"{low}–{high}" if close else tr("{low} to {high}").format(low=low, high=high)


def count(value: float) -> str:
    """Write a whole number with thousands separators."""
    return separated(f"{value:,.0f}").replace("-", MINUS)


def counted(number: int, noun: str) -> str:
    """Write how many there are of something: 1 call, 1,204 calls."""
    return f"{count(number)} {tr(noun if number == 1 else f'{noun}s')}"


def tokens(value: float) -> str:
    """Write a number of tokens short enough for a table: 812, 9,400, 12.3k, 4.5M.

    A billion is a thousand million in English alone; other languages stay with millions.
    """
    scales = _SCALES if style().language == "en" else _SCALES[1:]
    for least, scale, letter in scales:
        if abs(value) >= least:
            return f"{separated(f'{value / scale:,.1f}')}{letter}"
    return count(value)


def milliseconds(value: float) -> str:
    """Write a time given in milliseconds: milliseconds below a second, seconds above."""
    if value >= 1000:
        return f"{separated(f'{value / 1000:,.1f}')} s"
    if 0 < value < 10:
        return f"{separated(f'{value:.1f}' if value >= 0.1 else f'{value:.2g}')} ms"
    return f"{value:.0f} ms"


def whole_usd(value: float) -> str:
    """Write dollars for an axis: every digit of a round number, and no cents where there are none.

    Between two ticks of less than a cent, cents would be the same number twice.
    """
    size = Decimal(f"{abs(value):.4g}") * style().rate
    if not size or size >= 100:
        return usd(Decimal(repr(value)))
    whole, _, cents = f"{Decimal(f'{size:.4g}').normalize():f}".partition(".")
    text = f"{whole}.{cents.ljust(2, '0')}" if cents else whole
    return with_currency(f"{MINUS if value < 0 else ''}{text}")


def seconds(value: float) -> str:
    """Write a time given in seconds in the unit that people would say it in."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if value >= size:
            return separated(f"{value / size:,.1f}".removesuffix(".0")) + f" {unit}"
    return separated(f"{value:,.1f}".removesuffix(".0")) + " s"


def similarity(value: float) -> str:
    """Write a cosine similarity with two decimals, or more where they count.

    A threshold above 1 lets identical text only through, and is named so.
    """
    if value > 1:
        return tr("identical")
    text = f"{value:.4f}".rstrip("0")
    whole, _, digits = text.partition(".")
    return separated(f"{whole}.{digits.ljust(2, '0')}")


def byte_size(value: int) -> str:
    """Write a size in bytes in decimal units."""
    for size, unit in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")):
        if value >= size:
            return f"{separated(f'{value / size:,.1f}')} {unit}"
    return f"{separated(f'{value:,}')} B"
