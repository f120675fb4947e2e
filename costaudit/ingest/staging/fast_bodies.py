"""All fields that a plain request/response pair of OpenAI or Anthropic may have.

Decoding fails for any other field, so that such a record takes the slow path.
"""

from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from costaudit.ingest.calls.bodies import CacheCreation
from costaudit.ingest.calls.fields import MOST_TOKENS

Count = Annotated[int, Meta(ge=0, lt=MOST_TOKENS)]
Zero = Annotated[int, Meta(ge=0, le=0)] | None  # a count that the fast path does not handle
Milliseconds = Annotated[float, Meta(ge=0, lt=1e12)]
Text = str | int | None


class Wrapper(Struct, gc=False, forbid_unknown_fields=True):
    """The fields around the two bodies; those that the fast path does not read are ignored."""

    ts: str | float | None = None
    timestamp: str | float | None = None
    latency_ms: Milliseconds | None = None
    ttft_ms: Milliseconds | None = None
    tenant: str | None = None
    tenant_id: str | None = None
    user: str | None = None
    user_id: str | None = None
    conversation: str | None = None
    conversation_id: str | None = None
    session_id: str | None = None
    cost_usd: Raw = Raw()
    provider: str | None = None
    endpoint: str | None = None
    route: str | None = None
    region: str | None = None
    service_tier: str | None = None
    attempt: int | None = None
    is_batch: bool | None = None
    status: Text = None
    status_code: Text = None
    http_status: Text = None
    cache_status: Text = None
    cache_hit: str | bool | None = None
    cached: bool | None = None
    id: Raw = Raw()
    request_id: Raw = Raw()
    trace_id: Raw = Raw()
    root_request_id: Raw = Raw()
    metadata: Raw = Raw()
    error: None = None


class Asked(Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """The request fields that both APIs share."""

    model: str | None = None
    messages: list[Raw]
    system: Raw = Raw()
    tools: Raw = Raw()
    temperature: float | None = None
    stream: bool | None = None
    service_tier: str | None = None
    max_tokens: int | None = None
    user: str | None = None
    metadata: Raw = Raw()
    top_p: Raw = Raw()
    tool_choice: Raw = Raw()


class ChatRequest(Asked, forbid_unknown_fields=True, kw_only=True):
    """A chat completion request."""

    max_completion_tokens: Raw = Raw()
    n: Raw = Raw()
    seed: Raw = Raw()
    stop: Raw = Raw()
    presence_penalty: Raw = Raw()
    frequency_penalty: Raw = Raw()
    response_format: Raw = Raw()
    reasoning_effort: Raw = Raw()
    stream_options: Raw = Raw()
    parallel_tool_calls: Raw = Raw()
    prompt_cache_key: Raw = Raw()


class MessagesRequest(Asked, forbid_unknown_fields=True, kw_only=True):
    """An Anthropic Messages request."""

    top_k: Raw = Raw()
    stop_sequences: Raw = Raw()
    thinking: Raw = Raw()


class PromptDetails(Struct, gc=False, forbid_unknown_fields=True):
    """How many prompt tokens of a chat completion were cached."""

    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    audio_tokens: Zero = None


class CompletionDetails(Struct, gc=False, forbid_unknown_fields=True):
    """How many completion tokens of a chat completion were reasoning."""

    reasoning_tokens: Count | None = None
    audio_tokens: Zero = None
    accepted_prediction_tokens: Raw = Raw()
    rejected_prediction_tokens: Raw = Raw()


class ChatUsage(Struct, gc=False, forbid_unknown_fields=True):
    """The token counts of a chat completion."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    service_tier: None = None
    inference_geo: None = None


class Choice(Struct, gc=False, forbid_unknown_fields=True):
    """A choice of a chat completion."""

    message: Raw
    finish_reason: str | None = None
    index: Raw = Raw()
    logprobs: Raw = Raw()


class ChatResponse(Struct, gc=False, forbid_unknown_fields=True):
    """A chat completion."""

    choices: list[Choice]
    usage: ChatUsage
    id: str | None = None
    model: str | None = None
    created: float | None = None
    service_tier: str | None = None
    object: Raw = Raw()
    system_fingerprint: Raw = Raw()


class ServerTools(Struct, gc=False, forbid_unknown_fields=True):
    """The use of Anthropic's server tools, as long as nothing was billed for it."""

    web_search_requests: Zero = None
    web_fetch_requests: Raw = Raw()  # free
    code_execution_requests: Zero = None


class MessagesUsage(Struct, gc=False, forbid_unknown_fields=True):
    """The token counts of an Anthropic message."""

    input_tokens: Count
    output_tokens: Count
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_creation: CacheCreation | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    server_tool_use: ServerTools | None = None


class MessagesResponse(Struct, gc=False, forbid_unknown_fields=True):
    """An Anthropic message."""

    type: Literal["message"]
    content: Raw
    usage: MessagesUsage
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    service_tier: None = None
    role: Raw = Raw()
    stop_sequence: Raw = Raw()


class ChatPair(Wrapper, forbid_unknown_fields=True, kw_only=True):
    """A chat completion and its request."""

    request: ChatRequest
    response: ChatResponse


class MessagesPair(Wrapper, forbid_unknown_fields=True, kw_only=True):
    """An Anthropic message and its request."""

    request: MessagesRequest
    response: MessagesResponse
