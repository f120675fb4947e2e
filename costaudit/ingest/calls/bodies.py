"""Request and response bodies of the providers' own interfaces, decoded as far as we look."""

from msgspec import Raw, Struct


class CacheCreation(Struct, gc=False):
    """Anthropic's split of cache writes by TTL."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class CacheDetail(Struct, gc=False, rename="camel"):
    """Bedrock's split of cache writes by TTL."""

    ttl: str | None = None
    input_tokens: int | None = None


class InputDetails(Struct, gc=False):
    """OpenAI's details of the input, and what gateways add to them."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None
    cache_creation_token_details: CacheCreation | None = None


class Iteration(Struct, gc=False):
    """One of several samplings within one of Anthropic's calls."""

    type: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None


class OutputDetails(Struct, gc=False):
    """OpenAI's and Anthropic's details of the output."""

    reasoning_tokens: int | None = None
    thinking_tokens: int | None = None


CONVERSE = {
    "converse_input": "inputTokens",
    "converse_output": "outputTokens",
    "converse_total": "totalTokens",
    "converse_read": "cacheReadInputTokens",
    "converse_write": "cacheWriteInputTokens",
    "converse_details": "cacheDetails",
}


class UsageBody(Struct, gc=False, rename=CONVERSE):
    """The usage object of OpenAI, Anthropic, Bedrock Converse and their imitators."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    iterations: list[Iteration] | None = None
    cached_tokens: int | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    speed: str | None = None
    cost: Raw = Raw()
    converse_input: int | None = None
    converse_output: int | None = None
    converse_total: int | None = None
    converse_read: int | None = None
    converse_write: int | None = None
    converse_details: list[CacheDetail] | None = None


class GeminiUsage(Struct, gc=False, rename="camel"):
    """usageMetadata of Gemini and Vertex."""

    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    total_token_count: int | None = None


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
    finish_reason: str | None = None


class Metrics(Struct, gc=False, rename="camel"):
    """Bedrock's measurements of one call."""

    latency_ms: float | None = None


class Conversation(Struct, gc=False):
    """Where the provider keeps the messages before."""

    id: str | None = None


class Incomplete(Struct, gc=False):
    """Why a response of the Responses interface stopped early."""

    reason: str | None = None


REQUEST = {
    "camel_system": "systemInstruction",
    "tool_config": "toolConfig",
    "cached_content": "cachedContent",
    "generation_config": "generationConfig",
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
    anthropic_version: str | None = None
    max_tokens: int | None = None


RESPONSE = {
    "converse_stop": "stopReason",
    "usage_metadata": "usageMetadata",
    "model_version": "modelVersion",
    "response_id": "responseId",
    "create_time": "createTime",
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
    choices: list[Choice] | None = None
    content: Raw = Raw()
    stop_reason: str | None = None
    converse_stop: str | None = None
    usage: UsageBody | None = None
    output: Raw = Raw()
    status: str | int | None = None
    incomplete_details: Incomplete | None = None
    error: ErrorBody | str | None = None
    metrics: Metrics | None = None
    candidates: list[Candidate] | None = None
    usage_metadata: GeminiUsage | None = None
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    prompt_filter_results: Raw = Raw()
