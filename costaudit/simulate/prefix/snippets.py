"""Paste-ready code that sets the recommended cache markers."""

from costaudit.simulate.prefix.best import Plan
from costaudit.simulate.prefix.rules import Rules

_PLACES = (
    ("tools", "after the tools"),
    ("static", "after {part}"),
    ("last", "after the last message"),
)
_NAMES = {"tools": "the tools", "system": "the system prompt", "examples": "the examples"}


def describe(plan: Plan, part: str, block: int) -> str:
    """Say in words where markers stand, such as after the system prompt (1h)."""
    if plan.keep:
        return "as now"
    said = [
        f"{words.format(part=_ending(part, block))} ({getattr(plan, place)})"
        for place, words in _PLACES
        if getattr(plan, place)
    ]
    if plan.own:
        said.append("the provider's own at the end")
    return ", ".join(said) or "none"


def _ending(part: str, block: int) -> str:
    name = _NAMES.get(part, part)
    return name if block < 0 else f"block {block + 1} of {name}"


def snippet(plan: Plan, part: str, block: int, rules: Rules) -> str:
    """Write the code for a plan under a provider's rules; "" where there is nothing to set.

    The static head ends in `part` with its block number `block`, -1 for the last.
    """
    if plan.keep or rules.matching != "breakpoints":
        return ""
    if rules.markers == "implicit":
        return _openai(plan, part, block)
    marks = [("tools", -1, plan.tools), (part, block, plan.static), ("messages", -1, plan.last)]
    write = _cache_point if rules.name.startswith("bedrock") else _cache_control
    return "\n".join(write(where, number, ttl) for where, number, ttl in marks if ttl)


def _cache_control(part: str, block: int, ttl: str) -> str:
    control = '{"type": "ephemeral", "ttl": "1h"}' if ttl == "1h" else '{"type": "ephemeral"}'
    inside = '["content"][-1]' if part in ("messages", "examples") else ""
    return f'{part}[{block}]{inside}["cache_control"] = {control}'


def _cache_point(part: str, block: int, ttl: str) -> str:
    kind = '{"type": "default", "ttl": "1h"}' if ttl == "1h" else '{"type": "default"}'
    point = f'{{"cachePoint": {kind}}}'
    if part in ("messages", "examples"):
        return f'{part}[{block}]["content"].append({point})'
    blocks = 'toolConfig["tools"]' if part == "tools" else part
    return f"{blocks}.append({point})" if block < 0 else f"{blocks}.insert({block + 1}, {point})"


def _openai(plan: Plan, part: str, block: int) -> str:
    lines = []
    if plan.static:
        lines.append(f"# on the last content part of {_ending(part, block)}:")
        lines.append('part["prompt_cache_breakpoint"] = {"mode": "explicit"}')
    mode = "implicit" if plan.own else "explicit"
    lines.append(f'prompt_cache_options = {{"mode": "{mode}", "ttl": "30m"}}')
    return "\n".join(lines)
