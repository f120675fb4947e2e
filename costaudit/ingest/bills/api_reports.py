"""Read report buckets from the APIs of OpenAI, Anthropic and AWS Cost Explorer."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from costaudit.contracts.spend import BilledTokens, BillLine
from costaudit.errors import InputError
from costaudit.ingest.bills.cost_exports import BEDROCK, charge_of, model_of_aws, model_of_item
from costaudit.ingest.calls.fields import Fields, parse_time
from costaudit.ingest.calls.money import decimal_of

CENTS = Decimal(100)


@dataclass(frozen=True)
class Bucket:
    """A provider's bill lines for a period, usually a day."""

    provider: str
    first: date
    end: date  # exclusive
    lines: tuple[BillLine, ...]
    left_out: int = 0  # groups that are not for a model, or have no cost


def bucket_of(record: dict[str, Any]) -> Bucket | None:
    """Read a bucket; return None for anything else. Raises InputError."""
    fields = Fields(record)
    if record.get("object") == "bucket" or {"start_time", "end_time", "results"} <= record.keys():
        return _bucket("openai", fields, ("start_time", "end_time"), "results")
    if {"starting_at", "ending_at"} <= record.keys():
        return _bucket("anthropic", fields, ("starting_at", "ending_at"), "results")
    if "TimePeriod" in record and ("Groups" in record or "Total" in record):
        return _of_cost_explorer(fields)
    return None


def _bucket(provider: str, fields: Fields, ends: tuple[str, str], name: str) -> Bucket:
    first, end = (_day(fields.values.get(each)) for each in ends)
    read = _of_openai if provider == "openai" else _of_anthropic
    lines = tuple(
        line
        for each in fields.items(name)
        if isinstance(each, dict)
        for line in read(Fields(each), first.isoformat())
    )
    return Bucket(provider, first, end, lines)


def _day(value: object) -> date:
    moment = parse_time(value)
    if moment is None:
        raise InputError(
            f"A bucket of the invoice begins or ends at {value!r}, which is no time.",
            hint="Ask the provider for the report again.",
        )
    at = datetime.fromtimestamp(moment / 1e6, UTC)
    return at.date()


def _money(value: object, what: str) -> Decimal:
    text = decimal_of(value)
    if text is None:
        raise InputError(
            f"An amount of the invoice can't be read: {what}.",
            hint="Ask the provider for the report again.",
        )
    return Decimal(text)


def _of_openai(result: Fields, day: str) -> Iterator[BillLine]:
    if result.has("amount"):
        amount = result.inner("amount")
        item = result.text("line_item") or ""
        usd = _money(amount.values.get("value"), item or "a day's cost")
        yield BillLine(
            day,
            "openai",
            model_of_item(item),
            item,
            charge_of("", usd),
            usd,
            (amount.text("currency") or "usd").upper(),
        )
        return
    sent, received = result.integer("input_tokens"), result.integer("output_tokens")
    if sent is None and received is None:
        return
    read = result.integer("input_cached_tokens") or 0  # included in input_tokens
    yield BillLine(
        day,
        "openai",
        result.text("model") or "",
        "usage",
        tokens=BilledTokens(max((sent or 0) - read, 0), read, 0, received or 0),
        requests=result.integer("num_model_requests"),
    )


def _of_anthropic(result: Fields, day: str) -> Iterator[BillLine]:
    if result.has("amount"):  # decimal text, in the currency's smallest unit
        item = result.text("description", "cost_type") or ""
        usd = _money(result.values.get("amount"), item) / CENTS
        yield BillLine(
            day,
            "anthropic",
            result.text("model") or "",
            item,
            charge_of("", usd),
            usd,
            (result.text("currency") or "USD").upper(),
        )
        return
    written = result.inner("cache_creation")
    counts = [
        result.integer("uncached_input_tokens"),
        result.integer("cache_read_input_tokens"),
        (written.integer("ephemeral_5m_input_tokens") or 0)
        + (written.integer("ephemeral_1h_input_tokens") or 0),
        result.integer("output_tokens"),
    ]
    if counts[0] is not None or counts[3] is not None:
        tokens = BilledTokens(*(count or 0 for count in counts))
        yield BillLine(day, "anthropic", result.text("model") or "", "usage", tokens=tokens)


METRICS = ("UnblendedCost", "NetUnblendedCost", "AmortizedCost", "BlendedCost")


def _of_cost_explorer(fields: Fields) -> Bucket:
    period = fields.inner("TimePeriod")
    first, end = _day(period.values.get("Start")), _day(period.values.get("End"))
    lines = []
    left_out = 0
    for each in fields.items("Groups"):
        group = Fields(each if isinstance(each, dict) else {})
        keys = [str(key).removeprefix("$") for key in group.items("Keys")]
        is_model = any(BEDROCK.search(key) or model_of_aws(key) for key in keys)
        metrics = group.inner("Metrics")
        cost = next((metrics.inner(name) for name in METRICS if metrics.inner(name)), Fields({}))
        if not is_model or not cost:
            left_out += 1
            continue
        amount = _money(cost.values.get("Amount"), " ".join(keys))
        lines.append(
            BillLine(
                first.isoformat(),
                "aws",
                next((model for key in keys if (model := model_of_aws(key))), ""),
                " ".join(keys),
                charge_of(" ".join(keys), amount),
                amount,
                (cost.text("Unit") or "USD").upper(),
            )
        )
    return Bucket("aws", first, max(end, first + timedelta(days=1)), tuple(lines), left_out)
