"""The FOCUS export has the columns of FOCUS 1.4 and keeps its rules, as far as prices are known."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from costaudit.contracts.audit import Audit
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.contracts.spend import DailyRow
from costaudit.report.focus import COLUMNS, FocusReporter
from tests.report.hostile_audit import hostile_audit
from tests.report.sample_audit import AUDIT
from tests.report.sample_cost import scaled
from tests.report.sample_spend import BY_MODEL

MANDATORY = {  # in every Cost and Usage dataset of FOCUS 1.4
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "HostProviderName",
    "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ServiceCategory",
    "ServiceName", "ServiceProviderName",
}  # fmt: skip
OF_UNIT_PRICES = {  # where unit prices are published
    "ContractedUnitPrice", "ListUnitPrice", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId",
}  # fmt: skip
REMOVED = {"ProviderName", "PublisherName"}  # deprecated in 1.3
COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
NEVER_NULL = (
    "BillingAccountId", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart",
    "ChargeCategory", "ChargePeriodEnd", "ChargePeriodStart", "HostProviderName",
    "InvoiceIssuerName", "ServiceCategory", "ServiceName", "ServiceProviderName",
)  # fmt: skip
OF_A_SKU_PRICE = (  # null without a SkuPriceId
    "ConsumedQuantity", "ContractedUnitPrice", "ListUnitPrice", "PricingQuantity",
    "SkuPriceDetails",
)  # fmt: skip
D = Decimal


def broken_rules(row: dict[str, str]) -> list[str]:
    """Return the rules of FOCUS 1.4 on nulls, kinds and products that a row breaks."""
    broken = [f"{name} is null" for name in (*NEVER_NULL, *COSTS) if not row[name]]
    if row["ChargeCategory"] not in ("Usage", "Purchase", "Tax", "Credit", "Adjustment"):
        broken.append("ChargeCategory")
    broken += ["SkuId is null"] * (row["ChargeCategory"] == "Usage" and not row["SkuId"])
    broken += ["SkuMeter without SkuId"] * (bool(row["SkuMeter"]) and not row["SkuId"])
    if not row["SkuPriceId"]:
        broken += ["SkuPriceId is null"] * (row["ChargeCategory"] == "Usage")
        broken += [f"{name} without SkuPriceId" for name in OF_A_SKU_PRICE if row[name]]
        return broken
    for cost, price in (("ListCost", "ListUnitPrice"), ("ContractedCost", "ContractedUnitPrice")):
        apart = D(row[price]) * D(row["PricingQuantity"]) - D(row[cost])
        broken += [f"{cost} is not {price} x PricingQuantity"] * (abs(apart) > D("1E-12"))
    if row["SkuPriceDetails"]:
        keys = json.loads(row["SkuPriceDetails"])
        broken += [f"{key} is no property of FOCUS" for key in keys if not key.startswith("x_")]
    return broken


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_golden(matches_golden: Callable[[str, bytes], None]) -> None:
    matches_golden("focus.csv", FocusReporter().render(AUDIT))


def test_the_columns_are_those_of_focus_and_others_are_marked_as_our_own() -> None:
    assert set(COLUMNS) >= MANDATORY | OF_UNIT_PRICES and not set(COLUMNS) & REMOVED
    own = [name for name in COLUMNS if name.startswith("x_")]
    assert list(COLUMNS) == sorted(set(COLUMNS) - set(own)) + own  # FOCUS columns first, by name


def without_list_price(total_usd: Decimal, *, only_logged: bool = False) -> Audit:
    """Return the sample audit with a day of gpt-4o whose tokens have no list price."""
    nothing = D(0)
    cost = replace(
        BY_MODEL["gpt-4o"], total_usd=total_usd, input_uncached_usd=nothing,
        cache_read_usd=nothing, cache_write_usd=nothing, output_usd=nothing,
    )  # fmt: skip
    tokens = {name: getattr(cost, name) for name in TOKEN_CLASSES if getattr(cost, name)}
    cost = replace(cost, unpriced={} if only_logged else tokens)
    logged = tokens if only_logged else {}
    daily = (DailyRow("2026-06-01", "openai", "gpt-4o", cost, logged),)
    return replace(AUDIT, spend=replace(AUDIT.spend, daily=daily))


def test_every_row_keeps_the_rules() -> None:
    audit = replace(AUDIT, spend=replace(AUDIT.spend, prices=()))  # then every price is an average
    table = rows(FocusReporter().render(AUDIT)) + rows(FocusReporter().render(audit))
    assert len(table) == 20 and not [found for row in table if (found := broken_rules(row))]
    assert {row["x_UnitPrice"] for row in table} == {"list price", "average of several prices"}


def test_tokens_without_a_price_have_no_cost_and_a_reason() -> None:
    """FOCUS wants a cost in each row; an invented one would be a wrong bill."""
    table = rows(FocusReporter().render(without_list_price(D(0))))
    assert [row["x_TokenCount"] for row in table] == ["3200000000", "1600000000", "260000000"]
    for row in table:
        assert not any(row[name] for name in (*COSTS, *OF_A_SKU_PRICE))
        assert row["x_UnpricedReason"] == "no list price for this model: not in the spend"
        assert set(broken_rules(row)) == {*(f"{name} is null" for name in COSTS),
                                          "SkuPriceId is null"}  # fmt: skip


def test_a_logged_cost_without_a_list_price_is_an_adjustment() -> None:
    audit = without_list_price(D(500), only_logged=True)
    *usage, logged = rows(FocusReporter().render(audit))
    assert logged["ChargeCategory"] == "Adjustment" and not broken_rules(logged)
    assert [D(logged[name]) for name in COSTS] == [500] * 4
    assert len(usage) == 3 and not any(row["BilledCost"] for row in usage)
    assert {row["x_UnpricedReason"] for row in usage} == {
        "no list price for this model: the adjustment has its logged cost"
    }


def test_searches_and_media_are_a_charge_of_their_own() -> None:
    gpt = BY_MODEL["gpt-4o"]
    cost = replace(gpt, total_usd=gpt.total_usd + 38, units_usd=D(38))
    daily = (DailyRow("2026-06-01", "openai", "gpt-4o", cost),)
    table = rows(FocusReporter().render(replace(AUDIT, spend=replace(AUDIT.spend, daily=daily))))
    (units,) = [row for row in table if row["SkuMeter"] == "Other units"]
    assert D(units["BilledCost"]) == 38 and units["PricingUnit"] == "Requests"
    assert not [found for row in table if (found := broken_rules(row))]
    assert sum(D(row["BilledCost"]) for row in table) == cost.total_usd


def test_cost_and_tokens_add_up_to_the_audit() -> None:
    table = rows(FocusReporter().render(AUDIT))
    assert sum(Decimal(row["BilledCost"]) for row in table) == Decimal("41200.20")
    consumed = sum(int(row["ConsumedQuantity"]) for row in table)
    assert consumed == (6000 + 4000 + 400 + 500 + 3200 + 1600 + 260 + 1600 + 800 + 167) * 1_000_000


def test_a_unit_price_is_the_list_price_of_a_million() -> None:
    table = rows(FocusReporter().render(AUDIT))
    prices = {row["SkuId"]: D(row["ListUnitPrice"]) for row in table}
    assert prices["anthropic/claude-sonnet-4-5/Cache write tokens"] == D("3.75")
    assert prices["openai/gpt-4o/Cache read tokens"] == D("1.25")
    assert prices["openai/gpt-4o-mini/Output tokens"] == D("0.60")


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
