"""Helicone's export of requests, with or without bodies."""

from typing import Any, ClassVar

from costaudit.ingest.call import Call, Skip, Usage
from costaudit.ingest.fields import Fields
from costaudit.ingest.labels import labels_in
from costaudit.ingest.loose import call_from
from costaudit.ingest.models import provider_named, provider_of_model, split_model
from costaudit.ingest.sources.per_record import PerRecord
from costaudit.ingest.usage import decimal_of, plausible

NO_HIT = ("", "00000000-0000-0000-0000-000000000000", "no-cache", "DEFAULT")
RAW_COST_FLOOR = 100_000  # no call costs so many dollars: the column counts billionths


class Helicone(PerRecord):
    """Read one request per row; a body's own usage goes before Helicone's columns."""

    name: ClassVar[str] = "helicone"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if "request_created_at" not in record or "response_status" not in record:
            return ""
        for key in ("delay_ms", "signed_body_url", "request_properties", "cache_reference_id"):
            if key in record:
                return f"request_created_at, response_status, {key}"
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        request, response = _body(record, "request_body"), _body(record, "response_body")
        call = call_from(request, response) or Call()
        provider, model = split_model(
            record.text("request_model", "model", "model_override", "response_model") or ""
        )
        call.model = call.model or model or None
        named = record.text("provider")
        guess = provider or provider_of_model(call.model or "")
        call.provider = provider_named(named) if named else guess or call.provider
        call.ts_us = record.time_us("request_created_at")
        own_id = record.text("request_id", "response_id")
        call.same_as = f"helicone {own_id}" if own_id else None
        call.native_id = call.native_id or own_id
        call.latency_ms = record.number("delay_ms", "latency")
        call.ttft_ms = record.number("time_to_first_token")
        call.updated_us = record.time_us("updated_at")
        call.usage = call.usage or plausible(_column_usage(record))
        _add_origin(call, record)
        _add_cost(call, record)
        status = record.integer("response_status")
        if status is not None and not 200 <= status < 400:
            call.status = "error"
            call.http_status = status if status >= 100 else None
            call.error = call.error or ("cancelled" if status == -3 else f"http_{status}")
        elif status is not None:
            call.http_status = status
        if (record.text("cache_reference_id") or "") not in NO_HIT:
            call.served_by = "gateway_cache"
        return call


def _body(record: Fields, name: str) -> Any:
    body = record.inner(name)
    return None if not body or body.has("helicone_message") else body.values


def _add_origin(call: Call, record: Fields) -> None:
    properties = {**record.inner("properties").values, **record.inner("request_properties").values}
    labels = labels_in(properties)
    user = record.text("request_user_id")
    call.user = labels.user or (user if user not in ("null", "undefined") else None) or call.user
    call.conversation = labels.conversation or call.conversation
    call.tenant = labels.tenant or record.text("organization_id") or call.tenant
    call.endpoint = labels.endpoint or record.text("request_path", "target_url") or call.endpoint


def _column_usage(record: Fields) -> Usage:
    return Usage(
        "helicone",
        input=record.integer("prompt_tokens"),
        output=record.integer("completion_tokens"),
        cache_read=record.integer("prompt_cache_read_tokens"),
        cache_write_other=record.integer("prompt_cache_write_tokens") or 0,
        source="gateway",
    )


def _add_cost(call: Call, record: Fields) -> None:
    cost = record.number("cost")
    if cost is None:
        return
    call.logged_cost = decimal_of(str(record.values["cost"]))
    call.cost_unit = "usd_e9" if cost >= RAW_COST_FLOOR else "usd"
