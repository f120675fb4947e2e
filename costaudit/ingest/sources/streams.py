"""Logs of streamed answers: events put together into the body that they amount to."""

from collections.abc import Iterable
from typing import Any, ClassVar

from costaudit.ingest.calls.call import Kept, Key, Record
from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.calls.json_repair import UnreadableError, parse_lenient
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.calls.untyped import call_from
from costaudit.ingest.sources.source import Outcome


def joined_events(events: Iterable[Any]) -> dict[str, Any]:
    """Put a stream's events together; counts are cumulative, so the last of each is kept."""
    fields = [Fields(event) for event in events if isinstance(event, dict)]
    if any(f.text("object") == "chat.completion.chunk" for f in fields):
        return _chat(fields)
    if any(f.text("type") in ("message_start", "message_delta") for f in fields):
        return _message(fields)
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


EVENTS = ("message_start", "content_block_start", "content_block_delta", "content_block_stop",
          "message_delta", "message_stop", "ping")  # fmt: skip


class Streams:
    """Put the events of each answer together; counts are cumulative and never added up."""

    name: ClassVar[str] = "streams"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._streams: dict[str, list[tuple[Key, dict[str, Any]]]] = {}
        self._current = ""  # events of a message have no id; they belong to the last start

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if record.get("object") == "chat.completion.chunk":
            return 'object = "chat.completion.chunk"'
        return f"type = {record['type']!r}" if record.get("type") in EVENTS else ""

    def parse(self, record: Record) -> Iterable[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        try:
            value = parse_lenient(bytes(record.data))
        except UnreadableError:
            if bytes(record.data).strip() != b"[DONE]":
                raise
            value = {}
        if not isinstance(value, dict):
            return [(key, NOT_A_CALL)]
        if value.get("type") == "message_start":
            message = value.get("message")
            self._current = str(message.get("id") if isinstance(message, dict) else key)
        elif value.get("object") == "chat.completion.chunk" and value.get("id"):
            self._current = str(value["id"])
            first = self._streams.pop("", [])  # Azure opens with a chunk without an id
            self._streams.setdefault(self._current, []).extend(first)
        self._streams.setdefault(self._current, []).append((key, value))
        return ()

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for events in self._streams.values():
            call = call_from(None, joined_events(value for _, value in events))
            if call is None:
                yield from ((key, NOT_A_CALL) for key, _ in events)
                continue
            call.stream = True
            yield Kept(events[0][0], call, [(key, "part-of-stream") for key, _ in events[1:]])
