"""Exports of observability platforms: Langfuse, LangSmith and Helicone."""

from typing import Any, ClassVar

from costaudit.ingest.calls.call import Call, Skip, Usage
from costaudit.ingest.calls.exchange import FINISH, add_reading
from costaudit.ingest.calls.fields import UNREADABLE, Fields, span_ms
from costaudit.ingest.calls.money import log_cost
from costaudit.ingest.calls.names import CONVERSATION, labels_in, provider_of_model, split_model
from costaudit.ingest.calls.untyped import answer_from, call_from, prompt_from
from costaudit.ingest.calls.usage import Reading, plausible, read_usage
from costaudit.ingest.calls.usage_names import meaning_of
from costaudit.ingest.sources.source import NO_CALL, PerRecord, no_call
from costaudit.providers.names import provider_named

CALLS = ("GENERATION", "EMBEDDING")
CLASSES = ("read", "creation", "write", "write_5m", "write_1h", "write_30m", "write_12h",
           "reasoning")  # fmt: skip


class Langfuse(PerRecord):
    """Read generations and embeddings; spans and agents repeat their children's costs."""

    name: ClassVar[str] = "langfuse"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for keys in (
            ("traceId", "usageDetails"),
            ("trace_id", "usage_details"),
            ("traceId", "internalModelId"),
            ("traceId", "parentObservationId"),
            ("trace_id", "parent_observation_id"),
        ):
            if all(key in record for key in keys):
                return ", ".join(keys)
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one observation."""
        kind = record.text("type")
        place = record.text("id"), record.text("parentObservationId", "parent_observation_id")
        if kind not in CALLS:
            return no_call(NO_CALL, *place)
        metadata = record.inner("metadata")
        provider, model = split_model(
            record.text("model", "provided_model_name", "providedModelName") or ""
        )
        named = metadata.text("ls_provider", "provider")
        start = record.time_us("startTime", "start_time")
        call = Call(
            same_as=f"langfuse {record.text('id')}" if record.text("id") else None,
            ts_us=start,
            provider=provider_named(named) if named else provider or provider_of_model(model),
            model=model or None,
            kind="embedding" if kind == "EMBEDDING" else "chat",
            prompt=prompt_from(
                record.value("input"), tools=record.items("tool_definitions", "toolDefinitions")
            ),
            answer=answer_from(record.value("output")),
            latency_ms=_ms(record.number("latency")),
            ttft_ms=_ms(record.number("timeToFirstToken", "time_to_first_token")),
            updated_us=record.time_us("updatedAt", "updated_at"),
        )
        call.span, call.within = place
        output = record.inner("output")
        call.native_id = output.text("id") or metadata.text("response_id") or record.text("id")
        if call.latency_ms is None:
            call.latency_ms = span_ms(start, record.time_us("endTime", "end_time"))
        parameters = record.inner("modelParameters", "model_parameters")
        call.temperature = parameters.number("temperature")
        _add_tier(call, parameters)
        _add_origin(call, record, metadata)
        _add_usage(call, record)
        log_cost(call, _cost(record), record.values)
        if record.text("level") == "ERROR":
            call.status, call.error = "error", "error"
        return call


def _add_tier(call: Call, parameters: Fields) -> None:
    """Add the requested tier; `auto` and `default` don't say which tier served the call."""
    tier = parameters.text("service_tier", "serviceTier")
    if tier not in (None, "auto", "default"):
        call.is_batch, call.service_tier = (True, "standard") if tier == "batch" else (False, tier)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1_000


def _cost(record: Fields) -> Any:
    return record.value("totalCost", "total_cost", "calculatedTotalCost") or record.inner(
        "costDetails", "cost_details"
    ).value("total")


def _add_origin(call: Call, record: Fields, metadata: Fields) -> None:
    labels = labels_in(metadata.values)
    call.user = record.text("userId", "user_id") or labels.user
    call.conversation = record.text("sessionId", "session_id") or labels.conversation
    call.tenant = labels.tenant or record.text("projectId", "project_id")
    call.endpoint = labels.endpoint or record.text("name", "traceName", "trace_name")
    if call.conversation is None:
        call.conversation = record.text("traceId", "trace_id")


def _add_usage(call: Call, record: Fields) -> None:
    details = record.inner("usageDetails", "usage_details")
    if not details:
        details = record.inner("usage")
    if not details:
        return
    reading = _read_details(details)
    provided = record.inner("providedUsageDetails", "provided_usage_details")
    is_known = "providedUsageDetails" in record.values or "provided_usage_details" in record.values
    if reading.usage is not None and is_known and not provided:
        reading.usage.source = "estimated"
    add_reading(call, reading)


def _read_details(details: Fields) -> Reading:
    """Read usage details, whose keys are free: Langfuse's own, or OpenAI's as an SDK sent them."""
    if details.has("prompt_tokens"):
        return read_usage(details.values, "openai")
    reading = read_usage(details.values, "langfuse", trust_total=False)
    usage = reading.usage or Usage("langfuse")
    for side in ("input", "output"):
        if usage.unreadable and getattr(usage, side) is None:
            continue  # it includes a token class whose count can't be read
        own = {name: details.stated(name) for name in details.values if _is_part(name, side)}
        if UNREADABLE in own.values() and (own.get(side) or 0) >= 0:
            setattr(usage, side, None)
        elif own and not {None, UNREADABLE} & set(own.values()):
            setattr(usage, side, sum(count or 0 for count in own.values()))
    reading.usage = plausible(usage)
    reading.unread = [
        each for each in reading.unread if not each[0].startswith(("input", "output"))
    ]
    return reading


def _is_part(name: str, side: str) -> bool:
    """Return whether a key counts input or output tokens, other than cached and reasoning ones."""
    named = meaning_of(name)
    is_class = named is not None and named.meaning in CLASSES
    starts = f"{side}_" if side == "input" else side
    return (name == side or name.startswith(starts)) and not is_class


NOT_A_MODEL_RUN = Skip(
    "not-a-call", "It is a chain, a tool or a retriever, which repeats its children."
)


class LangSmith(PerRecord):
    """Read runs of type llm; chains repeat their children's totals."""

    name: ClassVar[str] = "langsmith"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for keys in (("run_type", "dotted_order"), ("run_type", "trace_id")):
            if all(key in record for key in keys):
                return ", ".join(keys)
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one run."""
        place = record.text("id"), record.text("parent_run_id")
        if record.text("run_type") != "llm":
            return no_call(NOT_A_MODEL_RUN, *place)
        metadata = record.inner("extra").inner("metadata")
        parameters = record.inner("extra").inner("invocation_params")
        inputs, outputs = record.inner("inputs"), record.inner("outputs")
        model = metadata.text("ls_model_name") or parameters.text("model", "model_name")
        provider = metadata.text("ls_provider")
        start, end = record.time_us("start_time"), record.time_us("end_time")
        call = Call(
            same_as=f"langsmith {record.text('id')}" if record.text("id") else None,
            native_id=outputs.text("id") or record.text("id"),
            ts_us=start,
            provider=provider_named(provider) if provider else provider_of_model(model or ""),
            model=model,
            kind="embedding" if metadata.text("ls_model_type") == "embedding" else "chat",
            prompt=prompt_from(
                inputs.values or None, tools=parameters.value("tools") or inputs.value("tools")
            ),
            answer=answer_from(outputs.values) if outputs else b"",
            temperature=parameters.number("temperature") or metadata.number("ls_temperature"),
            latency_ms=span_ms(start, end),
            ttft_ms=span_ms(start, record.time_us("first_token_time")),
            finish_reason=_finish(outputs),
        )
        call.span, call.within = place
        call.truncated = bool(record.value("inputs_s3_urls")) and not inputs
        labels = labels_in(metadata.values)
        call.user, call.tenant = labels.user, labels.tenant or record.text("tenant_id")
        call.conversation = metadata.text(*CONVERSATION)
        call.endpoint = labels.endpoint or record.text("name")
        _add_tier(call, parameters)
        _add_counts(call, record, metadata, outputs)
        log_cost(call, record.values.get("total_cost"), record.values)
        if record.text("status") == "error" or record.text("error"):
            call.status, call.error = "error", "error"
        return call


def _finish(outputs: Fields) -> str | None:
    first = next(iter(outputs.items("choices")), None)
    reason = Fields(first).text("finish_reason") if isinstance(first, dict) else None
    return FINISH.get(reason or "", reason)


COLUMNS = ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_token_details",
           "completion_token_details")  # fmt: skip
TIERS = ("priority", "flex")  # LangChain puts them before the names of token classes


def _add_counts(call: Call, record: Fields, metadata: Fields, outputs: Fields) -> None:
    """Add the counts from the first place that has some, the most detailed place first."""
    detailed = [outputs.inner("usage_metadata"), metadata.inner("usage_metadata")]
    places = sorted(detailed, key=lambda place: not place.has("input_token_details"))
    raw = [outputs.inner("usage"), outputs.inner("llm_output").inner("token_usage")]
    own = [place.values for place in raw if place]  # the provider's own object
    columns = {name: Fields(record.values).value(name) for name in COLUMNS}
    for values in (*own, *(place.values for place in places), columns):
        reading = read_usage(values, "openai" if values in own else "langsmith")
        if reading.usage is not None:
            break
    else:
        return
    if values is columns:
        reading.usage.source = "gateway"
    reading.cost = None  # the run's total_cost takes precedence
    add_reading(call, reading)
    details = Fields(values).inner("input_token_details").values
    call.service_tier = next((tier for tier in TIERS if tier in details), call.service_tier)


NO_HIT = ("", "00000000-0000-0000-0000-000000000000", "no-cache", "DEFAULT")
RAW_COST_FLOOR = 100_000  # dollars; no call costs that much, so the unit is 1e-9 dollars


class Helicone(PerRecord):
    """Read one request per row; usage in the body takes precedence over Helicone's columns."""

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
        if call.usage is None:
            _add_columns(call, record)
        _add_helicone_origin(call, record)
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


def _add_columns(call: Call, record: Fields) -> None:
    """Add the counts in Helicone's columns, such as prompt_cache_read_tokens."""
    counts = {name: value for name, value in record.values.items() if name.endswith("_tokens")}
    reading = read_usage(counts, "helicone", trust_total=False)
    if reading.usage is not None:
        reading.usage.source = "gateway"
    add_reading(call, reading)


def _body(record: Fields, name: str) -> Any:
    body = record.inner(name)
    return None if not body or body.has("helicone_message") else body.values


def _add_helicone_origin(call: Call, record: Fields) -> None:
    properties = {**record.inner("properties").values, **record.inner("request_properties").values}
    labels = labels_in(properties)
    user = record.text("request_user_id")
    call.user = labels.user or (user if user not in ("null", "undefined") else None) or call.user
    call.conversation = labels.conversation or call.conversation
    call.tenant = labels.tenant or record.text("organization_id") or call.tenant
    call.endpoint = labels.endpoint or record.text("request_path", "target_url") or call.endpoint


def _add_cost(call: Call, record: Fields) -> None:
    cost = record.number("cost")
    if cost is None:
        return
    unit = "usd_e9" if cost >= RAW_COST_FLOOR else "usd"
    log_cost(call, record.values["cost"], record.values, unit)
