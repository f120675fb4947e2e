"""Amounts and breakdowns for the sample audit, priced at rates that can be checked by hand."""

from decimal import Decimal

from costaudit.contracts.grades import Grade, Money
from costaudit.contracts.spend import CostBreakdown

D = Decimal


def money(
    usd: str, grade: Grade = "simulated", low: str | None = None, high: str | None = None
) -> Money:
    """Return an amount with its interval."""
    return Money(D(usd), grade, D(low) if low else None, D(high) if high else None)


def cost(
    requests: int, millions: tuple[str, str, str, str], rates: tuple[str, ...]
) -> CostBreakdown:
    """Price millions of (uncached, read, 5m write, output) tokens at rates per million."""
    usd = [D(m) * D(r) for m, r in zip(millions, rates, strict=True)]
    uncached, read, write, output = (int(D(m) * 1_000_000) for m in millions)
    return CostBreakdown(
        requests=requests,
        input_uncached_tokens=uncached,
        cache_read_tokens=read,
        cache_write_5m_tokens=write,
        cache_write_1h_tokens=0,
        cache_write_other_tokens=0,
        output_tokens=output,
        input_uncached_usd=usd[0],
        cache_read_usd=usd[1],
        cache_write_usd=usd[2],
        output_usd=usd[3],
        total_usd=sum(usd, D(0)),
    )


def scaled(whole: CostBreakdown, part: str) -> CostBreakdown:
    """Return a share of a breakdown; tokens and requests are rounded down, dollars are exact."""
    by = D(part)
    values = {
        name: int(value * by) if isinstance(value, int) else value * by
        for name, value in vars(whole).items()
        if name != "unpriced"
    }
    return CostBreakdown(**values)  # type: ignore[arg-type]


def added(parts: list[CostBreakdown]) -> CostBreakdown:
    """Return the sum of breakdowns."""
    names = [name for name in vars(parts[0]) if name != "unpriced"]
    return CostBreakdown(**{name: sum(getattr(p, name) for p in parts) for name in names})


SONNET = ("3", "0.30", "3.75", "15")
MINI = ("0.15", "0.075", "0.15", "0.60")
GPT = ("2.50", "1.25", "2.50", "10")
