"""Every amount on a page is one that the audit holds, and a named one is that quantity's own."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from costaudit.contracts.audit import Audit
from costaudit.report.numbers import usd
from tests.pipeline.conftest import page

AMOUNT = re.compile(r"\$([\d,]*\d(?:\.\d+)?)")
FORMS = ("terminal", "md", "html")


def held(value: Any) -> Iterator[Decimal]:
    """Yield every number of an audit that can be an amount."""
    if isinstance(value, Decimal | float):
        yield Decimal(str(value))
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from held(getattr(value, field.name))
    elif isinstance(value, dict | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from held(one)


@pytest.mark.parametrize("form", FORMS)
def test_a_page_prints_no_amount_that_the_audit_lacks(audit: Audit, form: str) -> None:
    told = " ".join(f"{one.value} {one.why}" for one in audit.assumptions)
    assumed = [Decimal(found[1].replace(",", "")) for found in AMOUNT.finditer(told)]
    every = [*held(audit), *assumed]
    known = np.array(sorted({float(abs(one)) for one in every if one.is_finite()}))
    text = page(audit, form)
    strange = []
    for found in AMOUNT.finditer(text):
        printed = Decimal(found[1].replace(",", ""))
        half = Decimal(5).scaleb(int(printed.as_tuple().exponent) - 1)  # of the last digit
        ends = (float(printed - half) * (1 - 1e-9), float(printed + half) * (1 + 1e-9))
        low, high = np.searchsorted(known, ends)
        if low == high:
            strange.append(text[max(found.start() - 60, 0) : found.end() + 20])
    assert strange == []


@pytest.mark.parametrize("form", FORMS)
def test_spend_and_after_are_those_of_the_ledger_wherever_they_are_named(
    audit: Audit, form: str
) -> None:
    text = page(audit, form)
    for name, money in (("Spend now", audit.ledger.before), ("After", audit.ledger.after)):
        own = {usd(money.usd)}
        beside = re.findall(rf"\b{name}[ |]+(\$[\d,.]*\d)", text)
        assert set(beside) <= own, name
        assert beside or form == "md" or not money.usd, name
