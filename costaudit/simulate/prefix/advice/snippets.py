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
    convention = str(requests["usage_convention"][row] or "")
    endpoint = str(requests["endpoint"][row] or "").lower()
    if rules.name.startswith("bedrock") and rules.markers == "explicit":
        invoked = convention.startswith("anthropic") or endpoint.startswith("invokemodel")
        return "anthropic" if invoked and rules.name == "bedrock" else "converse"
    if rules.markers == "implicit":
        return "responses" if "responses" in convention or "responses" in endpoint else "chat"
    if convention.startswith("gemini"):
        return "gemini"
    return "chat" if convention.startswith("openai") else "anthropic"


def snippet(plan: Plan, spot: Spot, rules: Rules, form: BodyForm) -> str:
    """Return the code for a plan under a provider's rules; "" if there is nothing to set."""
    if plan.keep or rules.matching != "breakpoints":
        return ""
    if rules.markers == "implicit":
        return _breakpoints(plan, spot, form)
    if form == "converse":
        return _cache_points(plan, spot)
    return _cache_controls(plan, spot, form, rules.automatic and form == "anthropic")


_MARKED = """\
def marked(content, at=-1, **mark):
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    blocks = [{k: v for k, v in block.items() if k not in mark} for block in blocks]
    blocks[at].update(mark)
    return blocks"""
_UNMARKED = """\
def unmarked(content):
    if not isinstance(content, list):
        return content
    return [{k: v for k, v in block.items() if k != "%s"} for block in content]
%s = [{**m, "content": unmarked(m.get("content"))} for m in %s]"""
_TURNS = 'turns = [m for m in %s if m.get("role") not in ("system", "developer")]'
_HEAD = 'head = next(m for m in %s if m.get("role") in ("system", "developer"))'


def _cache_controls(plan: Plan, spot: Spot, form: BodyForm, automatic: bool) -> str:
    """Return code for Anthropic's markers on blocks; chat completions use them on content parts."""
    lines, used = [], False
    inside = plan.static and spot.part not in ("tools", "system")
    in_messages = (plan.last and not automatic) or inside or (form == "chat" and plan.static)
    if in_messages:
        lines.append(_UNMARKED % ("cache_control", "messages", "messages"))
    if plan.tools or (plan.static and spot.part == "tools"):
        lines.append(f"tools = marked(tools, cache_control={_control(plan.tools or plan.static)})")
        used = True
    if plan.static and spot.part != "tools":
        mark = f"{spot.block}, cache_control={_control(plan.static)}"
        if spot.part == "system" and form == "anthropic":
            lines.append(f"system = marked(system, {mark})")
        elif spot.part == "system":
            lines += [_HEAD % "messages", f'head["content"] = marked(head["content"], {mark})']
        else:
            lines += [_TURNS % "messages", f"turn = turns[{spot.message}]",
                      f'turn["content"] = marked(turn["content"], {mark})']  # fmt: skip
        used = True
    if plan.last and automatic:
        lines.append(f"cache_control = {_control(plan.last)}  # a parameter of messages.create")
    elif plan.last:
        mark = f"cache_control={_control(plan.last)}"
        lines.append(
            f'messages[-1]["content"] = marked(messages[-1]["content"], {mark})'
        )  # fmt: skip
        used = True
    return "\n".join([_MARKED, *lines] if used else lines)


def _control(ttl: str) -> str:
    return '{"type": "ephemeral", "ttl": "1h"}' if ttl == "1h" else '{"type": "ephemeral"}'


def _cache_points(plan: Plan, spot: Spot) -> str:
    """Return code that inserts cache points of Bedrock's Converse."""
    lines = [
        """\
def pointed(blocks, at, ttl):
    blocks = [block for block in blocks if "cachePoint" not in block]
    point = {"type": "default", **({"ttl": ttl} if ttl == "1h" else {})}
    at = len(blocks) if at < 0 else at + 1
    return [*blocks[:at], {"cachePoint": point}, *blocks[at:]]"""
    ]
    on_tools = plan.tools or (plan.static if spot.part == "tools" else "")
    if on_tools:
        tools = f'pointed(toolConfig["tools"], -1, "{on_tools}")'
        lines.append(f'toolConfig = {{**toolConfig, "tools": {tools}}}')
    if plan.static and spot.part == "system":
        lines.append(f'system = pointed(system, {spot.block}, "{plan.static}")')
    inside = plan.static and spot.part not in ("tools", "system")
    if inside or plan.last:
        lines.append("""\
messages = [
    {**m, "content": [block for block in m["content"] if "cachePoint" not in block]}
    for m in messages
]""")
    for chosen, index, block, ttl in (
        (inside, spot.message, spot.block, plan.static),
        (plan.last, -1, -1, plan.last),
    ):
        if chosen:
            place = f'messages[{index}]["content"]'
            lines.append(f'{place} = pointed({place}, {block}, "{ttl}")')
    return "\n".join(lines) if len(lines) > 1 else ""


_GUIDE = "Use the tools as their definitions say."


def _breakpoints(plan: Plan, spot: Spot, form: BodyForm) -> str:
    """Return code for OpenAI's breakpoint on a content part, and its cache options."""
    name, kind = ("input", "input_text") if form == "responses" else ("messages", "text")
    lines = []
    if plan.static:
        lines += [_MARKED.replace('"type": "text"', f'"type": "{kind}"')]
        if form == "responses":
            lines += ["# instructions can't carry a breakpoint: send them as a developer message"]
            lines += ['input = [{"role": "user", "content": input}] if isinstance(input, str) '
                      "else input"]  # fmt: skip
        lines += [_UNMARKED % ("prompt_cache_breakpoint", name, name)]
        mark = f'{spot.block}, prompt_cache_breakpoint={{"mode": "explicit"}}'
        if spot.part == "tools":
            lines += _behind_tools(name, kind)
        elif spot.part == "system":
            lines += [_HEAD % name, f'head["content"] = marked(head["content"], {mark})']
        else:
            lines += [_TURNS % name, f"turn = turns[{spot.message}]",
                      f'turn["content"] = marked(turn["content"], {mark})']  # fmt: skip
    mode = "implicit" if plan.own else "explicit"
    lines.append(f'prompt_cache_options = {{"mode": "{mode}", "ttl": "30m"}}')
    return "\n".join(lines)


def _behind_tools(name: str, kind: str) -> list[str]:
    """Return code for a constant message after the tools, which can't have a breakpoint."""
    return [
        f'guide = [{{"type": "{kind}", "text": "{_GUIDE}"}}]',
        f'if not {name} or unmarked({name}[0]["content"]) != guide:',
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
