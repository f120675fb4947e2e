"""Request and response bodies of the providers' own APIs; only the fields we read are decoded."""

from msgspec import Raw, Struct


class CacheCreation(Struct, gc=False):
    """Anthropic's split of cache writes by TTL."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class ErrorBody(Struct, gc=False):
    """An error as most interfaces return it."""

    type: str | None = None
    code: str | int | None = None
    status: str | int | None = None


class Choice(Struct, gc=False):
    """One choice of a chat or text completion."""

    finish_reason: str | None = None
    message: Raw = Raw()
    text: Raw = Raw()


class Candidate(Struct, gc=False, rename="camel"):
    """One candidate of a Gemini response."""

    content: Raw = Raw()
    grounding_metadata: Raw = Raw()
    finish_reason: str | None = None


class Metrics(Struct, gc=False, rename="camel"):
    """Bedrock's measurements of one call."""

    latency_ms: float | None = None


class Conversation(Struct, gc=False):
    """Where the provider keeps the earlier messages."""

    id: str | None = None


class Incomplete(Struct, gc=False):
    """Why a response of the Responses interface stopped early."""

    reason: str | None = None


REQUEST = {
    "camel_system": "systemInstruction",
    "tool_config": "toolConfig",
    "cached_content": "cachedContent",
    "generation_config": "generationConfig",
    "camel_tier": "serviceTier",
}


class Request(Struct, gc=False, rename=REQUEST):
    """What was sent to a model, whichever interface it went through."""

    model: str | None = None
    messages: list[Raw] | None = None
    system: Raw = Raw()
    tools: Raw = Raw()
    functions: Raw = Raw()
    instructions: Raw = Raw()
    input: Raw = Raw()
    prompt: Raw = Raw()
    contents: list[Raw] | None = None
    camel_system: Raw = Raw()
    system_instruction: Raw = Raw()
    tool_config: Raw = Raw()
    cache_control: Raw = Raw()
    prompt_cache_options: Raw = Raw()
    prompt_cache_retention: Raw = Raw()
    prompt_cache_key: str | None = None
    cached_content: Raw = Raw()
    tool_choice: Raw = Raw()
    thinking: Raw = Raw()
    response_format: Raw = Raw()
    text: Raw = Raw()
    output_config: Raw = Raw()
    output_format: Raw = Raw()
    generation_config: Raw = Raw()
    temperature: float | None = None
    stream: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: Raw = Raw()
    conversation: Conversation | str | None = None
    service_tier: str | None = None
    camel_tier: Raw = Raw()  # of Gemini and Converse
    anthropic_version: str | None = None
    max_tokens: int | None = None


RESPONSE = {
    "converse_stop": "stopReason",
    "usage_metadata": "usageMetadata",
    "model_version": "modelVersion",
    "response_id": "responseId",
    "create_time": "createTime",
    "camel_tier": "serviceTier",
}


class Response(Struct, gc=False, rename=RESPONSE):
    """What came back, whichever interface it came through."""

    id: str | None = None
    object: str | None = None
    type: str | None = None
    model: str | None = None
    created: float | None = None
    created_at: float | str | None = None
    completed_at: float | str | None = None
    service_tier: str | None = None
    camel_tier: Raw = Raw()  # of Converse
    choices: list[Choice] | None = None
    content: Raw = Raw()
    stop_reason: str | None = None
    converse_stop: str | None = None
    usage: Raw = Raw()
    output: Raw = Raw()
    status: str | int | None = None
    incomplete_details: Incomplete | None = None
    error: ErrorBody | str | None = None
    metrics: Metrics | None = None
    candidates: list[Candidate] | None = None
    usage_metadata: Raw = Raw()
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    prompt_filter_results: Raw = Raw()
    message: Raw = Raw()  # of Ollama and Cohere
    response: Raw = Raw()  # of Ollama's plain completions
    done: bool | None = None
    done_reason: str | None = None
    finish_reason: str | None = None
    prompt_eval_count: Raw = Raw()
    eval_count: Raw = Raw()
    meta: Raw = Raw()  # of Cohere's first API version; it holds the billed units
    x_groq: Raw = Raw()
