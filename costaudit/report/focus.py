"""Spend in the columns of FOCUS 1.2, the FinOps Open Cost and Usage Specification."""

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO

from costaudit.contracts.audit import Audit
from costaudit.contracts.spend import CostBreakdown, DailyRow, ModelPrice
from costaudit.report.escaping import csv_cell

COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory",
    "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ResourceId",
    "ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter",
    "x_CostGrade", "x_RequestCount",
)  # fmt: skip
_CLASSES = (
    ("Input tokens", ("input_uncached_tokens",), "input_uncached_usd", "input_per_mtok"),
    ("Cache read tokens", ("cache_read_tokens",), "cache_read_usd", "cache_read_per_mtok"),
    (
        "Cache write tokens",
        ("cache_write_5m_tokens", "cache_write_1h_tokens", "cache_write_other_tokens"),
        "cache_write_usd",
        "",  # several rates: no unit price
    ),
    ("Output tokens", ("output_tokens",), "output_usd", "output_per_mtok"),
)  # meter, token fields, dollar field, rate
_UNKNOWN = "not-logged"  # the account is not in a log of calls, and FOCUS wants one


class FocusReporter:
    """Write one row per day, model and token class, or per model where days are not known."""

    name = "focus"
    suffix = ".focus.csv"

    def render(self, audit: Audit) -> bytes:
        """Render as CSV; BilledCost adds up to the audit's spend."""
        sheet = StringIO()
        writer = csv.DictWriter(sheet, COLUMNS, restval="", lineterminator="\r\n")
        writer.writeheader()
        prices = _single_prices(audit)
        for row in _charged(audit):
            for line in _lines(audit, row, prices.get((row.provider, row.model))):
                writer.writerow(
                    {k: csv_cell(v) if isinstance(v, str) else v for k, v in line.items()}
                )
        return sheet.getvalue().encode()


def _charged(audit: Audit) -> Iterator[DailyRow]:
    if audit.spend.daily:
        yield from audit.spend.daily
        return
    providers = {price.model: price.provider for price in audit.spend.prices}
    for row in audit.spend.by.get("model", ()):
        yield DailyRow("", providers.get(row.group, _UNKNOWN), row.group, row.cost)


def _single_prices(audit: Audit) -> dict[tuple[str, str], ModelPrice]:
    """Find the models that had one price throughout."""
    found: dict[tuple[str, str], list[ModelPrice]] = {}
    for price in audit.spend.prices:
        found.setdefault((price.provider, price.model), []).append(price)
    return {key: prices[0] for key, prices in found.items() if len(prices) == 1}


def _lines(audit: Audit, row: DailyRow, price: ModelPrice | None) -> Iterator[dict[str, object]]:
    cost = row.cost
    shared = _shared(audit, row)
    for meter, fields, dollars, rate in _CLASSES:
        used = sum(getattr(cost, field) for field in fields)
        charged: Decimal = getattr(cost, dollars)
        if not used and not charged:
            continue
        yield shared | {
            **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), charged),
            "ChargeCategory": "Usage",
            "ChargeDescription": f"{meter} of {row.model}",
            "ConsumedQuantity": used,
            "ConsumedUnit": "Tokens",
            "ListUnitPrice": getattr(price, rate) if price and rate else "",
            "PricingCategory": "Standard",
            "PricingQuantity": Decimal(used) / 1_000_000,
            "PricingUnit": "1000000 Tokens",
            "SkuId": f"{row.provider}/{row.model}/{meter}",
            "SkuMeter": meter,
        }
    difference = cost.total_usd - _listed(cost)
    if difference:
        billed = dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost"), difference)
        yield (
            shared
            | billed
            | {
                "ListCost": Decimal(0),
                "ChargeCategory": "Adjustment",
                "ChargeDescription": f"Logged cost of {row.model} less its list price",
            }
        )


def _listed(cost: CostBreakdown) -> Decimal:
    return sum((getattr(cost, dollars) for _, _, dollars, _ in _CLASSES), Decimal(0))


def _shared(audit: Audit, row: DailyRow) -> dict[str, object]:
    start, end = _period(audit, row.day)
    month, after = _month(start, end) if row.day else (start, end)
    return {
        "BillingAccountId": _UNKNOWN,
        "BillingCurrency": "USD",
        "BillingPeriodStart": month,
        "BillingPeriodEnd": after,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        "InvoiceIssuerName": row.provider,
        "ProviderName": row.provider,
        "PublisherName": row.provider,
        "ResourceId": row.model,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{row.provider} models",
        "ServiceSubcategory": "Generative AI",
        "x_CostGrade": audit.quality.spend_grade,
        "x_RequestCount": row.cost.requests,
    }


def _period(audit: Audit, day: str) -> tuple[str, str]:
    """Return the first instant of a day, or of the log, and the first one after it."""
    first, last = (day, day) if day else (audit.quality.first_ts[:10], audit.quality.last_ts[:10])
    if not first or not last:
        return "", ""
    after = date.fromisoformat(last) + timedelta(days=1)
    return f"{first}T00:00:00Z", f"{after.isoformat()}T00:00:00Z"


def _month(start: str, end: str) -> tuple[str, str]:
    first = date.fromisoformat(start[:10]).replace(day=1)
    after = (first + timedelta(days=32)).replace(day=1)
    return f"{first.isoformat()}T00:00:00Z", f"{after.isoformat()}T00:00:00Z"
