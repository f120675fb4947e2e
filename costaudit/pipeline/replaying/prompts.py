"""Compose the prompts of a log as they were sent: messages, tool calls, tools, settings."""

import json
from typing import Any

import polars as pl

from costaudit.providers.call import Message, Prompt, ToolCall

_SETTINGS = ("model", "temperature", "tool_choice", "response_format")
Segment = tuple[str, str, str]  # role, kind, text


def prompts_of(requests: pl.DataFrame, blocks: pl.DataFrame) -> list[Prompt]:
    """Return each request's prompt, composed from its segments; media are left out.

    The log has no ids of tool calls, so they are numbered in order.
    """
    segments = (
        requests.select("segments")
        .with_row_index("row")
        .explode("segments")
        .unnest("segments")
        .join(blocks.select("block_id", "text"), on="block_id", how="left", maintain_order="left")
        .filter(pl.col("text").is_not_null())
        .select("row", "role", "kind", "text")
    )
    found: list[list[Segment]] = [[] for _ in range(len(requests))]
    for row, role, kind, text in segments.iter_rows():
        found[row].append((role, kind, text))
    about = requests.select(_SETTINGS).iter_rows(named=True)
    return [_prompt(parts, settings) for parts, settings in zip(found, about, strict=True)]


def _prompt(segments: list[Segment], settings: dict[str, Any]) -> Prompt:
    return Prompt(
        settings["model"] or "",
        _messages([one for one in segments if one[1] != "tool_definition"]),
        settings["temperature"],
        tools=tuple(text for _, kind, text in segments if kind == "tool_definition"),
        tool_choice=settings["tool_choice"] or "",
        response_format=settings["response_format"] or "",
    )


def _messages(segments: list[Segment]) -> tuple[Message, ...]:
    """Join adjacent texts of one role into a message; each tool result is its own message."""
    messages: list[Message] = []
    waiting: list[str] = []  # ids of calls that have no result yet, in order
    calls = 0
    for role, kind, text in segments:
        if kind == "tool_use":
            calls += 1
            waiting.append(f"call_{calls}")
            call = _call(waiting[-1], text)
            _extend(messages, Message("assistant", "", (call,)))
        elif kind == "tool_result":
            call_id = waiting.pop(0) if waiting else f"call_{calls}"
            messages.append(Message("tool", text, call_id=call_id))
        elif kind in ("text", "refusal") and role in ("system", "user", "assistant"):
            _extend(messages, Message(role, text))
    return tuple(messages)


def _extend(messages: list[Message], new: Message) -> None:
    """Add a message, or append it to the last one if both have the same role."""
    if messages and messages[-1].role == new.role:
        last = messages[-1]
        text = "\n".join(part for part in (last.text, new.text) if part)
        messages[-1] = Message(new.role, text, last.calls + new.calls)
    else:
        messages.append(new)


def _call(call_id: str, text: str) -> ToolCall:
    try:
        value = json.loads(text)
        name, arguments = str(value["name"]), value.get("input", {})
    except (ValueError, KeyError, TypeError):
        name, arguments = "tool", {}
    given = arguments if isinstance(arguments, dict) else {"value": arguments}
    return ToolCall(call_id, name, json.dumps(given, ensure_ascii=False, separators=(",", ":")))
