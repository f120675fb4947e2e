"""Write code that sets a template's recommended markers, for the client seen in the log.

Every snippet uses the names of the request's parameters (tools, system, messages, input,
toolConfig), accepts plain strings and lists of blocks, and removes earlier markers. So it can run
before each call of a loop without exceeding the provider's number of markers.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from costaudit.simulate.prefix.advice.markers import Plan
from costaudit.simulate.prefix.rules.rules import Rules

BodyForm = Literal["anthropic", "converse", "chat", "responses", "gemini"]


@dataclass(frozen=True)
class Spot:
    """The end of a template's static head."""

    part: str  # tools | system | examples | ...
    block: int  # in the part or message; -1 for the last
    message: int = 0  # from 0, without system messages; for parts in messages


def body_form(requests: pl.DataFrame, row: int, rules: Rules) -> BodyForm:
    """Return the form of a request's body, derived from how its usage is counted."""
    convention, endpoint = requests.select("usage_convention", "endpoint").row(row)
    convention, endpoint = str(convention or ""), str(endpoint or "").lower()
    if rules.name.startswith("bedrock") and rules.markers == "explicit":
        invoked = convention.startswith("anthropic") or endpoint.startswith("invokemodel")
        return "anthropic" if invoked and rules.name == "bedrock" else "converse"
    if rules.markers == "implicit":
        return "responses" if "responses" in convention or "responses" in endpoint else "chat"
    if convention.startswith("gemini"):
        return "gemini"
    return "chat" if convention.startswith("openai") else "anthropic"


def snippet(
    plan: Plan, spot: Spot, rules: Rules, form: BodyForm, today: frozenset[str] = frozenset()
) -> str:
    """Return the code for a plan under a provider's rules; "" if there is nothing to set.

    `today` names the roles that have markers now.
    """
    if plan.keep or rules.matching != "breakpoints":
        return ""
    if rules.markers == "implicit":
        return _breakpoints(plan, spot, form)
    if form == "converse":
        return _cache_points(plan, spot, today)
    return _cache_controls(plan, spot, rules.automatic and form == "anthropic", form, today)


_UNMARKED = """\
def unmarked(content):
    if not isinstance(content, list):
        return content
    return [{k: v for k, v in b.items() if k != "%s"} if isinstance(b, dict) else b
            for b in content]"""
_MARKED = """\
def marked(content, at=-1, **mark):
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    at = min(at, len(blocks) - 1)
    blocks[at] = {**mark, **dict(blocks[at])}
    return blocks"""
_COPIED = """\
%s = [{**m, "content": unmarked(m["content"])} if isinstance(m, dict) and "content" in m else m
%s for m in %s]"""
_HEADS = 'isinstance(m, dict) and m.get("role") in ("system", "developer")'


def _copied(name: str) -> str:
    """Return code that copies the messages, so that nothing else changes, without markers."""
    return _COPIED % (name, " " * (len(name) + 3), name)


def _on_list(name: str, mark: str, today: frozenset[str]) -> list[str]:
    """Return code that marks tools or a system prompt, or takes off the markers of today."""
    if mark:
        return [f"{name} = marked(unmarked({name}), {mark})"]
    return [f"{name} = unmarked({name})"] if name in today else []


def _on_head(name: str, mark: str) -> list[str]:
    return [f"head = next(m for m in {name} if {_HEADS})",
            f'head["content"] = marked(head["content"], {mark})']  # fmt: skip


def _on_turn(name: str, message: int, mark: str) -> list[str]:
    return [f"turns = [m for m in {name} if not ({_HEADS})]",
            f"if len(turns) > {message}:",
            f"    turn = turns[{message}]",
            f'    turn["content"] = marked(turn["content"], {mark})']  # fmt: skip


def _cache_controls(
    plan: Plan, spot: Spot, automatic: bool, form: BodyForm, today: frozenset[str]
) -> str:
    """Return code for Anthropic's markers on blocks; chat completions use them on content parts."""
    lines: list[str] = []
    mark = f"{spot.block}, cache_control={_control(plan.static)}"
    on_tools = plan.tools or (plan.static if spot.part == "tools" else "")
    on_system = plan.static if spot.part == "system" else ""
    lines += _on_list("tools", f"cache_control={_control(on_tools)}" if on_tools else "", today)
    if form == "anthropic":
        lines += _on_list("system", mark if on_system else "", today)
    elif on_system:
        lines += _on_head("messages", mark)
    if plan.static and spot.part not in ("tools", "system"):
        lines += _on_turn("messages", spot.message, mark)
    if plan.last and automatic:
        lines.append(f"cache_control = {_control(plan.last)}  # a parameter of messages.create")
    elif plan.last:
        mark = f"cache_control={_control(plan.last)}"
        lines.append(f'messages[-1]["content"] = marked(messages[-1]["content"], {mark})')
    apart = {"tools", "system"} if form == "anthropic" else {"tools"}
    if today - apart or any("messages" in line.partition("#")[0] for line in lines):
        lines.insert(0, _copied("messages"))
    helpers = []
    if any("unmarked(" in line for line in lines):
        helpers.append(_UNMARKED % "cache_control")
    if any("= marked(" in line for line in lines):
        helpers.append(_MARKED)
    return "\n".join([*helpers, *lines])


def _control(ttl: str) -> str:
    return '{"type": "ephemeral", "ttl": "1h"}' if ttl == "1h" else '{"type": "ephemeral"}'


_POINTED = """\
def unpointed(blocks):
    return [block for block in blocks if "cachePoint" not in block]

def pointed(blocks, at, ttl):
    point = {"type": "default", **({"ttl": ttl} if ttl == "1h" else {})}
    at = len(blocks) if at < 0 else min(at + 1, len(blocks))
    if "cachePoint" in blocks[at - 1]:
        return blocks
    return [*blocks[:at], {"cachePoint": point}, *blocks[at:]]"""


def _cache_points(plan: Plan, spot: Spot, today: frozenset[str]) -> str:
    """Return code that inserts cache points of Bedrock's Converse."""
    lines = ['messages = [{**m, "content": unpointed(m["content"])} for m in messages]']
    on_tools = plan.tools or (plan.static if spot.part == "tools" else "")
    if on_tools or "tools" in today:
        tools = 'unpointed(toolConfig["tools"])'
        tools = f'pointed({tools}, -1, "{on_tools}")' if on_tools else tools
        lines.append(f'toolConfig = {{**toolConfig, "tools": {tools}}}')
    if plan.static and spot.part == "system":
        lines.append(f'system = pointed(unpointed(system), {spot.block}, "{plan.static}")')
    elif "system" in today:
        lines.append("system = unpointed(system)")
    inside = plan.static if spot.part not in ("tools", "system") else ""
    if inside:
        place = f'messages[{spot.message}]["content"]'
        lines += [f"if len(messages) > {spot.message}:",
                  f'    {place} = pointed({place}, {spot.block}, "{inside}")']  # fmt: skip
    if plan.last:
        place = 'messages[-1]["content"]'
        lines.append(f'{place} = pointed({place}, -1, "{plan.last}")')
    return "\n".join([_POINTED, *lines]) if len(lines) > 1 or today else ""


_GUIDE = "Use the tools as their definitions say."


def _breakpoints(plan: Plan, spot: Spot, form: BodyForm) -> str:
    """Return code for OpenAI's breakpoint on a content part, and its cache options."""
    name, kind = ("input", "input_text") if form == "responses" else ("messages", "text")
    lines = []
    if plan.static:
        lines += [_UNMARKED % "prompt_cache_breakpoint"]
        lines += [_MARKED.replace('"type": "text"', f'"type": "{kind}"')]
        if form == "responses":
            lines += ['input = [{"role": "user", "content": input}] if isinstance(input, str) '
                      "else input"]  # fmt: skip
        lines += [_copied(name)]
        mark = f'{spot.block}, prompt_cache_breakpoint={{"mode": "explicit"}}'
        if spot.part == "tools":
            lines += _behind_tools(name, kind)
        elif spot.part == "system":
            lines += _INSTRUCTED if form == "responses" else []
            lines += _on_head(name, mark)
        else:
            lines += _on_turn(name, spot.message, mark)
    mode = "implicit" if plan.own else "explicit"
    lines.append(f'prompt_cache_options = {{"mode": "{mode}", "ttl": "30m"}}')
    return "\n".join(lines)


_INSTRUCTED = [
    "# instructions can't carry a breakpoint: send them as a developer message, and leave them out",
    f"if not any({_HEADS} for m in input):",
    '    input = [{"role": "developer", "content": instructions}, *input]',
]


def _behind_tools(name: str, kind: str) -> list[str]:
    """Return code for a constant message after the tools, which can't have a breakpoint."""
    return [
        f'guide = [{{"type": "{kind}", "text": "{_GUIDE}"}}]',
        f'if not {name} or not isinstance({name}[0], dict) or {name}[0].get("content") != guide:',
        f'    {name} = [{{"role": "developer", "content": guide}}, *{name}]',
        f'{name}[0]["content"] = marked(guide, prompt_cache_breakpoint={{"mode": "explicit"}})',
    ]


_CACHED = """\
from google.genai import errors

heads = globals().setdefault("heads", {})  # what is cached, in any loop: the cache's name

def cached(config, ttl="%ds"):
    config = {k: v for k, v in dict(config).items() if v is not None}
    own = ("system_instruction", "tools", "tool_config")  # no request may add them to a cache
    head = {k: config.pop(k) for k in own if k in config}
    try:
        cache = client.caches.update(name=heads[model, repr(head)], config={"ttl": ttl})
    except (KeyError, errors.ClientError):  # there is none yet, or it has expired
        cache = client.caches.create(model=model, config={**head, "ttl": ttl})
    heads[model, repr(head)] = cache.name
    return {**config, "cached_content": cache.name}

response = client.models.generate_content(model=model, contents=contents, config=cached(config))"""


def cache_snippet(spot: Spot, form: BodyForm, lifetime_s: int) -> str:
    """Return code that keeps a static system prompt and its tools in an explicit cache.

    It is "" for another client than google-genai, and where the static head ends elsewhere than
    with the system prompt: a cache holds all of a system prompt, and a new one for each moving
    text would cost more than it saves.
    """
    whole = spot.part == "system" and spot.block < 0
    return _CACHED % lifetime_s if form == "gemini" and whole else ""
