"""The FOCUS export has the columns that FOCUS 1.2 makes mandatory."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from costaudit.contracts.spend import DailyRow
from costaudit.report.focus import COLUMNS, FocusReporter
from tests.report.hostile_audit import hostile_audit
from tests.report.sample_audit import AUDIT
from tests.report.sample_cost import scaled
from tests.report.sample_spend import BY_MODEL

MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory",
    "ServiceName",
}  # fmt: skip


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_golden(matches_golden: Callable[[str, bytes], None]) -> None:
    matches_golden("focus.csv", FocusReporter().render(AUDIT))


def test_the_mandatory_columns_are_there_and_others_are_marked_as_our_own() -> None:
    assert set(COLUMNS) >= MANDATORY
    assert len(set(COLUMNS)) == len(COLUMNS)


def test_cost_and_tokens_add_up_to_the_audit() -> None:
    table = rows(FocusReporter().render(AUDIT))
    assert sum(Decimal(row["BilledCost"]) for row in table) == Decimal("41200.20")
    consumed = sum(int(row["ConsumedQuantity"]) for row in table)
    assert consumed == (6000 + 4000 + 400 + 500 + 3200 + 1600 + 260 + 1600 + 800 + 167) * 1_000_000


def test_list_cost_is_unit_price_times_quantity() -> None:
    priced = [r for r in rows(FocusReporter().render(AUDIT)) if r["ListUnitPrice"]]
    assert len(priced) == 3 * 3
    for row in priced:
        product = Decimal(row["ListUnitPrice"]) * Decimal(row["PricingQuantity"])
        assert product == Decimal(row["ListCost"])


def test_a_logged_cost_that_differs_is_an_adjustment() -> None:
    gpt = BY_MODEL["gpt-4o"]
    model = replace(AUDIT.spend.by["model"][1], cost=replace(gpt, total_usd=Decimal("12000")))
    audit = replace(AUDIT, spend=replace(AUDIT.spend, by={"model": (model,)}))
    table = rows(FocusReporter().render(audit))
    (adjusted,) = [row for row in table if row["ChargeCategory"] == "Adjustment"]
    assert Decimal(adjusted["BilledCost"]) == Decimal(-600)  # 12,000 - 12,600
    assert sum(Decimal(row["BilledCost"]) for row in table) == Decimal(12000)


def test_days_stand_in_their_month() -> None:
    half = scaled(BY_MODEL["gpt-4o"], "0.5")
    daily = (
        DailyRow("2026-01-31", "openai", "gpt-4o", half),
        DailyRow("2026-12-31", "openai", "gpt-4o", half),
    )
    audit = replace(AUDIT, spend=replace(AUDIT.spend, daily=daily))
    periods = {
        row["ChargePeriodStart"]: (
            row["ChargePeriodEnd"], row["BillingPeriodStart"], row["BillingPeriodEnd"]
        )
        for row in rows(FocusReporter().render(audit))
    }  # fmt: skip
    assert periods == {
        "2026-01-31T00:00:00Z": (
            "2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z",
        ),
        "2026-12-31T00:00:00Z": (
            "2027-01-01T00:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z",
        ),
    }  # fmt: skip


def test_no_cell_from_a_log_runs() -> None:
    for row in rows(FocusReporter().render(hostile_audit())):
        assert not [v for v in row.values() if v.startswith(("=", "+", "@", "\t", "\r"))]
