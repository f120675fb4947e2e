"""Paste-ready code that sets the recommended cache markers."""

from costaudit.simulate.prefix.best import Plan
from costaudit.simulate.prefix.rules import Rules

_PLACES = (
    ("tools", "after the tools"),
    ("static", "after {part}"),
    ("last", "after the last message"),
)


def describe(plan: Plan, part: str) -> str:
    """Say in words where markers stand, such as after tools (1h), after system (5m)."""
    if plan.keep:
        return "as now"
    said = [
        f"{words.format(part=_NAMES.get(part, part))} ({getattr(plan, place)})"
        for place, words in _PLACES
        if getattr(plan, place)
    ]
    if plan.own:
        said.append("the provider's own at the end")
    return ", ".join(said) or "none"


_NAMES = {"tools": "the tools", "system": "the system prompt", "examples": "the examples", "": "it"}


def snippet(plan: Plan, part: str, rules: Rules) -> str:
    """Write the code for a plan under a provider's rules; "" where there is nothing to set."""
    if plan.keep or rules.matching != "breakpoints":
        return ""
    if rules.name.startswith("bedrock"):
        return _bedrock(plan, part)
    return _openai(plan, part) if rules.markers == "implicit" else _anthropic(plan, part)


def _anthropic(plan: Plan, part: str) -> str:
    lines = []
    if plan.tools or (plan.static and part == "tools"):
        lines.append(f'tools[-1]["cache_control"] = {_control(plan.tools or plan.static)}')
    if plan.static and part == "system":
        lines.append(f'system[-1]["cache_control"] = {_control(plan.static)}')
    if plan.static and part == "examples":
        lines.append(f'examples[-1]["content"][-1]["cache_control"] = {_control(plan.static)}')
    if plan.last:
        lines.append(f'messages[-1]["content"][-1]["cache_control"] = {_control(plan.last)}')
    return "\n".join(lines)


def _control(ttl: str) -> str:
    return '{"type": "ephemeral", "ttl": "1h"}' if ttl == "1h" else '{"type": "ephemeral"}'


def _bedrock(plan: Plan, part: str) -> str:
    lines = []
    if plan.tools or (plan.static and part == "tools"):
        lines.append(f'toolConfig["tools"].append({_point(plan.tools or plan.static)})')
    if plan.static and part == "system":
        lines.append(f"system.append({_point(plan.static)})")
    if plan.static and part == "examples":
        lines.append(f'examples[-1]["content"].append({_point(plan.static)})')
    if plan.last:
        lines.append(f'messages[-1]["content"].append({_point(plan.last)})')
    return "\n".join(lines)


def _point(ttl: str) -> str:
    kind = '{"type": "default", "ttl": "1h"}' if ttl == "1h" else '{"type": "default"}'
    return f'{{"cachePoint": {kind}}}'


def _openai(plan: Plan, part: str) -> str:
    lines = []
    if plan.static:
        lines.append(f"# on the last content part of {_NAMES.get(part, part)}:")
        lines.append('part["prompt_cache_breakpoint"] = {"mode": "explicit"}')
    mode = "implicit" if plan.own else "explicit"
    lines.append(f'prompt_cache_options = {{"mode": "{mode}", "ttl": "30m"}}')
    return "\n".join(lines)
