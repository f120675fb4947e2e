"""Make prompts, answers and calls from decoded values of unknown shape."""

from typing import Any

import msgspec

from costaudit.ingest.calls.bodies import Request, Response
from costaudit.ingest.calls.call import Buffer, Call, Prompt
from costaudit.ingest.calls.exchange import call_of, prompt_of
from costaudit.ingest.calls.fields import Fields, parsed
from costaudit.ingest.calls.json_repair import UnreadableError, decode_repaired

MESSAGE_LISTS = ("messages", "contents", "input", "prompt", "question", "query")


def call_from(request: Any, response: Any) -> Call | None:
    """Make a call from two bodies, objects or JSON texts; None if neither says anything."""
    return call_of(_fitted(request, Request), _fitted(response, Response))


def _fitted(value: Any, target: Any) -> Any:
    value = parsed(value)
    if not isinstance(value, dict):
        return None
    try:
        return decode_repaired(dict(value), target)[0]
    except UnreadableError:
        return None


def prompt_from(value: Any, tools: Any = None, system: Any = None) -> Prompt | None:
    """Read a prompt that may be a message list, a body, a text, or any of them as JSON text."""
    value = parsed(value)
    prompt: Prompt | None = None
    if isinstance(value, dict):
        prompt = _from_object(value)
    elif isinstance(value, list):
        prompt = Prompt(messages=[encoded(m) for m in _flat(value)])
    elif isinstance(value, str) and value:
        prompt = Prompt(messages=[encoded(value)])
    tools, system = parsed(tools), parsed(system)
    if tools or system:
        prompt = prompt or Prompt()
        prompt.tools = prompt.tools or (encoded(tools) if tools else b"")
        prompt.system = prompt.system or (encoded(system) if system else b"")
    return prompt


def _from_object(value: dict[str, Any]) -> Prompt | None:
    if "role" in value or "lc" in value:
        return Prompt(messages=[encoded(value)])
    messages = Fields(value).value(*MESSAGE_LISTS)
    body = dict(value)
    if isinstance(messages, list):
        body["contents" if "contents" in value else "messages"] = _flat(messages)
    elif messages is not None:
        body["messages"] = [messages]
    request = _fitted(body, Request)
    found = prompt_of(request) if request is not None else None
    return found or Prompt(messages=[encoded(msgspec.json.encode(value).decode())])


def _flat(messages: list[Any]) -> list[Any]:
    """Flatten LangChain's message lists, which hold one list per prompt."""
    if messages and all(isinstance(m, list) for m in messages):
        return list(messages[0])
    return messages


def answer_from(value: Any) -> Buffer:
    """Read an answer that may be a text, a message, choices, generations or a body."""
    value = parsed(value)
    for _ in range(4):
        inner = _answer_within(value)
        if inner is None:
            break
        value = inner
    return b"" if value is None or value == "" else encoded(value)


def _answer_within(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list | dict):
        first = value[0]
        return first if isinstance(first, list) or {"message", "text"} & first.keys() else None
    if not isinstance(value, dict) or "role" in value:
        return None
    for name in ("choices", "generations", "candidates"):
        inner = value.get(name)
        if isinstance(inner, list) and inner:
            return inner[0]
    for name in ("message", "output", "completion", "answer", "response", "text"):
        if value.get(name) and value.get("type") is None:
            return value[name]
    return None


def encoded(value: Any) -> bytes:
    """Encode as JSON."""
    return msgspec.json.encode(value)
