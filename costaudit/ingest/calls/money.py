"""Read the logged cost of a call: an amount, and its currency in the same or another field."""

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import Raw

from costaudit.ingest.calls.call import Call
from costaudit.ingest.calls.fields import currency_of, parsed

CURRENCY = ("cost_unit", "cost_currency", "currency", "currency_code", "billing_currency")
_BARE = {name.replace("_", ""): rank for rank, name in enumerate(CURRENCY)}
AMOUNT = ("total_cost", "total", "amount", "value", "cost")
_MARKED = re.compile(r"([^\d\s.,+-]*)\s*([+-]?[\d.,]+(?:e[+-]?\d+)?)\s*(\S*)", re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(?:0,\d+|\d+,(?:\d{1,2}|\d{4,}))")


def log_cost(call: Call, amount: Any, beside: Mapping[str, Any], unit: str = "usd") -> None:
    """Add a logged cost to a call, in `unit` or in the currency that the log names.

    `amount` is a number, a text such as `0.0033 EUR`, or an object with a total and a currency;
    `beside` holds the fields of the record or object that contains the amount.
    """
    value = amount
    if isinstance(amount, Raw):
        text = bytes(amount)
        value = msgspec.json.decode(text) if text[:1] in (b"{", b'"') else text.decode()
    value = parsed(value)
    if isinstance(value, Mapping):
        beside = value
        value = next((value[name] for name in AMOUNT if value.get(name) is not None), None)
    named = None
    if isinstance(value, str):
        value, named = split_amount(value)
    call.logged_cost = decimal_of(value)
    call.cost_unit = None
    if call.logged_cost is not None:
        call.cost_unit = unit_of_cost(named or currency_beside(beside), unit)


def unit_of_cost(named: str | None, unit: str = "usd") -> str:
    """Return a cost's unit: `unit`, unless another currency is named."""
    stated = currency_of(named) if named else "usd"
    return unit if stated == "usd" else stated


def split_amount(text: str) -> tuple[str, str | None]:
    """Split an amount from its currency sign or code, as in `€ 0.01` and `0,01 EUR`."""
    found = _MARKED.fullmatch(text.strip())
    if found is None:
        return text, None
    before, amount, after = found.groups()
    if _GROUPED.fullmatch(amount):
        amount = amount.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(amount):
        amount = amount.replace(",", ".")
    return amount, before or after or None


def currency_beside(fields: Mapping[str, Any]) -> str | None:
    """Return the value of a currency field; only its name after the last dot is compared."""
    found: dict[int, str] = {}
    for name, value in fields.items():
        bare = name.rpartition(".")[2].replace("_", "").lower()
        if bare in _BARE and isinstance(value, str) and value.strip():
            found.setdefault(_BARE[bare], value)
    return found[min(found)] if found else None


def decimal_of(number: object) -> str | None:
    """Return a logged amount of money with its exact digits; None if there is none."""
    if number is None or isinstance(number, bool):
        return None
    text = (bytes(number).decode() if isinstance(number, Raw) else str(number)).strip().strip('"')
    try:
        return text if Decimal(text).is_finite() else None
    except InvalidOperation:
        return None
