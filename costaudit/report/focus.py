"""Spend in the columns of FOCUS 1.4, the FinOps Open Cost and Usage Specification."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO

from costaudit.contracts.audit import Audit
from costaudit.contracts.spend import DailyRow, ModelPrice
from costaudit.report.escaping import csv_cell

COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost",
    "ContractedUnitPrice", "EffectiveCost", "HostProviderName", "InvoiceIssuerName", "ListCost",
    "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "ResourceId",
    "ResourceType", "ServiceCategory", "ServiceName", "ServiceProviderName", "ServiceSubcategory",
    "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId",
    "x_CostGrade", "x_RequestCount", "x_TokenCount", "x_UnitPrice", "x_UnpricedReason",
)  # fmt: skip
_COSTS = ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")
_PER_UNIT = ("ListUnitPrice", "ContractedUnitPrice")
_MTOK = 1_000_000
_UNKNOWN = "not-logged"  # the account is not in a log of calls, and FOCUS wants one
_UNPRICED = "no list price for this model: not in the spend"
_ONLY_LOGGED = "no list price for this model: the adjustment has its logged cost"


@dataclass(frozen=True)
class _Meter:
    """A token class as a FOCUS meter; FOCUS 1.4 defines no property of tokens."""

    name: str
    direction: str
    cache: str
    dollars: str  # field of CostBreakdown
    rates: dict[str, str]  # token field of CostBreakdown → its rate in ModelPrice; "": unknown


_METERS = (
    _Meter(
        "Input tokens", "Input", "None", "input_uncached_usd",
        {"input_uncached_tokens": "input_per_mtok"},
    ),
    _Meter(
        "Cache read tokens", "Input", "Read", "cache_read_usd",
        {"cache_read_tokens": "cache_read_per_mtok"},
    ),
    _Meter(
        "Cache write tokens", "Input", "Write", "cache_write_usd",
        {
            "cache_write_5m_tokens": "cache_write_5m_per_mtok",
            "cache_write_1h_tokens": "cache_write_1h_per_mtok",
            "cache_write_other_tokens": "",
        },
    ),
    _Meter(
        "Output tokens", "Output", "None", "output_usd", {"output_tokens": "output_per_mtok"}
    ),
)  # fmt: skip


class FocusReporter:
    """Write one row per day, model and token class, or per model where days are not known."""

    name = "focus"
    suffix = ".focus.csv"

    def render(self, audit: Audit) -> bytes:
        """Render as CSV; BilledCost adds up to the audit's spend, and is null without a price."""
        sheet = StringIO()
        writer = csv.DictWriter(sheet, COLUMNS, restval="", lineterminator="\r\n")
        writer.writeheader()
        prices = _single_prices(audit)
        for row in _charged(audit):
            for line in _lines(audit, row, prices.get((row.provider, row.model))):
                writer.writerow({name: _cell(value) for name, value in line.items()})
        return sheet.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    return csv_cell(value) if isinstance(value, str) else value


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
    shared = _shared(audit, row)
    for meter in _METERS:
        yield from (shared | line for line in _of_meter(row, meter, price))
    if row.cost.units_usd:
        yield shared | _of_units(row)
    listed = sum((getattr(row.cost, meter.dollars) for meter in _METERS), row.cost.units_usd)
    difference = row.cost.total_usd - listed
    if difference:
        yield shared | dict.fromkeys(_COSTS, difference) | {
            "ChargeCategory": "Adjustment",
            "ChargeDescription": f"Logged cost of {row.model} less its list price",
        }  # fmt: skip


def _of_meter(
    row: DailyRow, meter: _Meter, price: ModelPrice | None
) -> Iterator[dict[str, object]]:
    """Yield the charge of one token class, and its tokens without a list price."""
    tokens = {name: getattr(row.cost, name) for name in meter.rates}
    usage: dict[str, object] = {
        "ChargeCategory": "Usage",
        "SkuId": f"{row.provider}/{row.model}/{meter.name}",
        "SkuMeter": meter.name,
    }
    for without, why in ((row.cost.unpriced, _UNPRICED), (row.only_logged, _ONLY_LOGGED)):
        lost = sum(without.get(name, 0) for name in tokens)
        if lost:
            yield usage | {
                "ChargeDescription": f"{meter.name} of {row.model}, without a price",
                "x_TokenCount": lost,
                "x_UnpricedReason": why,
            }
        tokens = {name: used - without.get(name, 0) for name, used in tokens.items()}
    used, charged = sum(tokens.values()), getattr(row.cost, meter.dollars)
    if used:
        quantity = Decimal(used) / _MTOK
        rate = _rate({name for name, count in tokens.items() if count}, meter, price)
        yield usage | _priced(charged, quantity, rate) | {
            "ChargeDescription": f"{meter.name} of {row.model}",
            "ConsumedQuantity": used,
            "ConsumedUnit": "Tokens",
            "PricingUnit": f"{_MTOK} Tokens",
            "SkuPriceDetails": _details(row, meter),
            "SkuPriceId": usage["SkuId"],
            "x_TokenCount": used,
        }  # fmt: skip


def _rate(classes: set[str], meter: _Meter, price: ModelPrice | None) -> Decimal | None:
    """Return the list price of all tokens of a charge; None if they have several."""
    if price is None or len(classes) != 1:
        return None
    found = meter.rates[classes.pop()]
    return getattr(price, found) if found else None


def _priced(charged: Decimal, quantity: Decimal, rate: Decimal | None) -> dict[str, object]:
    per_unit = charged / quantity if rate is None else rate
    return {
        **dict.fromkeys(_COSTS, charged),
        **dict.fromkeys(_PER_UNIT, per_unit),
        "PricingCategory": "Standard",
        "PricingQuantity": quantity,
        "x_UnitPrice": "average of several prices" if rate is None else "list price",
    }


def _of_units(row: DailyRow) -> dict[str, object]:
    """Return the charge of searches, media and other units, whose counts are of several kinds."""
    sku = f"{row.provider}/{row.model}/Other units"
    return _priced(row.cost.units_usd, Decimal(row.cost.requests), None) | {
        "ChargeCategory": "Usage",
        "ChargeDescription": f"Searches, media and other units of {row.model}",
        "ConsumedQuantity": row.cost.requests,
        "ConsumedUnit": "Requests",
        "PricingUnit": "Requests",
        "SkuId": sku,
        "SkuMeter": "Other units",
        "SkuPriceId": sku,
    }


def _details(row: DailyRow, meter: _Meter) -> str:
    properties = {
        "x_Model": row.model,
        "x_TokenCacheAction": meter.cache,
        "x_TokenDirection": meter.direction,
    }
    return json.dumps(properties, ensure_ascii=False, separators=(",", ":"))


def _shared(audit: Audit, row: DailyRow) -> dict[str, object]:
    start, end = _period(audit, row.day)
    month, after = _month(start) if row.day else (start, end)
    provider = row.provider or _UNKNOWN
    return {
        "BillingAccountId": _UNKNOWN,
        "BillingCurrency": "USD",
        "BillingPeriodStart": month,
        "BillingPeriodEnd": after,
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        "HostProviderName": provider,
        "InvoiceIssuerName": provider,
        "ResourceId": row.model,
        "ResourceType": "Model" if row.model else "",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": f"{provider} models",
        "ServiceProviderName": provider,
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


def _month(start: str) -> tuple[str, str]:
    first = date.fromisoformat(start[:10]).replace(day=1)
    after = (first + timedelta(days=32)).replace(day=1)
    return f"{first.isoformat()}T00:00:00Z", f"{after.isoformat()}T00:00:00Z"
