"""Why a cache leaves requests alone, in words."""

from collections.abc import Mapping

from costaudit.contracts.audit import Audit

_WORDS = {
    "not_chat": "calls other than chat",
    "gateway_cache": "served by a gateway's cache",
    "status_error": "failed",
    "images": "with images or other media",
    "no_prompt": "without a logged question",
    "truncated": "cut short by the exporter",
    "temperature": "with a temperature above the limit",
    "tool_use": "answered by calling a tool",
    "finish_reason": "with an answer that was cut or filtered",
    "refusal": "refused by the model",
    "no_answer": "with an empty answer",
    "no_time": "without a time",
}


def bypass_line(counts: Mapping[str, int]) -> str:
    """Write counts by reason as a list, the most frequent first."""
    most = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{n:,} {_WORDS.get(name, name.replace('_', ' '))}" for name, n in most)


def why_none(audit: Audit) -> str:
    """Say why an audit has nothing on a semantic cache, as the end of a sentence."""
    if audit.uncacheable:
        return f"no question could be cached: {bypass_line(audit.uncacheable)}"
    missing = "request that a cache could answer" if audit.quality.prompt_share else "prompts"
    return f"the log has no {missing}"
