"""LiteLLM: its StandardLoggingPayload and the rows of its SpendLogs table."""

import re
from typing import Any, ClassVar

from costaudit.ingest.calls.call import BRIDGE, Call, Skip
from costaudit.ingest.calls.exchange import FINISH
from costaudit.ingest.calls.fields import Fields, span_ms
from costaudit.ingest.calls.money import log_cost
from costaudit.ingest.calls.names import (
    is_hit,
    labels_in,
    provider_of_model,
    region_of_url,
    split_model,
)
from costaudit.ingest.calls.untyped import answer_from, call_from, prompt_from
from costaudit.ingest.calls.usage import plausible, read_usage, unread_columns
from costaudit.ingest.sources.source import PerRecord
from costaudit.providers.names import provider_named

CACHE_HIT_ID = re.compile(r"_cache_hit\d+(\.\d+)?$")
CUT = re.compile(r"\.\.\. \(\S+ skipped \d+ chars\) \.\.\.")
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
NO_CALLS = re.compile(
    r"_?a?(?:retrieve|get|list|delete|cancel|create_batch|create_file|create_fine_tuning|file_|"
    r"vector_store|upload|create_vector|create_assistants|create_thread|add_message)|"
    r"_arealtime$|health"
)  # prefixes of call types that generate nothing
POLLED = Skip(
    "not-a-call", "It asks for a file, a batch or an answer that is there, and generates nothing."
)


class LiteLLM(PerRecord):
    """Read one payload per call; counts are in OpenAI's form, costs from LiteLLM's own prices."""

    name: ClassVar[str] = "litellm"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for keys in (
            ("call_type", "model_map_information"),
            ("call_type", "hidden_params"),
            ("startTime", "completionStartTime", "custom_llm_provider", "hidden_params"),
        ):
            if all(key in record for key in keys):
                return ", ".join(keys)
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one payload."""
        call_type = record.text("call_type") or ""
        if NO_CALLS.match(call_type):
            return POLLED
        metadata = record.inner("metadata")
        response = record.inner("response")
        call = read_gateway_call(record, response)
        parameters = record.inner("model_parameters")
        call.prompt = prompt_from(record.value("messages"), tools=parameters.value("tools"))
        call.temperature = parameters.number("temperature")
        call.conversation = record.text("trace_id")
        call.user = record.text("end_user") or metadata.text(
            "user_api_key_end_user_id", "user_api_key_user_id"
        )
        call.tenant = metadata.text(*TENANT_KEYS)
        labels = labels_in(metadata.inner("spend_logs_metadata").values)
        call.endpoint = labels.endpoint or first_tag(record) or call_type or None
        call.tenant = call.tenant or labels.tenant
        usage = metadata.inner("usage_object") or record.inner("hidden_params").inner(
            "usage_object"
        )
        counts = {name: record.values.get(name) for name in COUNTS}
        add_litellm_usage(call, usage, response.inner("usage"), Fields(counts))
        log_cost(call, record.values.get("response_cost"), record.values)
        call.attempt = metadata.integer("attempted_retries")
        _join_bridge(call, record)
        return call


TENANT_KEYS = ("user_api_key_org_id", "user_api_key_team_alias", "user_api_key_team_id",
               "user_api_key_alias", "user_api_key_hash")  # fmt: skip


def read_gateway_call(record: Fields, response: Fields) -> Call:
    """Read the fields that LiteLLM's two formats share."""
    answered = call_from(None, response.values)
    call = answered or Call(answer=answer_from(response.values) if response else b"")
    provider, model = split_model(_billed_model(call.model, record) or "")
    call.model = model or None
    named = record.text("custom_llm_provider")
    call.provider = provider_named(named) if named else provider or provider_of_model(model)
    call.region = call.region or region_of_url(
        record.text("api_base") or record.inner("hidden_params").text("api_base") or ""
    )
    call.kind = "embedding" if "embedding" in (record.text("call_type") or "") else "chat"
    own_id = record.text("id", "request_id")
    call.native_id = call.native_id or (CACHE_HIT_ID.sub("", own_id) if own_id else None)
    call.stream = record.truth("stream")
    start, end = record.time_us("startTime"), record.time_us("endTime")
    call.ts_us, call.latency_ms = start, span_ms(start, end)
    first = record.time_us("completionStartTime")
    if first != end:
        call.ttft_ms = span_ms(start, first)
    if is_hit(record.values.get("cache_hit")):
        call.served_by = "gateway_cache"
        call.same_as = f"litellm cache {own_id} {start}"
    _add_failure(call, record)
    call.finish_reason = FINISH.get(call.finish_reason or "", call.finish_reason)
    call.truncated = bool(CUT.search(str(record.values.get("messages"))[:1_000_000]))
    return call


def _billed_model(answered: str | None, record: Fields) -> str | None:
    """Return the billed model: `answered`, unless that is only the proxy's alias for it.

    An alias is the name of the model group, or a shortened name such as `claude`.
    """
    deployed, group = record.text("model"), record.text("model_group")
    if deployed is None or deployed == group:
        deployed = record.inner("hidden_params").text("litellm_model_name") or deployed
    if answered is None or deployed is None:
        return answered or deployed
    short, whole = answered.lower(), deployed.lower()
    is_alias = answered == group or (short in whole and short != whole)
    return deployed if is_alias and provider_of_model(split_model(deployed)[1]) else answered


def _join_bridge(call: Call, record: Fields) -> None:
    """Give rows with the same litellm_call_id the same `same_as`: a bridge and its inner call."""
    places = (record, record.inner("metadata"), record.inner("hidden_params"))
    own = next((found for one in places if (found := one.text("litellm_call_id"))), None)
    if own and call.status == "ok" and call.same_as is None:
        call.same_as = f"{BRIDGE}litellm {own}"


def _add_failure(call: Call, record: Fields) -> None:
    information = record.inner("error_information") or record.inner("metadata").inner(
        "error_information"
    )
    if record.text("status") == "failure":
        call.status = "error"
        call.error = information.text("error_class", "error_code") or "error"
        call.http_status = information.integer("error_code")
        call.usage = None


def first_tag(record: Fields) -> str | None:
    """Return the first request tag, to use as the endpoint, unless it is a User-Agent."""
    tags = record.items("request_tags")
    return str(tags[0]) if tags and not str(tags[0]).startswith("User-Agent") else None


def add_litellm_usage(call: Call, *candidates: Fields) -> None:
    """Add the first usage object with counts; totals are ignored as LiteLLM's own sums."""
    call.usage = None
    for each in candidates:
        if not each.has("prompt_tokens"):
            continue
        reading = read_usage(each.values, "litellm", trust_total=False)
        usage = plausible(reading.usage) if reading.usage is not None else None
        if usage is None or (usage.input, usage.output) == (0, 0):
            continue
        call.usage = usage
        call.units = tuple(reading.units) or call.units
        call.unread = tuple(reading.unread)
        return


class LiteLLMSpend(PerRecord):
    """Read rows of SpendLogs; they have prompts only if the proxy was configured to store them."""

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
        if NO_CALLS.match(call_type):
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
        extra = metadata.inner("additional_usage_values").values
        counts = {name: record.values.get(name) for name in COUNTS}
        add_litellm_usage(call, metadata.inner("usage_object"), Fields({**counts, **extra}))
        call.unread += unread_columns(record.values, *COUNTS)
        log_cost(call, record.values.get("spend"), record.values)
        call.attempt = metadata.integer("attempted_retries")
        if call.latency_ms is None:
            call.latency_ms = record.number("request_duration_ms")
        _join_bridge(call, record)
        return call
