"""OpenTelemetry: spans and log records of model calls, in OTLP/JSON or as exported by Phoenix."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from costaudit.ingest.calls.call import Call, Kept, Key, Record, Skip
from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.calls.json_repair import UnreadableError, parse_lenient
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.calls.untyped import answer_from, prompt_from
from costaudit.ingest.sources.otel_span import (
    answer_of_events,
    attributes_of,
    call_of_span,
    flat,
    is_call,
    plain,
    prompt_of_events,
    span_id,
    trace_place,
)
from costaudit.ingest.sources.source import Outcome, no_call

MARKS = ("gen_ai.", "llm.", "openinference.", "traceloop.", "ai.")
DETAILS = "gen_ai.client.inference.operation.details"
NO_CALL = Skip("not-a-call", "It is the span of an agent, a chain or a tool, or of other software.")
SpanKey = tuple[str, str]


class OTel:
    """Read spans; prompts and answers logged as events are joined to their span."""

    name: ClassVar[str] = "otel"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._calls: dict[SpanKey, tuple[Key, Call]] = {}
        self._events: dict[SpanKey, list[tuple[Key, int, str, Any]]] = {}

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if not ({"spanId", "span_id", "context", "traceId", "eventName", "body"} & record.keys()):
            return ""
        for name in attributes_of(record):
            if name.startswith(MARKS):
                return f"attribute {name}"
        event = _event_name(record)
        return f"event {event}" if event.startswith("gen_ai.") else ""

    def parse(self, record: Record) -> Iterator[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        if not isinstance(value, dict):
            yield key, NOT_A_CALL
            return
        span, attributes = Fields(value), Fields(attributes_of(value))
        event = _event_name(value)
        if event.startswith("gen_ai.") and event != DETAILS:
            self._hold(key, span, event, value)
        elif is_call(span.text("name") or "", attributes):
            yield from self._span(key, span, attributes, value)
        else:
            yield key, no_call(NO_CALL, *trace_place(span))

    def _hold(self, key: Key, span: Fields, event: str, value: dict[str, Any]) -> None:
        moment = span.time_us("timeUnixNano", "time_unix_nano", "observedTimeUnixNano") or 0
        body = plain(value.get("body"))
        self._events.setdefault(_span_key(span), []).append((key, moment, event, body))

    def _span(
        self, key: Key, span: Fields, attributes: Fields, value: dict[str, Any]
    ) -> Iterator[Outcome]:
        resource = Fields(flat(span.inner("resource").values.get("attributes")))
        call = call_of_span(span, attributes, resource)
        _add_events(call, _span_events(value))
        where = _span_key(span)
        if call.prompt is not None or call.answer or not all(where) or where in self._calls:
            yield Kept(key, call)
        else:
            self._calls[where] = (key, call)

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for where, (key, call) in self._calls.items():
            events = sorted(self._events.pop(where, []), key=lambda e: e[1])
            _add_events(call, [(name, body) for _, _, name, body in events])
            yield Kept(key, call, [(each[0], "event") for each in events])
        for events in self._events.values():
            for each in events:
                yield each[0], Skip("not-a-call", "It is an event whose span is not in the file.")


def _span_key(span: Fields) -> SpanKey:
    context = span.inner("context")
    trace = span.text("traceId", "trace_id") or context.text("trace_id", "traceId")
    return trace or "", span_id(span) or ""


def _event_name(record: dict[str, Any]) -> str:
    name = record.get("eventName") or attributes_of(record).get("event.name")
    return name if isinstance(name, str) else ""


def _span_events(value: dict[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for event in Fields(value).items("events"):
        if not isinstance(event, dict):
            continue
        name, attributes = str(event.get("name")), attributes_of(event)
        body = {key.rpartition(".")[2]: item for key, item in attributes.items()}
        if name == "gen_ai.content.prompt":
            found.append(("prompt", attributes.get("gen_ai.prompt")))
        elif name == "gen_ai.content.completion":
            found.append(("completion", attributes.get("gen_ai.completion")))
        elif name.startswith("gen_ai."):
            found.append((name, body))
    return found


def _add_events(call: Call, events: list[tuple[str, Any]]) -> None:
    for name, body in events:
        if name == "prompt":
            call.prompt = call.prompt or prompt_from(_literal(body))
        elif name == "completion":
            call.answer = call.answer or answer_from(_literal(body))
    call.prompt = call.prompt or prompt_of_events(events)
    answer, reason = answer_of_events(events)
    call.answer = call.answer or answer
    call.finish_reason = call.finish_reason or reason


def _literal(value: Any) -> Any:
    """Decode a Python literal, which old instrumentations wrote instead of JSON."""
    if isinstance(value, str) and value[:2] in ("[{", "{'", "['"):
        try:
            return parse_lenient(value.encode())
        except UnreadableError:
            return value
    return value
