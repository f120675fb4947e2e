"""Read cost and usage tables: exports of providers' consoles, AWS, Azure and FOCUS."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from costaudit.contracts.spend import BilledTokens, BillLine, Charge
from costaudit.errors import InputError
from costaudit.ingest.calls.fields import Fields, count_of, parse_time
from costaudit.ingest.calls.money import decimal_of
from costaudit.ingest.mapping.cells import date_text
from costaudit.ingest.sources.batches import plain_name, report_columns

BEDROCK = re.compile(r"bedrock", re.IGNORECASE)
AZURE_MODELS = re.compile(r"openai|foundry models|azure ai services|cognitive services", re.I)
EDITION = re.compile(r"^(.*?) \(Amazon Bedrock Edition\)$")
USAGE_MODEL = re.compile(
    r"(?:^|[-_:])((?:Claude|Nova|Llama|Titan|Mistral|Mixtral|Command|Jamba|DeepSeek|Qwen|gpt-oss)"
    r"[\w.-]*?)[-_](?:input|output|cache|mixed|InputToken|OutputToken|CacheRead|CacheWrite)",
    re.IGNORECASE,
)
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=\d)(?=[A-Z])")
AZURE_METER = re.compile(
    r"[-\s](?:cached|cache|cchd|inp?t?|input|outp?|output|opt|glbl|gl|regnl|rgnl|regional|global"
    r"|dzone|dz|data zone|batch|bat|pp|prty|tokens?|1[km]|ft)\b.*$",
    re.IGNORECASE,
)
OTHER = re.compile(r"\b(tax|fee|purchase|rifee|support|subscription|unusedreservation)\b", re.I)
CREDIT = re.compile(r"\b(credit|refund|discount|adjustment|edpdiscount|bundleddiscount)\b", re.I)


def charge_of(kind: str, amount: Decimal | None) -> Charge:
    """Return the kind of a bill line; a negative amount is a credit, whatever `kind` says."""
    if CREDIT.search(kind) or (amount is not None and amount < 0):
        return "credit"
    return "other" if OTHER.search(kind) else "usage"


def model_of_aws(text: str) -> str:
    """Return the model in an AWS product name or usage type; "" if it names none."""
    edition = EDITION.match(text.strip())
    if edition is not None:
        return _dashed(edition[1])
    used = USAGE_MODEL.search(text)
    return _dashed(HUMP.sub("-", used[1])) if used is not None else ""


ITEM = re.compile(r"^(?:[a-z ]+\| )?([a-z0-9][\w.:/-]*)(?:, .*)?$", re.IGNORECASE)


def model_of_item(item: str) -> str:
    """Return the model in an OpenAI item, such as `gpt-4o-2024-08-06, cached input`, or ""."""
    found = ITEM.match(item.strip())
    name = found[1] if found else ""
    return name.lower() if any(letter.isdigit() for letter in name) else ""


def _dashed(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class Kind(NamedTuple):
    """A known kind of table: the columns that identify it, and those to read.

    Column names are compared after `plain_name`. Of several names, the first with a value is used.
    """

    provider: str  # "" if each row names its provider
    shows: tuple[str, ...]  # the identifying columns, one of REPORT_COLUMNS
    day: tuple[str, ...]
    amount: tuple[str, ...] = ()
    currency: tuple[str, ...] = ()
    item: tuple[str, ...] = ()
    charge: tuple[str, ...] = ()
    model: Callable[[Fields], str] = lambda row: row.text("model") or ""
    is_model: Callable[[Fields], bool] = lambda row: True
    tokens: tuple[tuple[str, ...], ...] = ()  # columns to sum: input, cache reads, writes, output
    requests: tuple[str, ...] = ()


def _aws_model(row: Fields) -> str:
    texts = (
        row.text("productmodel", "productmodelname"),
        row.text("productproductname", "productname", "lineitemproductcode", "servicename"),
        row.text("lineitemusagetype", "skuid", "xusagetype"),
        row.text("lineitemlineitemdescription", "chargedescription"),
    )
    return next((found for text in texts if text and (found := model_of_aws(text))), "")


def _is_bedrock(row: Fields) -> bool:
    names = ("lineitemproductcode", "productproductname", "productname", "productservicecode")
    text = " ".join(row.text(name) or "" for name in names)
    return BEDROCK.search(text) is not None or bool(_aws_model(row))


def azure_model(row: Fields) -> str:
    """Return the model at the start of a meter's name, such as `gpt 4o 0806 Inp glbl Tokens`."""
    meter = row.text("metername", "skumeter", "chargedescription") or ""
    return _dashed(AZURE_METER.sub("", meter))


def _is_azure_model(row: Fields) -> bool:
    names = ("metercategory", "metersubcategory", "servicename", "productname", "xskumetercategory")
    return any(AZURE_MODELS.search(row.text(name) or "") for name in names)


def _is_focus_model(row: Fields) -> bool:
    provider = (row.text("providername", "serviceprovidername", "invoiceissuername") or "").lower()
    text = " ".join(row.text(n) or "" for n in ("servicename", "chargedescription", "skuid"))
    if "amazon" in provider or "aws" in provider:
        return BEDROCK.search(text) is not None or bool(_aws_model(row))
    return "microsoft" not in provider or AZURE_MODELS.search(text) is not None


def _focus_model(row: Fields) -> str:
    return _aws_model(row) or azure_model(row)


KINDS = (
    Kind(
        "openai",
        ("start_time_iso", "amount_value", "amount_currency"),
        ("start_time_iso", "start_time"),
        ("amount_value",),
        ("amount_currency",),
        ("line_item",),
    ),
    Kind(
        "openai",
        ("start_time_iso", "num_model_requests", "input_tokens"),
        ("start_time_iso", "start_time"),
        tokens=(("input_tokens",), ("input_cached_tokens",), (), ("output_tokens",)),
        requests=("num_model_requests",),
    ),
    Kind(
        "anthropic",
        ("usage_date_utc", "usage_input_tokens_no_cache"),
        ("usage_date_utc",),
        model=lambda row: row.text("modelversion", "model") or "",
        tokens=(
            ("usage_input_tokens_no_cache",),
            ("usage_input_tokens_cache_read",),
            (
                "usage_input_tokens_cache_write_5m",
                "usage_input_tokens_cache_write_1h",
                "usage_input_tokens_cache_write",
            ),
            ("usage_output_tokens",),
        ),
    ),
    Kind(
        "anthropic",
        ("usage_date_utc", "cost_usd"),
        ("usage_date_utc",),
        ("cost_usd",),
        item=("token_type", "cost_type", "description"),
        model=lambda row: row.text("modelversion", "model") or "",
    ),
    Kind(
        "",
        ("ChargePeriodStart", "BilledCost", "BillingCurrency"),
        ("ChargePeriodStart",),
        ("BilledCost",),
        ("BillingCurrency",),
        ("ChargeDescription", "SkuId", "ServiceName"),
        ("ChargeCategory",),
        _focus_model,
        _is_focus_model,
    ),
    Kind(
        "aws",
        ("lineItem/UsageStartDate", "lineItem/UnblendedCost"),
        ("lineItem/UsageStartDate",),
        ("lineItem/UnblendedCost",),
        ("lineItem/CurrencyCode",),
        ("lineItem/UsageType",),
        ("lineItem/LineItemType",),
        _aws_model,
        _is_bedrock,
    ),
    Kind(
        "azure",
        ("MeterName", "CostInBillingCurrency"),
        ("Date", "UsageDate", "UsageDateTime"),
        ("CostInBillingCurrency",),
        ("BillingCurrencyCode", "BillingCurrency"),
        ("MeterName",),
        ("ChargeType",),
        azure_model,
        _is_azure_model,
    ),
    Kind(
        "azure",
        ("MeterName", "PreTaxCost"),
        ("Date", "UsageDate", "UsageDateTime"),
        ("PreTaxCost",),
        ("Currency", "BillingCurrency"),
        ("MeterName",),
        ("ChargeType",),
        azure_model,
        _is_azure_model,
    ),
)
PROVIDERS = (("amazon", "aws"), ("aws", "aws"), ("microsoft", "azure"), ("openai", "openai"),
             ("anthropic", "anthropic"), ("google", "google"))  # fmt: skip


def line_of(kind: Kind, values: Mapping[str, Any], file: str) -> BillLine | None:
    """Read a row of `file`; return None for another service, or if it has no amount or count.

    Raises InputError if the row's day or amount can't be read.
    """
    row = Fields({plain_name(name): each for name, each in values.items()})
    if not kind.is_model(row):
        return None
    amount, tokens = _amount(row, kind, file), _tokens(row, kind)
    if amount is None and tokens is None:
        return None
    item = row.text(*map(plain_name, kind.item)) or ""
    charge = row.text(*map(plain_name, kind.charge)) or ""
    return BillLine(
        day=_day(row, kind.day, file),
        provider=kind.provider or _provider(row),
        model=(kind.model(row) or (model_of_item(item) if kind.provider == "openai" else "")),
        item=item,
        charge=charge_of(charge, amount),
        amount=amount,
        currency=(row.text(*map(plain_name, kind.currency)) or "USD").upper(),
        tokens=tokens,
        requests=row.integer(*map(plain_name, kind.requests)),
    )


def _amount(row: Fields, kind: Kind, file: str) -> Decimal | None:
    found = [row.values.get(plain_name(name)) for name in kind.amount]
    value = next((each for each in found if each not in (None, "")), None)
    if value is None:
        return None
    text = decimal_of(value)
    if text is None:
        raise InputError(
            f"{file}: an amount can't be read in the column {kind.amount[0]}.",
            hint="Export the file again with amounts as plain numbers.",
        )
    return Decimal(text)


def _tokens(row: Fields, kind: Kind) -> BilledTokens | None:
    counts = [
        sum(count_of(row.values.get(plain_name(name))) or 0 for name in names)
        for names in kind.tokens
    ]
    if not any(counts):
        return None
    if kind.provider == "openai":
        counts[0] = max(counts[0] - counts[1], 0)  # OpenAI's input includes cached tokens
    return BilledTokens(*counts)


def _day(row: Fields, names: tuple[str, ...], file: str) -> str:
    for name in names:
        value = row.values.get(plain_name(name))
        text = date_text(value, "month first") if isinstance(value, str) else None
        moment = parse_time(text or value)
        if moment is not None:
            return datetime.fromtimestamp(moment / 1e6, UTC).date().isoformat()
    raise InputError(
        f"{file}: a day can't be read in the column {names[0]}.",
        hint="Export the file again with dates as YYYY-MM-DD.",
    )


def _provider(row: Fields) -> str:
    names = ("providername", "serviceprovidername", "invoiceissuername", "publishername")
    text = " ".join(row.text(name) or "" for name in names).lower()
    return next((name for word, name in PROVIDERS if word in text), text.strip() or "unknown")


def kind_of(columns: tuple[str, ...]) -> Kind | None:
    """Return how to read a table with these columns; None if it is not known."""
    shown = report_columns(columns)
    return next((kind for kind in KINDS if kind.shows == shown), None)
