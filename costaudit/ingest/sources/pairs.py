"""Request/response pairs, bare bodies and streams in the formats of the providers' APIs."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from costaudit.ingest.calls.call import Call, Kept, Key, Record
from costaudit.ingest.calls.exchange import states_usage
from costaudit.ingest.calls.json_repair import UnreadableError, parse_lenient
from costaudit.ingest.calls.pair import NOT_A_CALL, REQUEST_NAMES, RESPONSE_NAMES, read_pair
from costaudit.ingest.calls.streamed import joined_chunks
from costaudit.ingest.calls.untyped import call_from, encoded
from costaudit.ingest.sources.source import Outcome

POLLED = ("thread.run", "realtime.response")  # logged also before they have counts


def bodies_in(record: dict[str, Any], names: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the path and the object of each possible body in a record, the record itself last."""
    for name in names:
        body = record.get(name)
        if isinstance(body, dict):
            yield f"{name}.", body
    yield "", record


def other_answer(record: dict[str, Any]) -> str:
    """Return the field that identifies a non-chat answer: a transcription, image, rerank or run."""
    for path, body in bodies_in(record, RESPONSE_NAMES):
        usage = body.get("usage") or body.get("meta")
        if isinstance(usage, dict) and (path or "model" in body) and states_usage(usage):
            return f"{path}usage"
        if str(body.get("object")) in POLLED:
            return f'{path}object = "{body["object"]}"'
    return ""


class OpenAIChat:
    """Read pairs whose response has choices, or whose request has messages."""

    name: ClassVar[str] = "openai_chat"
    needs_whole_file: ClassVar[bool] = False

    def __init__(self, address: str = "") -> None:
        self.address = address

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for path, body in bodies_in(record, RESPONSE_NAMES):
            if body.get("object") == "chat.completion":
                return f'{path}object = "chat.completion"'
            if isinstance(body.get("choices"), list):
                return f"{path}choices"
            if body.get("object") == "list" and isinstance(body.get("usage"), dict):
                return f'{path}object = "list", usage'  # embeddings
            if isinstance(body.get("done"), bool) and ("message" in body or "response" in body):
                return f"{path}done"  # Ollama
        for path, body in bodies_in(record, REQUEST_NAMES):
            if isinstance(body.get("messages"), list):
                return f"{path}messages"
        return other_answer(record)

    def parse(self, record: Record) -> Iterable[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        found = read_pair(record.data)
        return ((Kept(key, found) if isinstance(found, Call) else (key, found)),)

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        return ()


class OpenAIResponses(OpenAIChat):
    """Read responses of the Responses API, which seldom contain the request."""

    name: ClassVar[str] = "openai_responses"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for path, body in bodies_in(record, RESPONSE_NAMES):
            if body.get("object") in ("response", "response.compaction"):
                return f'{path}object = "{body["object"]}"'
        return ""


class AnthropicMessages(OpenAIChat):
    """Read pairs whose response is a message, or whose request is clearly Anthropic's."""

    name: ClassVar[str] = "anthropic_messages"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for path, body in bodies_in(record, RESPONSE_NAMES):
            if body.get("type") == "message" and body.get("role") == "assistant":
                return f'{path}type = "message"'
        for path, body in bodies_in(record, REQUEST_NAMES):
            claude = "system" in body or "claude" in str(body.get("model"))
            if isinstance(body.get("messages"), list) and "max_tokens" in body and claude:
                return f"{path}messages, max_tokens"
        return ""


class Gemini(OpenAIChat):
    """Read pairs whose response has candidates or usageMetadata, or whose request has contents."""

    name: ClassVar[str] = "gemini"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for path, body in bodies_in(record, RESPONSE_NAMES):
            if isinstance(body.get("usageMetadata"), dict):
                return f"{path}usageMetadata"
            if isinstance(body.get("candidates"), list):
                return f"{path}candidates"
        for path, body in bodies_in(record, REQUEST_NAMES):
            if isinstance(body.get("contents"), list):
                return f"{path}contents"
        return ""


class ChunkArrays:
    """Read pairs whose response is a list of streamed chunks."""

    name: ClassVar[str] = "chunk_arrays"
    needs_whole_file: ClassVar[bool] = False

    def __init__(self, address: str = "") -> None:
        self.address = address

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        return next((f"{name}[] of chunks" for name in RESPONSE_NAMES
                     if _is_chunks(record.get(name))), "")  # fmt: skip

    def parse(self, record: Record) -> Iterable[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        data: Any = record.data
        if isinstance(value, dict):
            joined = {
                n: joined_chunks(value[n]) for n in RESPONSE_NAMES if _is_chunks(value.get(n))
            }
            data = encoded({**value, **joined})
        found = read_pair(data)
        if isinstance(found, Call):
            found.stream = True
        return [Kept(key, found) if isinstance(found, Call) else (key, found)]

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        return ()


def _is_chunks(value: Any) -> bool:
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    first = value[0]
    known = first.get("object") == "chat.completion.chunk" or first.get("type") == "message_start"
    return known or bool({"candidates", "usageMetadata"} & first.keys())


EVENTS = ("message_start", "content_block_start", "content_block_delta", "content_block_stop",
          "message_delta", "message_stop", "ping", "message-start", "content-start",
          "content-delta", "content-end", "message-end")  # fmt: skip
STARTS = ("message_start", "message-start")


class Streams:
    """Join the events of each streamed answer; counts are cumulative, so they are not summed."""

    name: ClassVar[str] = "streams"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._streams: dict[str, list[tuple[Key, dict[str, Any]]]] = {}
        self._current = ""  # Anthropic's events have no id: they belong to the last message_start

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
        if value.get("type") in STARTS:
            message = value.get("message", value)
            self._current = str(message.get("id") if isinstance(message, dict) else key)
        elif value.get("object") == "chat.completion.chunk" and value.get("id"):
            self._current = str(value["id"])
            first = self._streams.pop("", [])  # Azure's first chunk has no id
            self._streams.setdefault(self._current, []).extend(first)
        self._streams.setdefault(self._current, []).append((key, value))
        return ()

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for events in self._streams.values():
            call = call_from(None, joined_chunks([value for _, value in events]))
            if call is None:
                yield from ((key, NOT_A_CALL) for key, _ in events)
                continue
            call.stream = len(events) > 1 or call.stream
            yield Kept(events[0][0], call, [(key, "part-of-stream") for key, _ in events[1:]])
