"""The names that vendors and frameworks give to the numbers in usage objects.

A name is a path in a usage object, in lower case with underscores, without the prefixes of
PREFIXES. If two names in one object have the same meaning, the first in this file is used.
"""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from costaudit.contracts.requests import UnitName

Part = Literal[
    "input",  # the convention decides whether it includes cached tokens
    "uncached",
    "output",
    "read",
    "tool_input",  # in addition to the input
    "creation",  # Anthropic's writes of all TTLs
    "write",  # writes of all TTLs
    "write_5m",
    "write_1h",
    "write_30m",
    "write_12h",
    "reasoning",
    "total",
    "cost_usd",
    "cost_ticks",  # 1e10 ticks are one dollar
    "upstream_usd",  # the bill behind a gateway's fee
    "known",  # read elsewhere, part of another number, or not billed
]
Meaning = Part | UnitName

PREFIXES = ("gen_ai.usage.", "llm.usage.", "llm.token_count.", "ai.usage.", "usage_metadata.",
            "token_usage.", "usage.")  # fmt: skip

KNOWN = (  # read elsewhere, part of another number, or not billed
    "tokens.input_tokens",  # Cohere: counted, not billed
    "tokens.output_tokens", "cached_tokens.input_tokens", "prompt_tokens_details.text_tokens",
    "input_tokens_details.text_tokens", "input_token_details.text_tokens",
    "prompt_tokens_details.text", "tool_use_prompt_tokens_details.text",
    "cache_tokens_details.text", "cache_tokens_details.image", "cache_tokens_details.video",
    "candidates_tokens_details.text", "response_tokens_details.text",
    "completion_tokens_details.text_tokens", "output_tokens_details.text_tokens",
    "output_token_details.text_tokens", "output_tokens.text",
    "completion_tokens_details.accepted_prediction_tokens",
    "completion_tokens_details.rejected_prediction_tokens",
    "prompt_tokens_details.cached_tokens_details.text_tokens",
    "input_token_details.cached_tokens_details.text_tokens",
    "input_tokens_details.orchestration_input_tokens",
    "input_tokens_details.orchestration_input_cached_tokens",
    "output_tokens_details.orchestration_output_tokens",
    "server_tool_use.web_fetch_requests",  # free
    "citation_tokens",  # Perplexity: billed within its cost
    "cost.input_tokens_cost", "cost.output_tokens_cost", "cost.request_cost",
    "cost.citation_tokens_cost", "cost.reasoning_tokens_cost", "cost.search_queries_cost",
    "cost_details.upstream_inference_prompt_cost", "cost_details.upstream_inference_input_cost",
    "cost_details.upstream_inference_completions_cost",
    "cost_details.upstream_inference_output_cost",
    "details.input_tokens",  # pydantic-ai: repeats the provider's own numbers
    "details.output_tokens", "details.text_prompt_tokens", "details.text_candidates_tokens",
    "details.accepted_prediction_tokens", "details.rejected_prediction_tokens",
    "details.audio_tokens",
    "input_token_details.priority",  # LangChain: the tier of all these tokens
    "input_token_details.flex", "output_token_details.priority", "output_token_details.flex",
    "input_token_details.over_200k", "output_token_details.over_200k",
    "input_cost", "output_cost", "completion_accepted_prediction_tokens",
    "completion_rejected_prediction_tokens",
    "time_to_first_token", "time_per_token",
    "input_cost_usd",  # PostHog: parts of the total
    "output_cost_usd", "request_cost_usd", "web_search_cost_usd", "cache_read_cost_usd",
    "cache_creation_cost_usd", "requests", "queue_time", "prompt_time", "completion_time",
    "total_time", "num_requests", "model_context_window",
)  # fmt: skip

NAMES: dict[Meaning, tuple[str, ...]] = {
    "input": (
        "prompt_tokens",  # OpenAI and imitators, LiteLLM, Mistral, xAI, Groq, DeepSeek
        "input_tokens",  # Anthropic, Responses, Converse, semantic conventions, LangChain
        "billed_units.input_tokens",  # Cohere
        "prompt_token_count",  # Gemini, Vertex
        "input_token_count",  # Bedrock
        "prompt_eval_count",  # Ollama
        "input_tokens.total",  # AI SDK 6
        "prompt",  # OpenInference
        "input",  # Langfuse, opencode
        "native_tokens_prompt",  # OpenRouter
        "tokens_prompt",
        "request_tokens",  # pydantic-ai before 1.0, Portkey
        "prompt_n",  # llama.cpp
        "prompt_token_counts",
        "total_input_tokens",
        "tokens_in",  # Cline
    ),
    "uncached": (
        "prompt_cache_miss_tokens",  # DeepSeek
        "input_tokens.no_cache",  # AI SDK 6
        "input_token_details.no_cache_tokens",
        "input_tokens_details.uncached_tokens",
        "prompt_tokens_details.uncached_tokens",
        "no_cache_input_tokens",
        "uncached_input_tokens",
        "non_cached_input_tokens",  # Datadog
    ),
    "output": (
        "completion_tokens",
        "output_tokens",
        "billed_units.output_tokens",
        "candidates_token_count",
        "response_token_count",  # Gemini Live
        "output_token_count",
        "eval_count",
        "output_tokens.total",
        "completion",
        "output",
        "native_tokens_completion",
        "tokens_completion",
        "response_tokens",
        "generation_token_count",  # Bedrock's Llama
        "predicted_n",
        "total_output_tokens",
        "tokens_out",
    ),
    "read": (
        "cache_read_input_tokens",  # Anthropic, Strands
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "prompt_cache_hit_tokens",  # DeepSeek
        "cached_content_token_count",  # Gemini
        "cache_read_input_token_count",  # Bedrock's log
        "cache_read.input_tokens",  # semantic conventions
        "cache_read_tokens",  # pydantic-ai
        "cached_tokens",  # Moonshot, Perplexity
        "cached_input_tokens",  # AI SDK 5, Codex
        "input_tokens.cache_read",  # AI SDK 6
        "input_token_details.cache_read_tokens",
        "input_token_details.cache_read",  # LangChain
        "input_token_details.cached_tokens",  # OpenAI's realtime interface
        "prompt_token_details.cache_read",  # LangSmith
        "prompt_details.cache_read",  # OpenInference
        "cached_prompt_tokens",
        "input_cached_tokens",  # Langfuse
        "input_cache_read",
        "cached_token_count",
        "native_tokens_cached",
        "tokens_cached",
        "num_cached_tokens",  # vLLM
        "cache_tokens",
        "details.cache_read_tokens",
        "details.cache_read_input_tokens",
        "details.cached_tokens",
        "details.cached_content_tokens",
        "cache.read",  # opencode
        "cache_n",
        "input_tokens.cached",  # Sentry
        "prompt_details.cache_input",  # OpenInference
        "input_token_details.cache_read_over_200k",
        "prompt_cached_tokens",  # Braintrust
        "prompt_cache_read_tokens",  # Helicone
        "cache_reads",  # Cline
        "cached",  # Gemini CLI
        "input_token_details.priority_cache_read",  # LangChain, by service tier
        "input_token_details.flex_cache_read",
    ),
    "tool_input": ("tool_use_prompt_token_count", "tool"),  # Gemini and its CLI
    "creation": (
        "cache_creation_input_tokens",
        "prompt_tokens_details.cache_creation_tokens",
        "input_tokens_details.cache_creation_tokens",
        "cache_creation.input_tokens",
        "cache_creation_tokens",
        "input_token_details.cache_creation",
        "prompt_token_details.cache_creation",
        "input_cache_creation",
        "details.cache_creation_tokens",
        "details.cache_creation_input_tokens",
        "native_tokens_cache_creation",
        "prompt_cache_creation_tokens",  # Braintrust
    ),
    "write": (
        "cache_write_input_tokens",  # Converse, Strands
        "cache_write_input_token_count",
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
        "cache_write.input_tokens",
        "cache_write_tokens",
        "input_tokens.cache_write",
        "input_token_details.cache_write_tokens",
        "prompt_details.cache_write",
        "input_cache_write",
        "input_cache_write_tokens",
        "details.cache_write_tokens",
        "cache.write",
        "prompt_cache_write_tokens",  # Helicone
        "cache_writes",  # Cline
    ),
    "write_5m": (
        "cache_creation.ephemeral_5m_input_tokens",
        "prompt_tokens_details.cache_creation_token_details.ephemeral_5m_input_tokens",
        "input_token_details.ephemeral_5m_input_tokens",
        "input_cache_creation_5m",
        "prompt_cache_creation_5m_tokens",
        "cache_details.5m",  # Converse's list of lifetimes
        "cache_creation.ephemeral_5m.input_tokens",
    ),
    "write_1h": (
        "cache_creation.ephemeral_1h_input_tokens",
        "prompt_tokens_details.cache_creation_token_details.ephemeral_1h_input_tokens",
        "input_token_details.ephemeral_1h_input_tokens",
        "input_token_details.ephemeral_1hr_input_tokens",
        "input_cache_creation_1h",
        "prompt_cache_creation_1h_tokens",
        "cache_details.1h",
        "cache_creation.ephemeral_1h.input_tokens",
    ),
    "write_30m": (
        "prompt_tokens_details.cache_write_tokens_details.ttl_30m_tokens",
        "input_tokens_details.cache_write_tokens_details.ttl_30m_tokens",
    ),
    "write_12h": (
        "prompt_tokens_details.cache_write_tokens_details.ttl_12h_tokens",
        "input_tokens_details.cache_write_tokens_details.ttl_12h_tokens",
    ),
    "reasoning": (
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "output_tokens_details.thinking_tokens",
        "completion_tokens_details.thinking_tokens",
        "thoughts_token_count",
        "reasoning.output_tokens",
        "output_tokens.reasoning",
        "output_token_details.reasoning_tokens",
        "output_token_details.reasoning",
        "completion_token_details.reasoning",
        "completion_details.reasoning",
        "reasoning_tokens",
        "reasoning_output_tokens",
        "native_tokens_reasoning",
        "tokens_reasoning",
        "output_reasoning_tokens",
        "output_reasoning",
        "thoughts_tokens",
        "details.reasoning_tokens",
        "details.thoughts_tokens",
        "reasoning",
        "completion_reasoning_tokens",  # Braintrust
        "thoughts",  # Gemini CLI
        "output_token_details.priority_reasoning",
        "output_token_details.flex_reasoning",
    ),
    "total": (
        "total_tokens",
        "total_token_count",
        "total",
        "tokens",  # Braintrust
    ),
    "cost_usd": (
        "cost",
        "cost.total_cost",  # Perplexity
        "cost.total",
        "total_cost",
        "estimated_cost",  # DeepInfra
        "cost_usd",
        "total_cost_usd",
    ),
    "cost_ticks": ("cost_in_usd_ticks",),  # xAI
    "upstream_usd": ("cost_details.upstream_inference_cost",),  # OpenRouter
    "web_search": (
        "server_tool_use.web_search_requests",
        "billable_web_search_calls",
        "web_search_requests",
        "num_search_queries",
        "num_sources_used",
        "server_side_tool_usage_details.web_search_calls",
        "web_search_count",  # PostHog
        "server_tool_use.web_search",
    ),
    "file_search": ("server_side_tool_usage_details.file_search_calls",),
    "code_session": (
        "server_tool_use.code_execution_requests",
        "server_side_tool_usage_details.code_interpreter_calls",
    ),
    "audio_input_token": (
        "prompt_tokens_details.audio_tokens",
        "input_tokens_details.audio_tokens",
        "input_token_details.audio_tokens",
        "input_token_details.audio",
        "prompt_tokens_details.audio",  # Gemini's list of modalities
        "prompt_details.audio",
        "details.input_audio_tokens",
        "input_audio_tokens",
        "prompt_audio_tokens",
    ),
    "audio_output_token": (
        "completion_tokens_details.audio_tokens",
        "output_tokens_details.audio_tokens",
        "output_token_details.audio_tokens",
        "output_token_details.audio",
        "candidates_tokens_details.audio",
        "response_tokens_details.audio",
        "completion_details.audio",
        "details.output_audio_tokens",
        "output_audio_tokens",
        "completion_audio_tokens",
    ),
    "audio_second": ("seconds", "prompt_audio_seconds"),  # Whisper, Voxtral
    "search_unit": ("billed_units.search_units",),  # Cohere's reranks
    "audio_cached_token": (
        "cache_audio_read_tokens",  # pydantic-ai
        "details.cache_audio_read_tokens",
        "cache_tokens_details.audio",
        "input_token_details.cached_tokens_details.audio_tokens",
        "prompt_tokens_details.cached_tokens_details.audio_tokens",
    ),
    "image_input_token": (
        "prompt_tokens_details.image_tokens",
        "input_tokens_details.image_tokens",
        "input_token_details.image_tokens",
        "input_token_details.image",
        "input_image_tokens",
        "prompt_tokens_details.image",
    ),
    "image_output_token": (
        "completion_tokens_details.image_tokens",
        "output_tokens_details.image_tokens",
        "output_token_details.image_tokens",
        "output_token_details.image",
        "candidates_tokens_details.image",
        "response_tokens_details.image",
        "native_tokens_completion_images",
        "output_image_tokens",
    ),
    "video_input_token": (
        "prompt_tokens_details.video_tokens",
        "input_tokens_details.video_tokens",
        "prompt_tokens_details.video",
    ),
    "known": KNOWN,
}


class Named(NamedTuple):
    """What a name means, and its place among the names with the same meaning."""

    meaning: Meaning
    rank: int


_BY_NAME = {
    name: Named(meaning, rank)
    for meaning, names in NAMES.items()
    for rank, name in enumerate(names)
}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
TELLING = re.compile(
    r"token|cache|read|write|hit|search|request|second|cost|quer|image|audio|page|unit|minute"
)
UNBILLED = re.compile(r"_ms$|latency|duration|time_to|max_|limit|budget|remaining")


@lru_cache(8192)
def meaning_of(path: str) -> Named | None:
    """Return what a path in a usage object means; None for an unknown one."""
    return _BY_NAME.get(_plain(path))


def _plain(path: str) -> str:
    name = _HUMP.sub("_", path).lower()
    prefix = next((each for each in PREFIXES if name.startswith(each)), "")
    return name.removeprefix(prefix)


HOLDERS = re.compile("_details$|^server_tool_use$|^cache_creation$|^billed_units$")


@lru_cache(8192)
def meanings_within(path: str) -> frozenset[Meaning]:
    """Return the meanings that a details object at this path can hold; empty for other paths."""
    name = f"{_plain(path)}."
    if not HOLDERS.search(name[:-1]):
        return frozenset()
    return frozenset(
        named.meaning
        for each, named in _BY_NAME.items()
        if each.startswith(name) and named.meaning != "known"
    )


@lru_cache(8192)
def is_telling(path: str) -> bool:
    """Return whether the words of an unknown path suggest something billed."""
    name = _HUMP.sub("_", path).lower()
    return TELLING.search(name) is not None and UNBILLED.search(name) is None
