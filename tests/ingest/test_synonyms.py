"""One usage object per system with every class that it can report, and the counts it gives.

Each row links to the system's documentation of usage. Counts and dollars are worked out by hand
from list prices per million tokens: gpt-4o 2.50, reads 1.25, output 10; claude-sonnet-4-5 3,
reads 0.30, writes 3.75 (5m) and 6 (1h), output 15; gemini-2.5-flash 0.30, reads 0.03, audio 1.00,
output 2.50; deepseek-chat 0.28, reads 0.028, output 0.42; text-embedding-3-small 0.02; web
searches $10 per thousand.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend
from tests.ingest.conftest import Ingest, write_lines

GPT, CLAUDE, FLASH = "gpt-4o-2024-08-06", "claude-sonnet-4-5-20250929", "gemini-2.5-flash"
DAY = "2026-11-02T12:00:00Z"


class Comes(NamedTuple):
    """The counts and the price that a usage object gives."""

    uncached: int
    read: int
    writes: tuple[int, int, int]  # 5m, 1h, other lifetimes
    output: int
    reasoning: int = 0
    units: Mapping[str, float] = MappingProxyType({})
    usd: str | None = None  # None: another test checks the price


def chat(model: str, usage: Any, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Yes."}
    body = {"id": "c-1", "object": "chat.completion", "model": model, "usage": usage, **more}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    return {"ts": DAY, "request": {"model": model, "messages": []},
            "response": {"choices": choices, **body}}  # fmt: skip


def answer(**body: Any) -> dict[str, Any]:
    return {"ts": DAY, "request": {}, "response": body}


def claude(usage: Any) -> dict[str, Any]:
    return answer(type="message", role="assistant", model=CLAUDE, content=[], usage=usage)


def gemini(usage: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": "Yes."}]}
    return answer(candidates=[{"content": content}], modelVersion=FLASH, usageMetadata=usage)


def span(model: str, counts: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model, **more, **counts}
    return {"traceId": "t", "spanId": "s", "name": "chat", "attributes": told,
            "startTimeUnixNano": "1793620800000000000"}  # fmt: skip


def sdk(model: str, counts: dict[str, Any], **more: Any) -> dict[str, Any]:
    own = {"ai.operationId": "ai.generateText.doGenerate", "ai.model.id": model}
    return span(model, {**own, **counts}, **more)


def inference(model: str, counts: dict[str, Any]) -> dict[str, Any]:
    own = {f"llm.token_count.{name}": count for name, count in counts.items()}
    return span(model, {"openinference.span.kind": "LLM", "llm.model_name": model, **own})


def run(provider: str, model: str, usage: Any, **columns: Any) -> dict[str, Any]:
    about = {"ls_provider": provider, "ls_model_name": model}
    outputs = {"usage_metadata": usage} if usage else {}
    return {"id": "r", "trace_id": "t", "run_type": "llm", "dotted_order": "d", "start_time": DAY,
            "outputs": outputs, "extra": {"metadata": about}, **columns}  # fmt: skip


def observation(model: str, details: Any) -> dict[str, Any]:
    return {"id": "o", "traceId": "t", "type": "GENERATION", "startTime": DAY, "model": model,
            "usageDetails": details}  # fmt: skip


def invocation(operation: str, body: Any, sent: Any, received: Any) -> dict[str, Any]:
    return {
        "schemaType": "ModelInvocationLog", "timestamp": DAY, "operation": operation,
        "modelId": "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "region": "us-west-2",
        "input": {"inputBodyJson": {"messages": []}, **sent},
        "output": {"outputBodyJson": body, **received},
    }  # fmt: skip


def spend_row(usage: Any) -> dict[str, Any]:
    return {"request_id": "r", "call_type": "acompletion", "spend": 0, "startTime": DAY,
            "endTime": DAY, "model": CLAUDE, "custom_llm_provider": "anthropic",
            "status": "success", "metadata": json.dumps({"usage_object": usage})}  # fmt: skip


CACHED_GPT = Comes(1_000, 2_000, (0, 0, 0), 100, 40, usd="0.006")
CACHED_CLAUDE = Comes(42, 12_000, (3_000, 0, 0), 180, usd="0.017676")
BOTH_WRITES = Comes(42, 12_000, (1_000, 2_000, 0), 180, usd="0.022176")
OTHER_WRITES = CACHED_CLAUDE._replace(writes=(0, 0, 3_000))
SYSTEMS: dict[str, tuple[str, dict[str, Any], Comes]] = {
    "OpenAI chat": (
        "openai-python, types/completion_usage.py",
        chat(GPT, {"prompt_tokens": 3_000, "completion_tokens": 100, "total_tokens": 3_100,
                   "prompt_tokens_details": {"cached_tokens": 2_000, "audio_tokens": 0},
                   "completion_tokens_details": {
                       "reasoning_tokens": 40, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                       "rejected_prediction_tokens": 0}}),
        CACHED_GPT,
    ),
    "OpenAI Responses": (
        "openai-python, types/responses/response_usage.py",
        answer(object="response", id="r", model=GPT, status="completed", output=[
            {"type": "web_search_call", "id": "w", "action": {"type": "search"}}],
            usage={"input_tokens": 3_000, "input_tokens_details": {"cached_tokens": 2_000},
                   "output_tokens": 100, "output_tokens_details": {"reasoning_tokens": 40},
                   "total_tokens": 3_100}),
        CACHED_GPT._replace(units={"web_search": 1}, usd="0.016"),
    ),
    "Anthropic": (
        "anthropic-sdk-python, types/usage.py",
        claude({"input_tokens": 42, "cache_read_input_tokens": 12_000,
                "cache_creation_input_tokens": 3_000, "output_tokens": 180,
                "cache_creation": {"ephemeral_5m_input_tokens": 1_000,
                                   "ephemeral_1h_input_tokens": 2_000},
                "output_tokens_details": {"thinking_tokens": 90}, "service_tier": "standard",
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 3}}),
        BOTH_WRITES._replace(reasoning=90, units={"web_search": 2}, usd="0.042176"),
    ),
    "DeepSeek": (
        "api-docs.deepseek.com/api/create-chat-completion",
        chat("deepseek-chat", {
            "prompt_tokens": 10_000, "completion_tokens": 100, "total_tokens": 10_100,
            "prompt_cache_hit_tokens": 9_000, "prompt_cache_miss_tokens": 1_000,
            "completion_tokens_details": {"reasoning_tokens": 30}}),
        Comes(1_000, 9_000, (0, 0, 0), 100, 30, usd="0.000574"),
    ),
    "Groq": (
        "console.groq.com/docs/api-reference#chat-create, console.groq.com/docs/prompt-caching",
        chat("openai/gpt-oss-120b", {
            "queue_time": 0.03, "prompt_tokens": 4_641, "prompt_time": 0.009,
            "completion_tokens": 1_817, "completion_time": 5.57, "total_tokens": 6_458,
            "total_time": 5.58, "prompt_tokens_details": {"cached_tokens": 4_608},
            "completion_tokens_details": {"reasoning_tokens": 700}}),
        Comes(33, 4_608, (0, 0, 0), 1_817, 700),
    ),
    "Cohere": (
        "docs.cohere.com/reference/chat: usage.billed_units and usage.tokens",
        answer(id="c", model="command-r-08-2024", message={"role": "assistant", "content": []},
               usage={"billed_units": {"input_tokens": 20, "output_tokens": 5},
                      "tokens": {"input_tokens": 820, "output_tokens": 9}}),
        Comes(20, 0, (0, 0, 0), 5),
    ),
    "Cohere, rerank": (
        "docs.cohere.com/reference/rerank: meta.billed_units",
        answer(id="c", results=[], meta={"billed_units": {"search_units": 2}}),
        Comes(0, 0, (0, 0, 0), 0, units={"search_unit": 2}),
    ),
    "Ollama": (
        "github.com/ollama/ollama, docs/api.md",
        answer(model="llama3.2", done=True, message={"role": "assistant", "content": "Yes."},
               total_duration=5_043_500_667, prompt_eval_count=826, prompt_eval_duration=1,
               eval_count=290, eval_duration=2),
        Comes(826, 0, (0, 0, 0), 290),
    ),
    "AI SDK 4": (
        "ai-sdk.dev/v4: telemetry, ai.usage.promptTokens and gen_ai.usage.*",
        sdk(GPT, {"ai.usage.promptTokens": 3_000, "ai.usage.completionTokens": 100,
                  "gen_ai.usage.input_tokens": 3_000, "gen_ai.usage.output_tokens": 100}),
        Comes(3_000, 0, (0, 0, 0), 100, usd="0.0085"),
    ),
    "AI SDK, embeddings": (
        "ai-sdk.dev: telemetry of embed, ai.usage.tokens of ai.embed.doEmbed",
        span("text-embedding-3-small", {
            "ai.operationId": "ai.embed.doEmbed", "ai.model.id": "text-embedding-3-small",
            "ai.model.provider": "openai.embedding", "ai.usage.tokens": 1_000_000}),
        Comes(1_000_000, 0, (0, 0, 0), 0, usd="0.02"),
    ),
    "AI SDK 5": (
        "ai-sdk.dev/v5: ai.usage.cachedInputTokens, ai.usage.reasoningTokens",
        sdk(GPT, {"ai.usage.inputTokens": 3_000, "ai.usage.outputTokens": 100,
                  "ai.usage.totalTokens": 3_100, "ai.usage.reasoningTokens": 40,
                  "ai.usage.cachedInputTokens": 2_000}),
        CACHED_GPT,
    ),
    "AI SDK 6": (
        "vercel/ai: language-model-v3-usage.ts; inputTokens holds reads and writes",
        sdk(CLAUDE, {"ai.usage.inputTokens": 15_042, "ai.usage.outputTokens": 180,
                     "ai.usage.inputTokenDetails.noCacheTokens": 42,
                     "ai.usage.inputTokenDetails.cacheReadTokens": 12_000,
                     "ai.usage.inputTokenDetails.cacheWriteTokens": 3_000,
                     "ai.usage.outputTokenDetails.textTokens": 90,
                     "ai.usage.outputTokenDetails.reasoningTokens": 90}),
        OTHER_WRITES._replace(reasoning=90),
    ),
    "pydantic-ai": (
        "pydantic_ai/usage.py, RequestUsage.opentelemetry_attributes: input holds the cached ones",
        span(CLAUDE, {"gen_ai.usage.input_tokens": 15_042, "gen_ai.usage.output_tokens": 180,
                      "gen_ai.usage.cache_read_tokens": 12_000,
                      "gen_ai.usage.cache_write_tokens": 3_000,
                      "gen_ai.usage.details.cache_read_input_tokens": 12_000,
                      "gen_ai.usage.details.cache_creation_input_tokens": 3_000,
                      "gen_ai.usage.details.input_tokens": 42}),
        CACHED_CLAUDE,
    ),
    "Strands": (
        "strands-agents, observability-evaluation/traces.md; Bedrock's input is without cached",
        span(CLAUDE, {"gen_ai.usage.prompt_tokens": 42, "gen_ai.usage.input_tokens": 42,
                      "gen_ai.usage.completion_tokens": 180, "gen_ai.usage.output_tokens": 180,
                      "gen_ai.usage.total_tokens": 15_222,
                      "gen_ai.usage.cache_read_input_tokens": 12_000,
                      "gen_ai.usage.cache_write_input_tokens": 3_000}),
        OTHER_WRITES,
    ),
    "OpenInference": (
        "openinference, spec/semantic_conventions.md: llm.token_count.*",
        inference(GPT, {"prompt": 3_000, "completion": 100, "total": 3_100,
                        "prompt_details.cache_read": 2_000, "prompt_details.cache_write": 0,
                        "completion_details.reasoning": 40}),
        CACHED_GPT,
    ),
    "OpenInference, older": (
        "openinference: llm.token_count.prompt_details.cache_input",
        inference(GPT, {"prompt": 3_000, "completion": 100, "prompt_details.cache_input": 2_000,
                        "completion_details.reasoning": 40}),
        CACHED_GPT,
    ),
    "OpenLLMetry": (
        "traceloop/openllmetry: gen_ai.usage.prompt_tokens, llm.usage.*, cache_*_input_tokens",
        span(CLAUDE, {"gen_ai.usage.prompt_tokens": 15_042, "gen_ai.usage.completion_tokens": 180,
                      "llm.usage.total_tokens": 15_222,
                      "gen_ai.usage.cache_read_input_tokens": 12_000,
                      "gen_ai.usage.cache_creation_input_tokens": 3_000,
                      "gen_ai.usage.reasoning_tokens": 90}, **{"llm.request.type": "chat"}),
        CACHED_CLAUDE._replace(reasoning=90),
    ),
    "semantic conventions, 1.27": (
        "open-telemetry/semantic-conventions v1.27.0: input_tokens, output_tokens",
        span(GPT, {"gen_ai.usage.input_tokens": 3_000, "gen_ai.usage.output_tokens": 100}),
        Comes(3_000, 0, (0, 0, 0), 100, usd="0.0085"),
    ),
    "semantic conventions, newest": (
        "semantic-conventions-genai: cache_read.input_tokens SHOULD be included in input_tokens",
        span(CLAUDE, {"gen_ai.usage.input_tokens": 15_042, "gen_ai.usage.output_tokens": 180,
                      "gen_ai.usage.cache_read.input_tokens": 12_000,
                      "gen_ai.usage.cache_creation.input_tokens": 3_000,
                      "gen_ai.usage.reasoning.output_tokens": 90}),
        CACHED_CLAUDE._replace(reasoning=90),
    ),
    "Sentry": (
        "getsentry/sentry-docs: gen_ai.usage.input_tokens.cached is a subset of the input",
        span(GPT, {"gen_ai.usage.input_tokens": 3_000, "gen_ai.usage.output_tokens": 100,
                   "gen_ai.usage.input_tokens.cached": 2_000,
                   "gen_ai.usage.output_tokens.reasoning": 40}),
        CACHED_GPT,
    ),
    "LangChain": (
        "langchain_core, UsageMetadata: input_tokens is the sum of all input types",
        run("anthropic", CLAUDE, {
            "input_tokens": 15_042, "output_tokens": 180, "total_tokens": 15_222,
            "input_token_details": {"cache_read": 12_000, "cache_creation": 0,
                                    "ephemeral_5m_input_tokens": 1_000,
                                    "ephemeral_1h_input_tokens": 2_000},
            "output_token_details": {"reasoning": 90}}),
        BOTH_WRITES._replace(reasoning=90),
    ),
    "LangSmith, Anthropic's own usage": (
        "langsmith-sdk, wrappers/_anthropic.py: outputs hold the provider's message",
        run("anthropic", CLAUDE, None, outputs={"type": "message", "content": [], "usage": {
            "input_tokens": 42, "output_tokens": 180, "cache_read_input_tokens": 12_000,
            "cache_creation_input_tokens": 3_000,
            "server_tool_use": {"web_search_requests": 2}}}),
        CACHED_CLAUDE._replace(units={"web_search": 2}, usd="0.037676"),
    ),
    "LangChain, llm_output": (
        "langchain-openai before usage_metadata: LLMResult.llm_output.token_usage",
        run("openai", GPT, None, outputs={"generations": [], "llm_output": {"token_usage": {
            "prompt_tokens": 3_000, "completion_tokens": 100, "total_tokens": 3_100,
            "prompt_tokens_details": {"cached_tokens": 2_000},
            "completion_tokens_details": {"reasoning_tokens": 40}}}}),
        CACHED_GPT,
    ),
    "LangChain, token_usage": (
        "langchain-openai before usage_metadata: llm_output.token_usage is OpenAI's object",
        span(GPT, {"llm.usage.completion_tokens": 100, "llm.usage.prompt_tokens": 3_000,
                   "llm.usage.total_tokens": 3_100,
                   "llm.usage.prompt_tokens_details.cached_tokens": 2_000,
                   "llm.usage.completion_tokens_details.reasoning_tokens": 40}),
        CACHED_GPT,
    ),
    "LangSmith, columns": (
        "langsmith-docs, run_data_format: prompt_tokens, completion_tokens, *_token_details",
        run("openai", GPT, None, prompt_tokens=3_000, completion_tokens=100, total_tokens=3_100,
            prompt_token_details={"cache_read": 2_000},
            completion_token_details={"reasoning": 40}),
        CACHED_GPT,
    ),
    "LlamaIndex": (
        "llama-index-llms-openai: ChatResponse.raw.usage; OpenInference's spans of it",
        inference(GPT, {"prompt": 3_000, "completion": 100, "total": 3_100}),
        Comes(3_000, 0, (0, 0, 0), 100, usd="0.0085"),
    ),
    "Gemini": (
        "python-genai, GenerateContentResponseUsageMetadata",
        gemini({"promptTokenCount": 3_000, "cachedContentTokenCount": 2_000,
                "toolUsePromptTokenCount": 100, "candidatesTokenCount": 60,
                "thoughtsTokenCount": 40, "totalTokenCount": 3_200,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2_500},
                                        {"modality": "AUDIO", "tokenCount": 500}],
                "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 2_000}],
                "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 60}]}),
        Comes(1_100, 2_000, (0, 0, 0), 100, 40, {"audio_input_token": 500}, "0.00099"),
    ),
    "Bedrock Converse": (
        "botocore, bedrock-runtime: TokenUsage with cacheDetails",
        invocation("Converse", {
            "output": {"message": {"role": "assistant", "content": []}}, "stopReason": "end_turn",
            "usage": {"inputTokens": 42, "outputTokens": 180, "totalTokens": 15_222,
                      "cacheReadInputTokens": 12_000, "cacheWriteInputTokens": 3_000,
                      "cacheDetails": [{"ttl": "1h", "inputTokens": 2_000},
                                       {"ttl": "5m", "inputTokens": 1_000}]}}, {}, {}),
        BOTH_WRITES,
    ),
    "Bedrock InvokeModel": (
        "AWS, model invocation log: inputTokenCount is without the cached ones",
        invocation("InvokeModel", None,
                   {"inputTokenCount": 42, "cacheReadInputTokenCount": 12_000,
                    "cacheWriteInputTokenCount": 3_000}, {"outputTokenCount": 180}),
        OTHER_WRITES,
    ),
    "Mistral": (
        "docs.mistral.ai, UsageInfo: prompt_audio_seconds; cached_tokens within the prompt",
        chat("mistral-large-2411", {
            "prompt_tokens": 1_013, "completion_tokens": 30, "total_tokens": 1_043,
            "prompt_tokens_details": {"cached_tokens": 1_008}, "prompt_audio_seconds": 12}),
        Comes(5, 1_008, (0, 0, 0), 30, units={"audio_second": 12}),
    ),
    "Perplexity": (
        "docs.perplexity.ai, UsageInfo: cost is an object",
        chat("sonar-pro", {
            "prompt_tokens": 500, "completion_tokens": 300, "total_tokens": 800,
            "search_context_size": "low", "citation_tokens": 90, "num_search_queries": 2,
            "reasoning_tokens": 20, "cost": {"input_tokens_cost": 0.0015, "total_cost": 0.0165,
                                             "output_tokens_cost": 0.0045, "request_cost": 0.0105}
        }),
        Comes(500, 0, (0, 0, 0), 300, 20, {"web_search": 2}, "0.0165"),
    ),
    "xAI": (
        "docs.x.ai: reasoning is apart from completion_tokens; 1e10 ticks are a dollar",
        chat("grok-4-0709", {
            "prompt_tokens": 1_000, "completion_tokens": 10, "total_tokens": 1_310,
            "prompt_tokens_details": {"text_tokens": 1_000, "audio_tokens": 0, "image_tokens": 0,
                                      "cached_tokens": 600},
            "completion_tokens_details": {"reasoning_tokens": 300}, "num_sources_used": 4,
            "cost_in_usd_ticks": 1_063_000_000}),
        Comes(400, 600, (0, 0, 0), 310, 300, {"web_search": 4}),
    ),
    "LiteLLM": (
        "litellm, types/utils.py Usage: OpenAI's shape beside Anthropic's names",
        spend_row({"prompt_tokens": 15_042, "completion_tokens": 180, "total_tokens": 15_222,
                   "cache_read_input_tokens": 12_000, "cache_creation_input_tokens": 3_000,
                   "prompt_tokens_details": {
                       "cached_tokens": 12_000, "cache_creation_tokens": 3_000,
                       "cache_creation_token_details": {"ephemeral_5m_input_tokens": 1_000,
                                                        "ephemeral_1h_input_tokens": 2_000}},
                   "completion_tokens_details": {"reasoning_tokens": 90}}),
        BOTH_WRITES._replace(reasoning=90, usd=None),
    ),
    "Langfuse": (
        "langfuse.com/docs: usageDetails; each key counts tokens of its own",
        observation(GPT, {"input": 900, "input_audio_tokens": 100, "input_cached_tokens": 2_000,
                          "output": 60, "output_reasoning_tokens": 40, "total": 3_100}),
        CACHED_GPT._replace(units={"audio_input_token": 100}, usd=None),
    ),
    "OpenRouter": (
        "openrouter.ai, chatusage: cost in dollars, video and audio among the prompt's details",
        chat("openai/gpt-4o", {
            "prompt_tokens": 3_000, "completion_tokens": 100, "total_tokens": 3_100,
            "prompt_tokens_details": {"cached_tokens": 2_000, "cache_write_tokens": 0,
                                      "audio_tokens": 0, "video_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 40, "image_tokens": 0},
            "cost": 0.0061, "is_byok": False, "cost_details": {"upstream_inference_cost": None}}),
        CACHED_GPT._replace(usd="0.0061"),
    ),
    "Cursor": (
        "cursor.com/dashboard: usage export; `Input (w/ Cache Write)` counts the writes",
        {"Date": DAY, "Kind": "On-Demand", "Model": "claude-4.5-sonnet", "Max Mode": "No",
         "Input (w/ Cache Write)": "3000", "Input (w/o Cache Write)": "42",
         "Cache Read": "12000", "Output Tokens": "180", "Total Tokens": "15222", "Cost": "0.0177"},
        OTHER_WRITES._replace(usd="0.0177"),
    ),
    "vLLM": (
        "docs.vllm.ai: UsageInfo with prompt_tokens_details",
        chat("gpt-4o", {"prompt_tokens": 3_000, "total_tokens": 3_100, "completion_tokens": 100,
                        "prompt_tokens_details": {"cached_tokens": 2_000}}),
        CACHED_GPT._replace(reasoning=0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_is_read_in_its_own_words(system: str, tmp_path: Path, ingested: Ingest) -> None:
    _, record, comes = SYSTEMS[system]
    found, summary = ingested(write_lines(tmp_path / "log.jsonl", [record]))
    (row,) = found.requests().iter_rows(named=True)
    classes = ("input_uncached_tokens", "cache_read_tokens", "cache_write_5m_tokens",
               "cache_write_1h_tokens", "cache_write_other_tokens", "output_tokens",
               "reasoning_tokens")  # fmt: skip
    expected = (comes.uncached, comes.read, *comes.writes, comes.output, comes.reasoning)
    assert tuple(row[name] or 0 for name in classes) == expected
    units = {each["unit"]: each["quantity"] for each in row["billed_units"] or ()}
    assert units == comes.units
    assert summary.unread_usage == {}
    if comes.usd is not None:
        requests = found.requests()
        total = spend(requests, price_requests(requests)).total.total_usd
        assert total == Decimal(comes.usd)


def test_every_row_says_where_it_comes_from() -> None:
    assert all(len(source) > 15 for source, _, _ in SYSTEMS.values())
