"""Logs of Cloudflare's AI Gateway."""

from typing import Any, ClassVar

from costaudit.ingest.call import Call, Skip, Usage
from costaudit.ingest.fields import Fields
from costaudit.ingest.labels import labels_in
from costaudit.ingest.loose import call_from
from costaudit.ingest.models import provider_named, split_model
from costaudit.ingest.sources.per_record import PerRecord
from costaudit.ingest.usage import decimal_of, plausible


class Cloudflare(PerRecord):
    """Read one log row per call; the columns know nothing of the provider's cache."""

    name: ClassVar[str] = "cloudflare"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = ("tokens_in", "tokens_out", "cached", "duration")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        request = record.value("request_body", "request") or _whole(record, "request_head")
        response = record.value("response_body", "response") or _whole(record, "response_head")
        call = call_from(request, response) or Call()
        _, model = split_model(record.text("model") or "")
        call.model = call.model or model or None
        provider = record.text("provider")
        call.provider = provider_named(provider) if provider else call.provider
        call.ts_us = record.time_us("created_at")
        own_id = record.text("id")
        call.same_as = f"cloudflare {own_id}" if own_id else None
        call.native_id = call.native_id or own_id
        if call.usage is None:
            call.usage = plausible(
                Usage(
                    "openai",
                    input=record.integer("tokens_in"),
                    output=record.integer("tokens_out"),
                    cache_read=None,
                    source="gateway",
                )
            )
        call.latency_ms = record.number("duration")
        call.attempt = record.integer("step")
        labels = labels_in(record.inner("metadata").values)
        call.user = labels.user or call.user
        call.tenant = labels.tenant or call.tenant
        call.conversation = labels.conversation or call.conversation
        call.endpoint = labels.endpoint or record.text("path") or call.endpoint
        call.logged_cost = decimal_of(record.values.get("cost"))
        call.cost_unit = "usd" if call.logged_cost is not None else None
        call.http_status = record.integer("status_code")
        if record.truth("success") is False or (call.http_status or 200) >= 400:
            call.status, call.error = "error", call.error or f"http_{call.http_status}"
        if record.truth("cached"):
            call.served_by = "gateway_cache"
        return call


def _whole(record: Fields, name: str) -> Any:
    """Take the beginning of a body only where it is the whole of it."""
    return record.value(name) if record.truth(f"{name}_complete") else None
