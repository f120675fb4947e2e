"""Join the events, chunks or text of a streamed answer into one response body."""

from collections.abc import Iterable, Iterator
from typing import Any

from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.calls.json_repair import UnreadableError, parse_lenient

EVENT_TEXT = ("data:", "event:", ":", "id:")  # how the text of server-sent events begins


def body_of_text(text: str) -> dict[str, Any] | None:
    """Return the body in the text of a streamed answer; None if the text is not a stream.

    The text holds server-sent events, objects line by line, or a list of chunks.
    """
    start = text.lstrip()[:6]
    if start.startswith(EVENT_TEXT):
        chunks = list(_events_in(text))
    elif start.startswith(("[", "{")):
        chunks = _objects_in(text)
    else:
        return None
    return joined_chunks(chunks) if any(isinstance(chunk, dict) for chunk in chunks) else None


def _events_in(text: str) -> Iterator[Any]:
    for line in text.splitlines():
        if line.startswith("data:") and line[5:].strip() not in ("", "[DONE]"):
            try:
                yield parse_lenient(line[5:].strip().encode())
            except UnreadableError:
                continue


def _objects_in(text: str) -> list[Any]:
    """Decode a list of chunks or one object per line; return [] for one whole body."""
    try:
        found = parse_lenient(text.encode())
        return found if isinstance(found, list) else []
    except UnreadableError:
        pass
    try:
        return [parse_lenient(line.encode()) for line in text.splitlines() if line.strip()]
    except UnreadableError:
        return []


def joined_events(events: Iterable[Any]) -> dict[str, Any]:
    """Join a stream's events; counts are cumulative, so the last of each is kept."""
    fields = [Fields(event) for event in events if isinstance(event, dict)]
    if any(f.text("object") == "chat.completion.chunk" for f in fields):
        return _chat(fields)
    if any(f.text("type") in ("message_start", "message_delta") for f in fields):
        return _message(fields)
    if any(f.text("type") in ("message-start", "message-end") for f in fields):
        return _cohere(fields)
    whole = [f.inner("response") for f in fields if (f.text("type") or "").startswith("response.")]
    if any(whole):
        return next(each.values for each in reversed(whole) if each)
    if any(f.value("done") is not None for f in fields):
        return _ollama(fields)
    return _converse(fields)


def _chat(chunks: list[Fields]) -> dict[str, Any]:
    body: dict[str, Any] = {"object": "chat.completion", "choices": []}
    texts: list[str] = []
    calls: dict[int, dict[str, Any]] = {}
    finish = None
    for chunk in chunks:
        for name in ("id", "created", "model", "service_tier", "usage"):
            body[name] = chunk.value(name) or body.get(name)
        body["usage"] = chunk.inner("x_groq").value("usage") or body["usage"]
        for choice in chunk.items("choices")[:1]:
            choice = Fields(choice if isinstance(choice, dict) else {})
            delta = choice.inner("delta")
            texts.append(delta.text("content") or "")
            finish = choice.text("finish_reason") or finish
            for part in delta.items("tool_calls"):
                _add_tool_call(calls, part)
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts)}
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    body["choices"] = [{"index": 0, "finish_reason": finish, "message": message}]
    return body


def _add_tool_call(calls: dict[int, dict[str, Any]], part: Any) -> None:
    fields = Fields(part if isinstance(part, dict) else {})
    call = calls.setdefault(
        fields.integer("index") or 0, {"function": {"name": "", "arguments": ""}}
    )["function"]
    function = fields.inner("function").values
    for name in ("name", "arguments"):
        value = function.get(name)
        call[name] += value if isinstance(value, str) else ""


def _message(events: list[Fields]) -> dict[str, Any]:
    body: dict[str, Any] = {"type": "message", "role": "assistant"}
    usage: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        kind = event.text("type")
        if kind == "message_start":
            start = event.inner("message").values
            body.update({k: v for k, v in start.items() if k not in ("content", "usage")})
            usage.update(Fields(start).inner("usage").values)
        elif kind == "content_block_start":
            blocks[event.integer("index") or 0] = dict(event.inner("content_block").values)
        elif kind == "content_block_delta":
            _add_delta(blocks.setdefault(event.integer("index") or 0, {}), event.inner("delta"))
        elif kind == "message_delta":
            body.update(event.inner("delta").values)
            news = event.inner("usage").values
            usage.update({k: v for k, v in news.items() if v is not None})
    return {**body, "content": [blocks[index] for index in sorted(blocks)], "usage": usage}


def _add_delta(block: dict[str, Any], delta: Fields) -> None:
    for source, target, kind in (
        ("text", "text", "text"),
        ("thinking", "thinking", "thinking"),
        ("partial_json", "input", "tool_use"),
    ):
        piece = delta.values.get(source)
        if isinstance(piece, str):
            before = block.get(target)
            block[target] = (before if isinstance(before, str) else "") + piece
            block.setdefault("type", kind)


def _converse(events: list[Fields]) -> dict[str, Any]:
    texts: list[str] = []
    body: dict[str, Any] = {}
    titan: list[str] = []
    for event in events:
        texts.append(event.inner("contentBlockDelta").inner("delta").text("text") or "")
        titan.append(event.text("outputText", "generation") or "")
        metadata = event.inner("metadata")
        body["usage"] = metadata.value("usage") or body.get("usage")
        body["metrics"] = metadata.value("metrics") or body.get("metrics")
        body["stopReason"] = event.inner("messageStop").text("stopReason") or body.get("stopReason")
    if body.get("stopReason") is None:
        return {"outputText": "".join(titan)}
    message = {"role": "assistant", "content": [{"text": "".join(texts)}]}
    return {**body, "output": {"message": message}}


def _cohere(events: list[Fields]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    texts: list[str] = []
    for event in events:
        delta = event.inner("delta")
        body["id"] = event.value("id") or body.get("id")
        texts.append(delta.inner("message").inner("content").text("text") or "")
        for name in ("finish_reason", "usage"):
            body[name] = delta.value(name) or body.get(name)
    return {**body, "message": {"role": "assistant", "content": [{"text": "".join(texts)}]}}


def _ollama(lines: list[Fields]) -> dict[str, Any]:
    texts = [line.inner("message").text("content") or line.text("response") or "" for line in lines]
    message = {"role": "assistant", "content": "".join(texts)}
    return {**lines[-1].values, "message": message}


def joined_chunks(chunks: list[Any]) -> dict[str, Any]:
    """Join the chunks of one answer; counts are cumulative, so the last ones are kept."""
    fields = [Fields(chunk) for chunk in chunks if isinstance(chunk, dict)]
    if not any(f.has("candidates") or f.has("usageMetadata") for f in fields):
        return joined_events(chunks)
    body: dict[str, Any] = {}
    parts: list[Any] = []
    finish = None
    for chunk in fields:
        body.update({k: v for k, v in chunk.values.items() if k != "candidates" and v is not None})
        for candidate in chunk.items("candidates")[:1]:
            told = Fields(candidate if isinstance(candidate, dict) else {})
            parts += told.inner("content").items("parts")
            finish = told.text("finishReason") or finish
    content = {"role": "model", "parts": _merged(parts)}
    return {**body, "candidates": [{"content": content, "finishReason": finish}]}


def _merged(parts: list[Any]) -> list[Any]:
    """Merge consecutive texts into one part."""
    found: list[Any] = []
    for part in parts:
        is_text = isinstance(part, dict) and part.keys() == {"text"}
        if is_text and found and isinstance(found[-1], dict) and found[-1].keys() == {"text"}:
            found[-1] = {"text": f"{found[-1]['text']}{part['text']}"}
        else:
            found.append(part)
    return found
