"""Rows of LiteLLM's SpendLogs table, as a dump, a CSV or the proxy's own export."""

from typing import Any, ClassVar

from costaudit.ingest.call import Call, Skip
from costaudit.ingest.fields import Fields
from costaudit.ingest.labels import labels_in
from costaudit.ingest.loose import prompt_from
from costaudit.ingest.sources.litellm import (
    NO_CALLS,
    POLLED,
    first_tag,
    litellm_usage,
    read_gateway_call,
)
from costaudit.ingest.sources.per_record import PerRecord
from costaudit.ingest.usage import decimal_of


class LiteLLMSpend(PerRecord):
    """Read rows of SpendLogs; prompts are there only where the proxy was told to store them."""

    name: ClassVar[str] = "litellm_spend"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for keys in (
            ("spend", "request_id", "api_key"),
            ("spend", "request_id", "call_type"),
            ("spend", "request_id", "startTime"),
        ):
            if all(key in record for key in keys):
                return ", ".join(keys)
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        call_type = record.text("call_type") or ""
        if call_type in NO_CALLS:
            return POLLED
        metadata = record.inner("metadata")
        request = record.inner("proxy_server_request")
        response = record.inner("response")
        call = read_gateway_call(record, response)
        if request:
            body = request.inner("body") or request
            call.prompt = prompt_from(body.values)
            call.temperature = body.number("temperature")
            call.stream = body.truth("stream")
        labels = labels_in(metadata.inner("spend_logs_metadata").values)
        call.conversation = record.text("session_id")
        call.user = record.text("end_user", "user")
        call.tenant = record.text("organization_id") or metadata.text("user_api_key_team_alias")
        call.tenant = call.tenant or record.text("team_id") or metadata.text("user_api_key_alias")
        call.tenant = call.tenant or labels.tenant or record.text("api_key")
        call.endpoint = labels.endpoint or first_tag(record) or call_type or None
        call.usage = litellm_usage(metadata.inner("usage_object"))
        extra = metadata.inner("additional_usage_values").values
        call.usage = call.usage or litellm_usage(Fields({**record.values, **extra}))
        call.logged_cost = decimal_of(record.values.get("spend"))
        call.cost_unit = "usd" if call.logged_cost is not None else None
        call.attempt = metadata.integer("attempted_retries")
        if call.latency_ms is None:
            call.latency_ms = record.number("request_duration_ms")
        return call
