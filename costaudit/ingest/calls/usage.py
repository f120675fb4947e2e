"""Usage objects of every dialect become one noun, still in the convention they claim."""

from msgspec import Raw

from costaudit.ingest.calls.bodies import (
    CacheCreation,
    GeminiUsage,
    InputDetails,
    Iteration,
    UsageBody,
)
from costaudit.ingest.calls.call import Convention, Usage

MOST_TOKENS = 1 << 31  # beyond this a count is a mistake


def usage_of(body: UsageBody, convention: Convention, *, trust_total: bool = True) -> Usage | None:
    """Read a usage object; None where it has neither input nor output.

    `trust_total` is for totals that the provider itself reported: others prove nothing.
    """
    if body.converse_input is not None or body.converse_output is not None:
        return _converse(body)
    has_details = body.input_tokens_details is not None or body.prompt_tokens_details is not None
    if body.prompt_tokens is None and body.input_tokens is not None and not has_details:
        return _anthropic(body, convention)
    return _openai(body, convention, trust_total)


def _first(*values: int | None) -> int | None:
    for value in values:
        if value is not None:
            return value
    return None


def _openai(body: UsageBody, convention: Convention, trust_total: bool) -> Usage | None:
    sent = _first(body.prompt_tokens, body.input_tokens)
    received = _first(body.completion_tokens, body.output_tokens)
    if sent is None and received is None:
        return None
    inward = body.prompt_tokens_details or body.input_tokens_details
    outward = body.completion_tokens_details or body.output_tokens_details
    details = inward or InputDetails()
    write_5m, write_1h, other = _writes(body, details)
    return Usage(
        convention,
        input=sent,
        output=received,
        cache_read=_first(
            details.cached_tokens,
            body.cache_read_input_tokens,
            body.cached_tokens,
            None if inward is None else 0,
        ),
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        cache_write_other=other,
        reasoning=(_first(outward.reasoning_tokens, outward.thinking_tokens) or 0)
        if outward
        else 0,
        total=body.total_tokens if trust_total else None,
    )


def _writes(body: UsageBody, details: InputDetails) -> tuple[int, int, int]:
    """Split writes by TTL; OpenAI's own have a TTL of their own, Anthropic's default is 5 min."""
    split = details.cache_creation_token_details or body.cache_creation
    created = _first(body.cache_creation_input_tokens, details.cache_creation_tokens)
    if split is not None or created is not None:
        return (*split_writes(split, created), 0)
    return 0, 0, details.cache_write_tokens or 0


def split_writes(split: CacheCreation | None, created: int | None) -> tuple[int, int]:
    """Split Anthropic's cache writes into those of 5 minutes and of 1 hour."""
    if split is None:
        return created or 0, 0
    long = split.ephemeral_1h_input_tokens or 0
    short = split.ephemeral_5m_input_tokens
    return (max((created or 0) - long, 0) if short is None else short), long


def _anthropic(body: UsageBody, convention: Convention) -> Usage:
    write_5m, write_1h = split_writes(body.cache_creation, body.cache_creation_input_tokens)
    details = body.output_tokens_details
    usage = Usage(
        "anthropic" if convention == "openai" else convention,
        input=body.input_tokens,
        output=body.output_tokens,
        cache_read=body.cache_read_input_tokens or 0,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        reasoning=(details.thinking_tokens or details.reasoning_tokens or 0) if details else 0,
        total=None,
    )

    for iteration in body.iterations or ():
        if iteration.type == "compaction":  # billed beside what the call's own counts say
            _add_iteration(usage, iteration)
    return usage


def _add_iteration(usage: Usage, iteration: Iteration) -> None:
    short, long = split_writes(iteration.cache_creation, iteration.cache_creation_input_tokens)
    usage.input = (usage.input or 0) + (iteration.input_tokens or 0)
    usage.output = (usage.output or 0) + (iteration.output_tokens or 0)
    usage.cache_read = (usage.cache_read or 0) + (iteration.cache_read_input_tokens or 0)
    usage.cache_write_5m += short
    usage.cache_write_1h += long


def _converse(body: UsageBody) -> Usage:
    writes = body.converse_write or 0
    long = sum(d.input_tokens or 0 for d in body.converse_details or () if d.ttl == "1h")
    return Usage(
        "bedrock_converse",
        input=body.converse_input,
        output=body.converse_output,
        cache_read=body.converse_read or 0,
        cache_write_5m=max(writes - long, 0),
        cache_write_1h=long,
        total=body.converse_total,
    )


def gemini_usage(body: GeminiUsage) -> Usage:
    """Read usageMetadata: cached tokens within the prompt's, thoughts beside the candidates'."""
    prompt, tool = body.prompt_token_count, body.tool_use_prompt_token_count
    return Usage(
        "gemini",
        input=None if prompt is None and tool is None else (prompt or 0) + (tool or 0),
        output=body.candidates_token_count or 0,
        cache_read=body.cached_content_token_count or 0,
        reasoning=body.thoughts_token_count or 0,
        total=body.total_token_count,
    )


def plausible(usage: Usage) -> Usage | None:
    """Refuse negative and absurd counts: a usage that lies is a usage that is missing."""
    counts = (
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.cache_write_other,
        usage.reasoning,
    )
    for count in counts:
        if count is not None and not 0 <= count < MOST_TOKENS:
            return None
    return None if usage.input is None and usage.output is None else usage


def decimal_of(number: Raw | str | float | None) -> str | None:
    """Take a logged amount of money digit by digit; None where there is none."""
    if number is None:
        return None
    text = bytes(number).decode() if isinstance(number, Raw) else str(number)
    text = text.strip('"')
    try:
        value = float(text)
    except ValueError:
        return None
    return text if value == value and abs(value) != float("inf") else None
