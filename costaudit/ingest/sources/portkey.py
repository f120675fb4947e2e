"""Portkey's log export."""

from typing import Any, ClassVar

from costaudit.ingest.call import Call, Skip, Usage
from costaudit.ingest.fields import Fields
from costaudit.ingest.gateway_cache import is_hit
from costaudit.ingest.labels import labels_in
from costaudit.ingest.loose import call_from
from costaudit.ingest.models import provider_named
from costaudit.ingest.sources.per_record import PerRecord
from costaudit.ingest.usage import decimal_of, plausible


class Portkey(PerRecord):
    """Read one log row per call; costs are in US cents."""

    name: ClassVar[str] = "portkey"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if "ai_model" not in record:
            return ""
        for key in ("response_time", "req_units", "request_tokens"):
            if key in record:
                return f"ai_model, {key}"
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        request, response = record.inner("request"), record.inner("response")
        call = call_from(_body(request), _body(response)) or Call()
        model, provider = record.text("ai_model"), record.text("ai_org", "ai_provider")
        call.model = call.model or model
        call.provider = provider_named(provider) if provider else call.provider
        call.ts_us = record.time_us("created_at", "time_of_generation")
        own_id = record.text("id")
        call.same_as = f"portkey {own_id}" if own_id else None
        call.native_id = call.native_id or own_id
        if call.usage is None:
            call.usage = plausible(_column_usage(record))
        else:
            call.usage.convention = "portkey"
        call.latency_ms = record.number("response_time")
        call.http_status = record.integer("response_status_code", "status_code")
        call.http_status = call.http_status or response.integer("status")
        labels = labels_in(record.inner("metadata").values)
        call.user = labels.user or call.user
        call.tenant = labels.tenant or call.tenant
        call.conversation = labels.conversation or record.text("trace_id")
        call.endpoint = labels.endpoint or record.text("prompt_slug", "request_url")
        call.logged_cost = decimal_of(record.values.get("cost"))
        call.cost_unit = "cents" if call.logged_cost is not None else None
        if (call.http_status or 200) >= 400:
            call.status, call.error = "error", call.error or f"http_{call.http_status}"
        if is_hit(record.value("cache_status", "cacheStatus")):
            call.served_by = "gateway_cache"
        return call


def _body(side: Fields) -> Any:
    return side.value("body") or side.values


def _column_usage(record: Fields) -> Usage:
    return Usage(
        "portkey",
        input=record.integer("req_units", "request_tokens"),
        output=record.integer("res_units", "response_tokens"),
        cache_read=None,
        source="gateway",
    )
