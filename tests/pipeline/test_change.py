"""The change between two audits is split into the causes that were planted."""

from dataclasses import replace
from decimal import Decimal

import pytest

from costaudit.contracts.audit import Audit
from costaudit.contracts.spend import CostBreakdown, SpendRow
from costaudit.pipeline.change import causes_of_change
from costaudit.report.compare import compare
from costaudit.report.comparison import comparison_markdown, comparison_terminal
from tests.report.sample_audit import AUDIT
from tests.report.sample_cost import GPT, MINI, added, cost

# 1,000 requests of 1,000 + 200 tokens: 1,000 x (1,000 x 2.50 + 200 x 10) / 1M = 2.50 + 2 = 4.50
BASE = cost(1_000, ("1", "0", "0", "0.2"), GPT)
MORE = cost(2_000, ("2", "0", "0", "0.4"), GPT)
LONGER = cost(1_000, ("1.5", "0", "0", "0.2"), GPT)
DEARER = replace(BASE, total_usd=BASE.total_usd * 2)  # as logged, at twice the list price
UNLISTED = replace(
    BASE, input_uncached_usd=Decimal(0), output_usd=Decimal(0), total_usd=Decimal("4.5")
)
SEARCHES = replace(BASE, units_usd=Decimal(3), total_usd=BASE.total_usd + 3)


def audit(**costs: CostBreakdown) -> Audit:
    """Return an audit of models with these costs in a log that is a month."""
    total = added(list(costs.values()))
    rows = tuple(SpendRow(name, one, 0.0, 0.0, None, None) for name, one in costs.items())
    return replace(
        AUDIT,
        spend=replace(AUDIT.spend, total=total, by={"model": rows}),
        month=replace(AUDIT.month, requests=total.requests),
    )


@pytest.mark.parametrize(
    ("base", "new", "factor", "usd"),
    [
        (BASE, MORE, "requests", 4.5),
        (BASE, LONGER, "tokens per request", 1.25),  # 1,000 x 500 tokens at 2.50
        (BASE, DEARER, "prices", 4.5),
        (BASE, SEARCHES, "tokens per request", 3.0),
        (UNLISTED, replace(UNLISTED, total_usd=Decimal(9)), "prices", 4.5),
    ],
)
def test_one_cause_takes_the_whole_change(
    base: CostBreakdown, new: CostBreakdown, factor: str, usd: float
) -> None:
    found = {one.factor: float(one.usd) for one in causes_of_change(audit(a=base), audit(a=new))}
    assert found.pop(factor) == pytest.approx(usd)  # type: ignore[call-overload]
    assert found and not any(found.values())


def test_the_causes_of_all_models_add_up_to_the_change() -> None:
    mini = cost(500, ("2", "1", "0", "0.1"), MINI)
    base, new = audit(a=BASE, b=mini, c=SEARCHES), audit(a=LONGER, b=DEARER, d=UNLISTED)
    causes = causes_of_change(base, new)
    change = new.spend.total.total_usd - base.spend.total.total_usd
    assert float(sum(one.usd for one in causes)) == pytest.approx(float(change), abs=4e-6)
    assert all(one.usd for one in causes)


def test_months_and_logs_have_no_common_causes() -> None:
    short = replace(audit(a=MORE), month=replace(AUDIT.month, period="log"))
    assert causes_of_change(audit(a=BASE), short) == ()


def test_the_comparison_names_requests_tokens_and_causes() -> None:
    base, new = audit(a=BASE), audit(a=replace(LONGER, requests=2_000))
    compared = compare(base, new, drivers=causes_of_change(base, new))
    rows = {one.name: [one.base, one.new] for one in compared.changes}
    assert rows["Requests a month"] == [Decimal(1_000), Decimal(2_000)]
    assert rows["Input tokens per request"] == [Decimal(1_000), Decimal(750)]
    assert rows["Output tokens per request"] == [Decimal(200), Decimal(100)]
    markdown, terminal = comparison_markdown(compared), comparison_terminal(compared)
    assert b"| Requests a month | 1,000 | 2,000 | +1,000 (+100.0%) |" in markdown
    assert "| tokens per request | −$" in markdown.decode()
    assert "tokens per request" in terminal.decode() and "by cause" in terminal.decode()
    assert compare(base, base, drivers=causes_of_change(base, base)).drivers == ()
