"""Read spans of the GenAI conventions, OpenInference, OpenLLMetry or the AI SDK as calls."""

from typing import Any

from costaudit.ingest.calls.call import Call, Convention, Prompt
from costaudit.ingest.calls.exchange import FINISH
from costaudit.ingest.calls.fields import Fields, span_ms
from costaudit.ingest.calls.money import log_cost
from costaudit.ingest.calls.names import billed_by, labels_in, provider_of_model, split_model
from costaudit.ingest.calls.untyped import answer_from, encoded, prompt_from
from costaudit.ingest.calls.usage import read_usage

SCALARS = ("stringValue", "boolValue", "doubleValue", "string_value", "bool_value", "double_value")


def attributes_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record's attributes by dotted name; see `flat`."""
    return flat(record.get("attributes"))


def flat(attributes: Any) -> dict[str, Any]:
    """Return attributes by dotted name, from OTLP's key list or a nested or dotted object."""
    if isinstance(attributes, list):
        pairs = [a for a in attributes if isinstance(a, dict) and isinstance(a.get("key"), str)]
        return {a["key"]: plain(a.get("value")) for a in pairs}
    found: dict[str, Any] = {}
    if isinstance(attributes, dict):
        _flatten(attributes, "", found, 0)
    return found


def _flatten(value: dict[str, Any], prefix: str, found: dict[str, Any], depth: int) -> None:
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict) and depth < 8:
            _flatten(item, f"{name}.", found, depth + 1)
        elif item is not None:
            found[name] = item


def plain(value: Any, depth: int = 0) -> Any:
    """Unwrap OTLP's typed values, such as {"stringValue": "x"}."""
    if not isinstance(value, dict) or depth > 64:
        return value
    for name in SCALARS:
        if name in value:
            return value[name]
    for name in ("intValue", "int_value"):
        if name in value:
            number = value[name]
            return int(number) if str(number).lstrip("-").isdigit() else None
    items = _values(value.get("arrayValue", value.get("array_value")))
    if items is not None:
        return [plain(item, depth + 1) for item in items]
    pairs = _values(value.get("kvlistValue", value.get("kvlist_value")))
    if pairs is not None:
        return {
            p["key"]: plain(p.get("value"), depth + 1)
            for p in pairs
            if isinstance(p, dict) and isinstance(p.get("key"), str)
        }
    return value


def _values(holder: Any) -> list[Any] | None:
    if not isinstance(holder, dict):
        return None
    values = holder.get("values")
    return values if isinstance(values, list) else []


def nested(attributes: dict[str, Any], prefix: str) -> Any:
    """Return names such as `prefix.0.message.role` as nested lists and objects; None if absent."""
    root: dict[str, Any] = {}
    for name, value in attributes.items():
        if not name.startswith(prefix + "."):
            continue
        node = root
        *path, last = name[len(prefix) + 1 :].split(".")
        for step in path:
            inner = node.setdefault(step, {})
            if not isinstance(inner, dict):
                break
            node = inner
        else:
            node[last] = value
    return _listed(root) if root else None


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: _listed(item) for key, item in value.items()}


CALLS = frozenset({"chat", "text_completion", "generate_content", "embeddings", "completion"})
OPENINFERENCE_CALLS = frozenset({"LLM", "EMBEDDING"})
MODEL = ("gen_ai.response.model", "llm.response.model_name", "llm.model_name", "ai.response.model",
         "gen_ai.request.model", "llm.request.model_name", "ai.model.id",
         "embedding.model_name")  # fmt: skip
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system",
            "ai.model.provider")  # fmt: skip
COUNTS = ("gen_ai.usage.", "llm.usage.", "llm.token_count.", "ai.usage.")
FINISH_REASON = ("gen_ai.completion.0.finish_reason", "ai.response.finishReason",
                 "llm.response.finish_reason")  # fmt: skip
COST = ("gen_ai.usage.cost", "gen_ai.usage.total_cost", "llm.cost.total")
TIER = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")


def is_call(name: str, attributes: Fields) -> bool:
    """Return whether a span is a model call; agent, chain and tool spans repeat a child's usage."""
    kind = attributes.text("openinference.span.kind")
    if kind is not None:
        return kind.upper() in OPENINFERENCE_CALLS
    sdk = attributes.text("ai.operationId")
    if sdk is not None:
        return sdk.endswith(("doGenerate", "doStream", "doEmbed"))
    operation = attributes.text("gen_ai.operation.name", "llm.request.type")
    if operation is not None:
        return operation in CALLS
    if name.startswith(("invoke_agent", "create_agent", "execute_tool")):
        return False
    return attributes.text(*MODEL) is not None


def call_of_span(span: Fields, attributes: Fields, resource: Fields) -> Call:
    """Return the call of a span, given the flat attributes of the span and of its resource."""
    start = span.time_us("startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime")
    end = span.time_us("endTimeUnixNano", "end_time_unix_nano", "end_time", "endTime")
    named = attributes.text(*PROVIDER)
    prefix, model = split_model(attributes.text(*MODEL) or "")
    call = Call(
        native_id=attributes.text("gen_ai.response.id", "ai.response.id") or span_id(span),
        ts_us=start,
        provider=billed_by(named, prefix or provider_of_model(model)),
        model=model or None,
        service_tier=attributes.text(*TIER),
        latency_ms=span_ms(start, end),
        ttft_ms=_ttft(attributes),
        stream=attributes.truth("gen_ai.request.stream", "llm.is_streaming"),
        temperature=attributes.number("gen_ai.request.temperature", "ai.settings.temperature"),
        finish_reason=_finish(attributes),
    )
    call.kind = "embedding" if _embeds(attributes) else "chat"
    log_cost(call, attributes.value(*COST), attributes.values)
    call.span, call.within = trace_place(span)
    _add_usage(call, attributes)
    _add_content(call, attributes)
    _add_origin(call, span, attributes, resource)
    _add_status(call, span, attributes)
    return call


def _embeds(attributes: Fields) -> bool:
    operation = attributes.text("gen_ai.operation.name", "openinference.span.kind") or ""
    sdk = attributes.text("ai.operationId") or ""
    return operation.lower().startswith("embedding") or sdk.endswith("doEmbed")


SPAN = ("spanId", "span_id", "spanID", "context.span_id")


def span_id(span: Fields) -> str | None:
    """Return a span's id."""
    return span.text(*SPAN) or span.inner("context").text(*SPAN)


def trace_place(span: Fields) -> tuple[str | None, str | None]:
    """Return the keys of a span and of its parent, each None if unknown."""
    context = span.inner("context")
    trace = span.text(*TRACE) or context.text(*TRACE) or ""
    parent = span.text(*PARENT) or context.text(*PARENT) or _reference(span)
    own = span_id(span)
    return (f"{trace} {own}" if own else None), (f"{trace} {parent}" if parent else None)


TRACE = ("traceId", "trace_id", "traceID", "context.trace_id")
PARENT = ("parentSpanId", "parent_span_id", "parentId", "parent_id", "parentSpanID")


def _reference(span: Fields) -> str | None:
    """Return the parent's id from Jaeger's references."""
    for each in span.items("references"):
        reference = Fields(each if isinstance(each, dict) else {})
        if reference.text("refType") == "CHILD_OF":
            return reference.text("spanID", "spanId")
    return None


def _ttft(attributes: Fields) -> float | None:
    seconds = attributes.number("gen_ai.response.time_to_first_chunk")
    return attributes.number("ai.response.msToFirstChunk") if seconds is None else seconds * 1_000


def _finish(attributes: Fields) -> str | None:
    reasons = attributes.items("gen_ai.response.finish_reasons")
    reason = str(reasons[0]) if reasons else attributes.text(*FINISH_REASON)
    return FINISH.get(reason or "", reason)


def _add_usage(call: Call, attributes: Fields) -> None:
    """Add the provider's own usage if the span has it, otherwise the span's counts."""
    raw = _raw_usage(attributes)
    counts = {name: value for name, value in attributes.values.items() if name.startswith(COUNTS)}
    if "ai.usage.tokens" in counts:  # of an embedding, which has no output
        counts.setdefault("ai.usage.inputTokens", counts.pop("ai.usage.tokens"))
    claim: Convention = "openinference" if "llm.token_count.prompt" in counts else "otel_semconv"
    reading = read_usage(counts, claim)
    if reading.usage is not None:
        reading.usage.total = None  # summed by the instrumentation, not the provider
    if raw:
        own = read_usage(raw, "openai")
        reading.usage, reading.units = own.usage or reading.usage, own.units or reading.units
    call.usage = reading.usage
    call.units, call.unread = tuple(reading.units), tuple(reading.unread)


def _raw_usage(attributes: Fields) -> dict[str, Any]:
    """Return the provider's usage object from the AI SDK's provider metadata."""
    metadata = attributes.inner("ai.response.providerMetadata")
    for name in metadata.values:
        usage = metadata.inner(name).inner("usage")
        if usage.has("input_tokens") or usage.has("prompt_tokens"):
            return usage.values
    return {}


def _add_content(call: Call, attributes: Fields) -> None:
    values = attributes.values
    tools = attributes.value("gen_ai.tool.definitions", "ai.prompt.tools") or _tools(values)
    system = attributes.value("gen_ai.system_instructions") or attributes.inner(
        "llm.invocation_parameters"
    ).value("system")
    messages = (
        attributes.value("gen_ai.input.messages", "ai.prompt.messages")
        or nested(values, "gen_ai.prompt")
        or _openinference(nested(values, "llm.input_messages"))
        or attributes.value("gen_ai.prompt", "ai.prompt", "input.value")
    )
    call.prompt = prompt_from(messages, tools=tools, system=system)
    answer = (
        attributes.value("gen_ai.output.messages")
        or nested(values, "gen_ai.completion")
        or _openinference(nested(values, "llm.output_messages"))
        or _sdk_answer(attributes)
        or attributes.value("gen_ai.completion", "output.value")
    )
    call.answer = answer_from(answer)


def _tools(values: dict[str, Any]) -> Any:
    functions = nested(values, "llm.request.functions") or []
    schemas = nested(values, "llm.tools") or []
    found = [f for f in functions if isinstance(f, dict)]
    for each in schemas:
        tool = Fields(each if isinstance(each, dict) else {}).inner("tool")
        found.append(tool.inner("json_schema").values or tool.values)
    return found


def _openinference(messages: Any) -> Any:
    """Convert OpenInference's `message.contents[].message_content.text` to plain messages."""
    found = []
    for each in messages if isinstance(messages, list) else []:
        message = Fields(each if isinstance(each, dict) else {}).inner("message")
        blocks = [_content(c) for c in message.items("contents")]
        calls = [
            {"function": Fields(c).inner("tool_call").inner("function").values}
            for c in message.items("tool_calls")
            if isinstance(c, dict)
        ]
        found.append(
            {
                "role": message.text("role") or "user",
                "content": message.values.get("content") or blocks or None,
                **({"tool_calls": calls} if calls else {}),
            }
        )
    return found


def _content(content: Any) -> dict[str, Any]:
    fields = Fields(content if isinstance(content, dict) else {}).inner("message_content")
    image = fields.inner("image").inner("image").text("url") or fields.inner("image").text("url")
    if image is not None:
        return {"type": "image_url", "image_url": {"url": image}}
    return {"type": "text", "text": fields.text("text") or ""}


def _sdk_answer(attributes: Fields) -> Any:
    text, calls = attributes.text("ai.response.text"), attributes.items("ai.response.toolCalls")
    if text is None and not calls:
        return None
    functions = [
        {"name": c.get("toolName"), "arguments": c.get("args", c.get("input"))}
        for c in calls
        if isinstance(c, dict)
    ]
    return {
        "role": "assistant",
        "content": text,
        "tool_calls": [{"function": function} for function in functions],
    }


def _add_origin(call: Call, span: Fields, attributes: Fields, resource: Fields) -> None:
    labels = labels_in(attributes.inner("metadata").values)
    properties = nested(attributes.values, "traceloop.association.properties")
    more = labels_in(properties if isinstance(properties, dict) else {})
    user = attributes.text("user.id", "enduser.id", "llm.user", "gen_ai.user")
    call.user = user or labels.user or more.user
    call.conversation = (
        attributes.text("gen_ai.conversation.id", "session.id")
        or labels.conversation
        or more.conversation
    )
    call.agent = attributes.text("gen_ai.agent.name", "agent.name")
    call.client_version = resource.text("service.version")
    call.tenant = attributes.text("tenant.id", "tenant") or labels.tenant or more.tenant
    call.endpoint = (
        labels.endpoint or more.endpoint or resource.text("service.name") or span.text("name")
    )


def _add_status(call: Call, span: Fields, attributes: Fields) -> None:
    status = span.inner("status")
    code = status.values.get("code", span.values.get("status_code"))
    kind = attributes.text("error.type")
    if code in (2, "2", "STATUS_CODE_ERROR", "ERROR") or kind is not None:
        call.status, call.error = "error", kind or "error"
        call.http_status = int(kind) if kind is not None and kind.isdigit() else None


def prompt_of_events(events: list[tuple[str, Any]]) -> Prompt | None:
    """Return the prompt in `gen_ai.user.message` and similar events; None if there is none."""
    messages = []
    for name, body in events:
        role = name.removeprefix("gen_ai.").removesuffix(".message")
        if role in ("system", "user", "assistant", "tool") and isinstance(body, dict):
            messages.append(encoded({"role": role, **body}))
    return Prompt(messages=messages) if messages else None


def answer_of_events(events: list[tuple[str, Any]]) -> tuple[bytes, str | None]:
    """Return the message and finish reason of the first `gen_ai.choice` event."""
    for name, body in events:
        if name == "gen_ai.choice" and isinstance(body, dict):
            fields = Fields(body)
            message = fields.value("message") or body.get("content")
            reason = fields.text("finish_reason")
            return encoded(message), FINISH.get(reason or "", reason)
    return b"", None
