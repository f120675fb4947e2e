"""A span of the GenAI conventions, of OpenInference, OpenLLMetry or the AI SDK becomes a call."""

from typing import Any

from costaudit.ingest.call import Call, Prompt, Usage
from costaudit.ingest.exchange import FINISH
from costaudit.ingest.fields import Fields
from costaudit.ingest.labels import labels_in
from costaudit.ingest.loose import answer_from, encoded, prompt_from
from costaudit.ingest.models import provider_named, provider_of_model, split_model
from costaudit.ingest.sources.otel_attributes import nested
from costaudit.ingest.times import span_ms
from costaudit.ingest.usage import decimal_of, plausible

CALLS = frozenset({"chat", "text_completion", "generate_content", "embeddings", "completion"})
OPENINFERENCE_CALLS = frozenset({"LLM", "EMBEDDING"})
MODEL = ("gen_ai.response.model", "llm.response.model_name", "llm.model_name", "ai.response.model",
         "gen_ai.request.model", "llm.request.model_name", "ai.model.id",
         "embedding.model_name")  # fmt: skip
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system",
            "ai.model.provider")  # fmt: skip
INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens",
         "llm.token_count.prompt", "ai.usage.inputTokens", "ai.usage.promptTokens")  # fmt: skip
OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens",
          "llm.usage.completion_tokens", "llm.token_count.completion", "ai.usage.outputTokens",
          "ai.usage.completionTokens")  # fmt: skip
READ = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cache_read_input_tokens",
        "llm.usage.cache_read_input_tokens", "llm.token_count.prompt_details.cache_read",
        "ai.usage.cachedInputTokens")  # fmt: skip
WRITE = ("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
         "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.details.cache_write_tokens",
         "llm.usage.cache_creation_input_tokens",
         "llm.token_count.prompt_details.cache_write")  # fmt: skip
REASONING = ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens",
             "llm.usage.reasoning_tokens", "llm.token_count.completion_details.reasoning",
             "ai.usage.reasoningTokens")  # fmt: skip
FINISH_REASON = ("gen_ai.completion.0.finish_reason", "ai.response.finishReason",
                 "llm.response.finish_reason")  # fmt: skip
COST = ("gen_ai.usage.cost", "gen_ai.usage.total_cost", "llm.cost.total")
TIER = ("openai.response.service_tier", "gen_ai.openai.response.service_tier")


def is_call(name: str, attributes: Fields) -> bool:
    """Tell model calls from agents, chains and tools, which repeat what their children used."""
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
    """Make a call of a span and its flat attributes."""
    start = span.time_us("startTimeUnixNano", "start_time_unix_nano", "start_time", "startTime")
    end = span.time_us("endTimeUnixNano", "end_time_unix_nano", "end_time", "endTime")
    named = attributes.text(*PROVIDER)
    prefix, model = split_model(attributes.text(*MODEL) or "")
    call = Call(
        native_id=attributes.text("gen_ai.response.id", "ai.response.id") or span_id(span),
        ts_us=start,
        provider=provider_named(named) if named else prefix or provider_of_model(model),
        model=model or None,
        service_tier=attributes.text(*TIER),
        latency_ms=span_ms(start, end),
        ttft_ms=_ttft(attributes),
        usage=plausible(_usage(attributes)),
        logged_cost=decimal_of(attributes.value(*COST)),
        stream=attributes.truth("gen_ai.request.stream", "llm.is_streaming"),
        temperature=attributes.number("gen_ai.request.temperature", "ai.settings.temperature"),
        finish_reason=_finish(attributes),
    )
    operation = attributes.text("gen_ai.operation.name", "openinference.span.kind") or ""
    call.kind = "embedding" if operation.lower().startswith("embedding") else "chat"
    call.cost_unit = "usd" if call.logged_cost is not None else None
    _add_content(call, attributes)
    _add_origin(call, span, attributes, resource)
    _add_status(call, span, attributes)
    return call


def span_id(span: Fields) -> str | None:
    """Give a span's own id."""
    return span.text("spanId", "span_id") or span.inner("context").text("span_id", "spanId")


def _ttft(attributes: Fields) -> float | None:
    seconds = attributes.number("gen_ai.response.time_to_first_chunk")
    return attributes.number("ai.response.msToFirstChunk") if seconds is None else seconds * 1_000


def _finish(attributes: Fields) -> str | None:
    reasons = attributes.items("gen_ai.response.finish_reasons")
    reason = str(reasons[0]) if reasons else attributes.text(*FINISH_REASON)
    return FINISH.get(reason or "", reason)


def _usage(attributes: Fields) -> Usage:
    is_openinference = attributes.has("llm.token_count.prompt")
    return Usage(
        "openinference" if is_openinference else "otel_semconv",
        input=attributes.integer(*INPUT),
        output=attributes.integer(*OUTPUT),
        cache_read=attributes.integer(*READ),
        cache_write_other=attributes.integer(*WRITE) or 0,
        reasoning=attributes.integer(*REASONING) or 0,
        total=None,
        source="provider",
    )


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
    """Turn `message.contents[].message_content.text` and the like into plain messages."""
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
    """Put `gen_ai.user.message` events and their like together as a message list."""
    messages = []
    for name, body in events:
        role = name.removeprefix("gen_ai.").removesuffix(".message")
        if role in ("system", "user", "assistant", "tool") and isinstance(body, dict):
            messages.append(encoded({"role": role, **body}))
    return Prompt(messages=messages) if messages else None


def answer_of_events(events: list[tuple[str, Any]]) -> tuple[bytes, str | None]:
    """Find the first choice among events: its message, and why it ended."""
    for name, body in events:
        if name == "gen_ai.choice" and isinstance(body, dict):
            fields = Fields(body)
            message = fields.value("message") or body.get("content")
            reason = fields.text("finish_reason")
            return encoded(message), FINISH.get(reason or "", reason)
    return b"", None
