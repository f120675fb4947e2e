"""Logs of streamed answers: one event per line, as JSON or as server-sent events."""

from collections.abc import Iterable
from typing import Any, ClassVar

from costaudit.ingest.call import Kept, Key, Record
from costaudit.ingest.lenient import UnreadableError, parse_lenient
from costaudit.ingest.loose import call_from
from costaudit.ingest.pair import NOT_A_CALL
from costaudit.ingest.sources.source import Outcome
from costaudit.ingest.sources.stream_events import joined_events

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
        elif value.get("object") == "chat.completion.chunk":
            self._current = str(value.get("id"))
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
