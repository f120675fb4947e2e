"""Logs of gateways: Cloudflare, Portkey, Azure API Management, OpenRouter and Vercel."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar

from costaudit.ingest.calls.call import BilledUnit, Call, Kept, Key, Record, Skip, Usage
from costaudit.ingest.calls.exchange import FINISH, add_reading
from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.calls.json_repair import parse_lenient
from costaudit.ingest.calls.money import decimal_of, log_cost
from costaudit.ingest.calls.names import is_hit, labels_in, split_model
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.calls.untyped import answer_from, call_from, prompt_from
from costaudit.ingest.calls.usage import counts_among, plausible, read_usage, unread_columns
from costaudit.ingest.sources.source import Outcome, PerRecord
from costaudit.providers.names import provider_named


class Cloudflare(PerRecord):
    """Read one log row per call; the columns don't show tokens cached by the provider."""

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
        call.unread += unread_columns(record.values, "tokens_in", "tokens_out", "cost")
        call.latency_ms = record.number("duration")
        call.attempt = record.integer("step")
        labels = labels_in(record.inner("metadata").values)
        call.user = labels.user or call.user
        call.tenant = labels.tenant or call.tenant
        call.conversation = labels.conversation or call.conversation
        call.endpoint = labels.endpoint or record.text("path") or call.endpoint
        log_cost(call, record.values.get("cost"), record.values)
        call.http_status = record.integer("status_code")
        if record.truth("success") is False or (call.http_status or 200) >= 400:
            call.status, call.error = "error", call.error or f"http_{call.http_status}"
        if record.truth("cached"):
            call.served_by = "gateway_cache"
        return call


def _whole(record: Fields, name: str) -> Any:
    """Return the start of a body, if it is marked as complete; otherwise None."""
    return record.value(name) if record.truth(f"{name}_complete") else None


class Portkey(PerRecord):
    """Read one log row per call; costs are logged in US cents."""

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
        call.unread += unread_columns(record.values, *PORTKEY_COUNTS, "cost")
        call.latency_ms = record.number("response_time")
        call.http_status = record.integer("response_status_code", "status_code")
        call.http_status = call.http_status or response.integer("status")
        labels = labels_in(record.inner("metadata").values)
        call.user = labels.user or call.user
        call.tenant = labels.tenant or call.tenant
        call.conversation = labels.conversation or record.text("trace_id")
        call.endpoint = labels.endpoint or record.text("prompt_slug", "request_url")
        log_cost(call, record.values.get("cost"), record.values, "cents")
        if (call.http_status or 200) >= 400:
            call.status, call.error = "error", call.error or f"http_{call.http_status}"
        if is_hit(record.value("cache_status", "cacheStatus")):
            call.served_by = "gateway_cache"
        return call


def _body(side: Fields) -> Any:
    return side.value("body") or side.values


PORTKEY_COUNTS = ("req_units", "request_tokens", "res_units", "response_tokens")


def _column_usage(record: Fields) -> Usage:
    return Usage(
        "portkey",
        input=record.integer(*PORTKEY_COUNTS[:2]),
        output=record.integer(*PORTKEY_COUNTS[2:]),
        cache_read=None,
        source="gateway",
    )


class AzureAPIM:
    """Join records by their correlation id; a call's messages may span several records."""

    name: ClassVar[str] = "azure_apim"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._parts: dict[str, list[tuple[Key, Fields]]] = {}

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = ("CorrelationId", "PromptTokens")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def parse(self, record: Record) -> Iterable[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        fields = Fields(value if isinstance(value, dict) else {})
        correlation = fields.text("CorrelationId")
        if correlation is None:
            return [(key, NOT_A_CALL)]
        self._parts.setdefault(correlation, []).append((key, fields))
        return ()

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for correlation, parts in self._parts.items():
            parts.sort(key=lambda part: part[1].integer("SequenceNumber") or 0)
            (key, _), *rest = parts
            fields = [part for _, part in parts]
            yield Kept(key, _call(correlation, fields), [(k, "part") for k, _ in rest])


def _largest(counts: Iterable[int | None]) -> int:
    """Return the largest count; UNREADABLE if one can't be read and no other exceeds 0."""
    found = [count for count in counts if count is not None]
    return max(found, default=0) or min(found, default=0)


APIM_COUNTS = ("PromptTokens", "CompletionTokens", "TotalTokens")


def _call(correlation: str, parts: list[Fields]) -> Call:
    first = parts[0]
    counts = [_largest(part.stated(name) for part in parts) for name in APIM_COUNTS]
    unread: dict[str, float] = {}  # each part of a call repeats its counts
    for name, number in (one for p in parts for one in unread_columns(p.values, *APIM_COUNTS)):
        unread[name] = max(number, unread.get(name, 0))
    asked = [m for part in parts for m in part.items("RequestMessages")]
    answered = [m for part in parts for m in part.items("ResponseMessages")]
    call = Call(
        native_id=first.text("RequestId") or correlation,
        same_as=f"azure {correlation}",
        ts_us=first.time_us("TimeGenerated", "TimeGenerated [UTC]"),
        provider="azure",
        model=first.text("ModelName", "DeploymentName"),
        region=first.text("Region"),
        endpoint=first.text("ApiId", "DeploymentName", "OperationName"),
        tenant=first.text("ApimSubscriptionId"),
        stream=first.truth("IsStreamCompletion"),
        latency_ms=first.number("TotalTime", "BackendTime"),
        http_status=first.integer("ResponseCode", "BackendResponseCode"),
        prompt=prompt_from(asked) if asked else None,
        answer=answer_from(answered) if answered else b"",
        unread=tuple(unread.items()),
    )
    if any(counts):
        sent, received, total = counts
        usage = Usage("openai", input=sent, output=received, cache_read=None, total=total or None)
        usage.source = "gateway"
        call.usage = plausible(usage)
    if (call.http_status or 200) >= 400:
        call.status, call.error = "error", f"http_{call.http_status}"
    return call


VERCEL = ("native_tokens_cache_creation", "billable_web_search_calls")


class OpenRouter(PerRecord):
    """Read one generation per record, with the billed (native) token counts."""

    name: ClassVar[str] = "openrouter"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if "native_tokens_prompt" in record:
            return "native_tokens_prompt"
        keys = ("generation_id", "model_permaslug")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one generation."""
        is_vercel = any(key in record.values for key in VERCEL)
        call = Call(
            native_id=record.text("upstream_id", "id", "generation_id"),
            ts_us=record.time_us("created_at"),
            provider="vercel" if is_vercel else "openrouter",
            model=record.text("model", "model_permaslug"),
            service_tier=record.text("service_tier"),
            region=record.text("data_region"),
            endpoint=record.text("app_name", "origin", "api_type"),
            tenant=record.text("workspace_id", "api_key_name", "app_id"),
            user=record.text("external_user", "user"),
            conversation=record.text("session_id"),
            stream=record.truth("streamed"),
            finish_reason=record.text("finish_reason", "finish_reason_normalized"),
        )
        _add_usage(call, record, is_vercel)
        own_id = record.text("id", "generation_id")
        call.same_as = f"openrouter {own_id}" if own_id else None
        call.finish_reason = FINISH.get(call.finish_reason or "", call.finish_reason)
        if is_vercel:  # there, `latency` is the time to the first token
            call.ttft_ms = record.number("latency")
            call.latency_ms = record.number("generation_time")
        else:
            call.latency_ms = record.number("latency", "generation_time_ms", "generation_time")
            call.ttft_ms = record.number("time_to_first_token_ms")
        _add_cost(call, record)
        if record.value("response_cache_source_id") is not None:
            call.served_by = "gateway_cache"
        content = record.inner("input")
        if content:
            call.prompt = prompt_from(content.values)
            call.answer = answer_from(record.inner("output").value("completion"))
        if record.value("error") is not None:
            call.status, call.error = "error", "error"
        return call


def _add_usage(call: Call, record: Fields, is_vercel: bool) -> None:
    """Add the native token counts; costs are read separately."""
    counts = {
        name: value
        for name, value in counts_among(record.values).items()
        if "cost" not in name and "latency" not in name
    }
    reading = read_usage(counts, "vercel" if is_vercel else "openrouter", trust_total=False)
    if reading.usage is not None:
        reading.usage.source = "gateway"
    add_reading(call, reading)


def _add_cost(call: Call, record: Fields) -> None:
    """Add the cost; with the user's own provider key, the gateway's fee and the provider's bill."""
    fee = next(
        (cost for name in ("total_cost", "cost_total", "usage")
         if (cost := decimal_of(record.values.get(name))) is not None), None
    )  # fmt: skip
    bill = decimal_of(record.values.get("upstream_inference_cost"))
    if record.truth("is_byok") and bill is not None:
        if fee is not None and Decimal(fee):
            call.units = (*call.units, BilledUnit("gateway_fee_usd", float(fee)))
        fee = str(Decimal(fee or 0) + Decimal(bill))
    log_cost(call, fee, record.values)
