"""Make a call from a request body and a response body of any interface."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Raw

from costaudit.ingest.calls.bodies import Choice, ErrorBody, Request, Response
from costaudit.ingest.calls.call import NOTHING, Buffer, Call, Convention, Prompt, Usage
from costaudit.ingest.calls.fields import Fields, count_of, parse_time, present, span_ms
from costaudit.ingest.calls.names import TRAFFIC, Labels, labels_of, provider_of_model, tier_within
from costaudit.ingest.calls.settings import settings_of
from costaudit.ingest.calls.stated import embedded
from costaudit.ingest.calls.units import grounding_units, tool_units
from costaudit.ingest.calls.usage import Reading, leaves, read_usage, usage_values
from costaudit.ingest.calls.usage_names import meaning_of

Dialect = Literal[
    "openai",
    "responses",
    "anthropic",
    "gemini",
    "converse",
    "embedding",
    "cohere",
    "ollama",
    "other",
]
ENDPOINTS: dict[Dialect, str] = {
    "openai": "/v1/chat/completions",
    "responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "generateContent",
    "converse": "Converse",
    "embedding": "/v1/embeddings",
    "cohere": "/v2/chat",
    "ollama": "/api/chat",
    "other": "",
}
PROVIDER: dict[Dialect, str] = {
    "openai": "openai",
    "responses": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "converse": "aws",
    "embedding": "openai",
    "cohere": "cohere",
    "ollama": "ollama",
    "other": "openai",
}
CONVENTION: dict[Dialect, Convention] = {
    "openai": "openai",
    "responses": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "converse": "bedrock_converse",
    "embedding": "openai",
    "cohere": "exclusive",
    "ollama": "exclusive",
    "other": "openai",
}
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "STOP": "stop",
    "completed": "stop",
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "refusal": "content_filter",
    "SAFETY": "content_filter",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "error": "error",
}
VAGUE = (None, "error", "tokens", "requests")  # error types that say less than the code does


def dialect_of(request: Request | None, response: Response | None) -> Dialect | None:
    """Return which interface a pair of bodies belongs to; None if neither body shows it."""
    found = _response_dialect(response) if response is not None else None
    if found is None and request is not None:
        found = _request_dialect(request)
    return found


def _response_dialect(response: Response) -> Dialect | None:
    if response.choices is not None:
        return "openai"
    if response.object in ("response", "response.compaction", "realtime.response"):
        return "responses"
    if response.type == "message" or (response.stop_reason and present(response.content)):
        return "anthropic"
    if response.candidates is not None or present(response.usage_metadata):
        return "gemini"
    if response.converse_stop is not None:
        return "converse"
    if response.object == "list" and present(response.usage):
        return "embedding"
    if response.done is not None and (response.message or response.response):
        return "ollama"
    if b'"billed_units"' in bytes(response.usage) or b'"billed_units"' in bytes(response.meta):
        return "cohere"
    if response.object == "thread.run" or states_usage(usage_values(response.usage)):
        return "other"
    return None


def states_usage(values: Mapping[str, Any] | None) -> bool:
    """Return whether an object holds the usage counts of a call, in any interface."""
    return any(
        named.meaning != "known"
        for path, value in leaves(values or {})
        if count_of(value) is not None and (named := meaning_of(path))
    )


def _request_dialect(request: Request) -> Dialect | None:
    if request.contents is not None:
        return "gemini"
    if request.messages is None:
        return "responses" if present(request.input) else None
    claude = request.model is not None and "claude" in request.model
    if request.anthropic_version or present(request.system) or (claude and request.max_tokens):
        return "anthropic"
    return "openai"


def call_of(request: Request | None, response: Response | None) -> Call | None:
    """Make a call from two bodies; one may be missing. Return None if neither says anything."""
    dialect = dialect_of(request, response)
    if dialect is None:
        if response is None or response.error is None:
            return None
        dialect = "openai"
    model = (response and (response.model or response.model_version)) or (request and request.model)
    call = Call(
        provider=_provider(dialect, model or None, response),
        model=model or None,
        endpoint=ENDPOINTS[dialect] or None,
        kind="embedding" if dialect == "embedding" else "chat",
    )
    if request is not None:
        _add_request(call, request)
    if response is not None:
        _add_response(call, response, dialect)
    if dialect == "gemini" and call.prompt is None and call.native_id:
        call.same_as = f"gemini {call.native_id}"  # chunks of one answer; each has counts
    if request is not None and call.usage is not None:
        _name_writes(call.usage, _asked_ttl(call.settings.cache_options))
    return call


@lru_cache(1024)
def _asked_ttl(options: str | None) -> str | None:
    ttl = msgspec.json.decode(options).get("ttl") if options else None
    return ttl if isinstance(ttl, str) else None


def _name_writes(usage: Usage, ttl: str | None) -> None:
    """Set cache writes without a TTL to the requested TTL, such as Moonshot's."""
    if ttl is None or usage.other_ttl is not None or not usage.cache_write_other:
        return
    if ttl == "5m":
        usage.cache_write_5m += usage.cache_write_other
    elif ttl == "1h":
        usage.cache_write_1h += usage.cache_write_other
    else:
        usage.other_ttl = ttl
        return
    usage.cache_write_other = 0


def is_bedrock(response_id: str | None) -> bool:
    """Return whether Bedrock created this response id."""
    return response_id is not None and response_id.startswith("msg_bdrk_")


def _provider(dialect: Dialect, model: str | None, response: Response | None) -> str:
    if response is not None:
        if is_bedrock(response.id):
            return "aws"
        if response.id is not None and response.id.startswith("msg_vrtx_"):
            return "google"
        if present(response.prompt_filter_results):
            return "azure"
    guess = provider_of_model(model) if model else None
    return guess or PROVIDER[dialect]


def _add_request(call: Call, request: Request) -> None:
    call.prompt = prompt_of(request)
    call.settings = settings_of(request)
    call.temperature = request.temperature
    call.stream = request.stream
    asked = request.service_tier or tier_within(request.camel_tier)
    call.service_tier = asked if asked != "auto" else None
    labels = labels_of(request.metadata) if present(request.metadata) else Labels()
    call.user = labels.user or request.user or request.safety_identifier
    call.tenant, call.conversation = labels.tenant, labels.conversation
    if request.conversation is not None:
        held = request.conversation
        call.conversation = held if isinstance(held, str) else held.id or call.conversation
    if labels.endpoint:
        call.endpoint = labels.endpoint


def prompt_of(request: Request) -> Prompt | None:
    """Collect what was sent in the order in which providers render it."""
    system: Buffer = NOTHING
    for each in (
        request.system,
        request.instructions,
        request.camel_system,
        request.system_instruction,
    ):
        if each and present(each):
            system = each
            break
    tools = request.tools if present(request.tools) else request.functions
    if not present(tools):
        tools = request.tool_config
    messages = request.messages if request.messages is not None else request.contents
    if messages is None:
        messages = _inputs(request.input if present(request.input) else request.prompt)
    if not messages and not system and not present(tools):
        return None
    marker = settings_of(request).auto_cache_ttl
    return Prompt(tools if present(tools) else NOTHING, system, messages or (), auto_marker=marker)


def _inputs(data: Raw) -> list[Raw]:
    if not present(data):
        return []
    if bytes(memoryview(data)[:1]) == b"[":
        return msgspec.json.decode(data, type=list[Raw])
    return [data]


def _add_response(call: Call, response: Response, dialect: Dialect) -> None:
    call.native_id = response.id or response.response_id
    call.ts_us = parse_time(response.created or response.created_at or response.create_time)
    READERS[dialect](call, response)
    add_usage(call, _usage_text(response, dialect), CONVENTION[dialect])
    if dialect == "embedding":
        call.usage = embedded(call.usage, response.usage)
    if tier := response.service_tier or tier_within(response.camel_tier):
        call.service_tier = tier
    if call.service_tier == "default":
        call.service_tier = "standard"
    if response.error is not None:
        call.status, call.error = "error", error_type(response.error)
    if call.finish_reason in FINISH:
        call.finish_reason = FINISH[call.finish_reason]


def _usage_text(response: Response, dialect: Dialect) -> Raw | bytes:
    """Find the usage object in any of the places where interfaces put it."""
    if dialect == "ollama":
        counts = {
            "prompt_eval_count": response.prompt_eval_count,
            "eval_count": response.eval_count,
        }
        return msgspec.json.encode({name: count for name, count in counts.items() if count})
    for found in (response.usage, response.usage_metadata, response.meta):
        if present(found):
            return found
    return _within(response.x_groq, "usage") if present(response.x_groq) else b""


def _within(data: Raw, name: str) -> Raw | bytes:
    try:
        return msgspec.json.decode(data, type=dict[str, Raw]).get(name, b"")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return b""


def add_usage(call: Call, data: Raw | bytes, convention: Convention) -> None:
    """Add the counts, units, tier, region and cost of a usage object to a call."""
    values = usage_values(data)
    if values is None:
        return
    reading = read_usage(values, "xai" if call.provider == "x-ai" else convention)
    add_reading(call, reading)
    fields = Fields(values)
    traffic = TRAFFIC.get(fields.text("trafficType", "traffic_type") or "")
    call.service_tier = fields.text("service_tier") or traffic or call.service_tier
    call.region = fields.text("inference_geo")
    if call.service_tier == "batch":
        call.is_batch, call.service_tier = True, "standard"
    if fields.text("speed") == "fast":
        call.service_tier = "fast"


def add_reading(call: Call, reading: Reading) -> None:
    """Add the reading of a usage object to a call; a known cost is kept."""
    call.usage = reading.usage or call.usage
    call.units = (*call.units, *reading.units)
    call.unread = (*call.unread, *reading.unread)
    if reading.cost is not None and call.logged_cost is None:
        call.logged_cost, call.cost_unit = reading.cost, reading.cost_unit


def add_counts(
    call: Call, values: Mapping[str, Any], claim: Convention, *, trust_total: bool = True
) -> None:
    """Add the counts, units and unread numbers of a platform's own usage object to a call."""
    add_reading(call, read_usage(values, claim, trust_total=trust_total))


def error_type(error: ErrorBody | str) -> str:
    """Return an error's type; leave out its text, which may hold private content."""
    if isinstance(error, str):
        return "timeout" if "timeout" in error.lower() or "timed out" in error.lower() else "error"
    kind = error.code or error.status if error.type in VAGUE else error.type
    return str(kind) if kind is not None else "error"


def _read_chat(call: Call, response: Response) -> None:
    choice = response.choices[0] if response.choices else Choice()
    call.finish_reason = choice.finish_reason
    if present(choice.message):
        call.answer = choice.message
    elif present(choice.text):
        call.answer = choice.text


def _read_responses(call: Call, response: Response) -> None:
    call.answer = response.output
    call.finish_reason = "stop" if response.status == "completed" else None
    if response.incomplete_details is not None:
        call.finish_reason = response.incomplete_details.reason
    if response.status in ("failed", "cancelled"):
        call.status, call.error = "error", str(response.status)
    call.latency_ms = span_ms(parse_time(response.created_at), parse_time(response.completed_at))
    call.units = tool_units(response.output)


def _read_anthropic(call: Call, response: Response) -> None:
    call.answer = response.content
    call.finish_reason = response.stop_reason


def _read_gemini(call: Call, response: Response) -> None:
    if response.candidates:
        call.answer = response.candidates[0].content
        call.finish_reason = response.candidates[0].finish_reason
        call.units = grounding_units(each.grounding_metadata for each in response.candidates)


def _read_converse(call: Call, response: Response) -> None:
    call.answer = response.output
    call.finish_reason = response.converse_stop
    if response.metrics is not None:
        call.latency_ms = response.metrics.latency_ms


def _read_cohere(call: Call, response: Response) -> None:
    call.answer = response.message
    call.finish_reason = response.finish_reason


def _read_ollama(call: Call, response: Response) -> None:
    call.answer = response.message if present(response.message) else response.response
    call.finish_reason = response.done_reason


def _read_embedding(call: Call, response: Response) -> None:
    call.finish_reason = "stop"


def _read_other(call: Call, response: Response) -> None:
    """Read transcriptions, images, reranks and runs; their answers are not model text."""
    call.kind = "chat" if call.prompt is not None else "other"


READERS: dict[Dialect, Callable[[Call, Response], None]] = {
    "openai": _read_chat,
    "responses": _read_responses,
    "anthropic": _read_anthropic,
    "gemini": _read_gemini,
    "converse": _read_converse,
    "embedding": _read_embedding,
    "other": _read_other,
    "cohere": _read_cohere,
    "ollama": _read_ollama,
}
