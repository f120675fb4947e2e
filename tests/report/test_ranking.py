"""The order of findings, and what each means to the reader."""

from dataclasses import replace
from decimal import Decimal
from typing import Literal

import pytest

from costaudit.contracts.audit import Finding
from costaudit.contracts.grades import Grade, Money
from costaudit.report.summary import Severity, ranked_findings, severity
from tests.report.sample_audit import AUDIT


def test_money_first_then_severity_then_code() -> None:
    codes = [finding.code for finding in ranked_findings(AUDIT)]
    assert codes == [
        "prefix-timestamp", "semantic-recommended", "retries", "skipped-rows", "unpriced",
    ]  # fmt: skip
    backwards = replace(AUDIT, findings=AUDIT.findings[::-1])
    assert [finding.code for finding in ranked_findings(backwards)] == codes


D = Decimal
BILL = D(10_000)  # so that 0.5 % is $50


@pytest.mark.parametrize(
    ("usd", "low", "grade", "means"),
    [
        ("50", None, "simulated", "saving"),
        ("50", "1", "estimated", "saving"),
        ("9000", None, "measured", "saving"),
        ("50", "0", "estimated", "note"),  # may be none
        ("49.99", None, "measured", "note"),  # less than 0.5 %
        ("9000", None, "assumed", "note"),
    ],
)
def test_money_is_a_saving_if_it_counts_for_the_bill(
    usd: str, low: str | None, grade: Grade, means: Severity
) -> None:
    saved = Money(D(usd), grade, D(low) if low else None, D("99999") if low else None)
    for kind in ("warning", "info"):
        assert severity(Finding("retries", kind, "", "", "", saved), BILL) == means


@pytest.mark.parametrize(
    ("code", "kind", "usd", "means"),
    [
        ("unpriced", "problem", None, "problem"),
        ("invoice-gap", "problem", None, "problem"),
        ("log-gap", "problem", None, "problem"),
        ("other", "problem", "50", "problem"),
        ("other", "problem", "49", "caution"),
        ("other", "problem", None, "caution"),
        ("other", "warning", None, "caution"),
        ("other", "info", None, "note"),
    ],
)
def test_a_problem_questions_the_numbers_or_costs_half_a_percent(
    code: str, kind: Literal["info", "warning", "problem"], usd: str | None, means: Severity
) -> None:
    saved = Money(D(usd), "measured") if usd else None
    assert severity(Finding(code, kind, "", "", "", saved), BILL) == means
