"""Unwrap records from API pages, OTLP batches, traces and events of log collectors."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from costaudit.ingest.calls.call import Record
from costaudit.ingest.calls.fields import Fields, parsed
from costaudit.ingest.calls.json_repair import UnreadableError, parse_lenient
from costaudit.ingest.files.tracers import SPANS_IN_SCOPE, batches_of_tempo, spans_of_tracer
from costaudit.ingest.sources.traces import divided, is_session

LISTS = ("data", "events", "result", "results", "Records", "items", "observations", "runs", "logs")
OWN_MEANING = frozenset(
    {
        *("choices", "messages", "request", "response", "usage", "traceId", "run_type"),
        *("custom_id", "attributes", "context", "payload", "message"),
    }
)
DEEPEST = 6
OTLP = (
    (("resourceSpans", "resource_spans"), SPANS_IN_SCOPE, "spans"),
    (("resourceLogs", "resource_logs"), ("scopeLogs", "scope_logs"), ("logRecords", "log_records")),
)


def is_wrapper(record: object) -> bool:
    """Return whether a record only wraps other records."""
    return _inner(record) is not None


def unwrapped(record: Record) -> Iterator[Record]:
    """Yield the records inside a record, or the record itself if it wraps nothing.

    List elements that are not objects are yielded too, so that each is counted as a call or as
    skipped. A damaged page yields its intact elements and each damaged one.
    """
    try:
        value = parse_lenient(bytes(record.data))
    except UnreadableError:
        yield from _torn(record)
        return
    if _inner(value) is None:
        yield record
        return
    index = -1
    for index, leaf in enumerate(_leaves(value, 0)):
        yield Record(record.offset, index, msgspec.json.encode(leaf))
    if index < 0:
        yield record


TORN_PAGE = re.compile(
    rb'\s*\{(?:\s*"\w+"\s*:\s*(?:"(?:[^"\\]|\\.){0,200}"|-?\d+|true|false|null)\s*,){0,20}'
    rb'\s*"(?:%b)"\s*:\s*\[\s*(?=\{\s*"((?:[^"\\]|\\.){1,80})")' % "|".join(LISTS).encode()
)


def is_torn_page(data: bytes) -> bool:
    """Return whether text that can't be decoded begins like a page of records."""
    return TORN_PAGE.match(data) is not None


def _torn(record: Record) -> Iterator[Record]:
    """Split a damaged page wherever an object begins with the first key of the first element."""
    data = bytes(record.data)
    page = TORN_PAGE.match(data)
    if page is None:
        yield record
        return
    start = re.compile(rb'(?<=[\s,\[}])\{\s*"%b"\s*:' % re.escape(page[1]))
    places = [found.start() for found in start.finditer(data, page.end())]
    held = places[0] if places else page.end()
    index = 0
    for end in [*places[1:], len(data)]:
        element = data[held:end].rstrip(b", \t\r\n")
        is_last = end == len(data)
        if not is_last and not _is_whole(element) and _opens_more(element):
            continue  # the key belongs to an object nested in this element
        yield Record(record.offset, index, _without_tail(element) if is_last else element)
        index += 1
        held = end


def _is_whole(element: bytes) -> bool:
    try:
        msgspec.json.decode(element, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _opens_more(element: bytes) -> bool:
    """Return whether a nested object would follow: the text ends after a colon or a bracket."""
    return element.endswith((b":", b"["))


def _without_tail(element: bytes) -> bytes:
    """Return the last element without the text that follows the list."""
    end = element.rfind(b"]")
    head = element[:end].rstrip() if end > 0 else element
    return head if _is_whole(head) else element


def _leaves(value: Any, depth: int) -> Iterator[Any]:
    inner = _inner(value) if depth < DEEPEST else None
    if inner is None:
        yield value
        return
    for item in inner:
        yield from _leaves(item, depth + 1)


LOGGED = (  # log collectors: the fields that identify their envelope, and the one with the line
    ({"log", "stream", "time"}, "log"),  # Docker, Fluentd
    ({"insertId", "logName", "jsonPayload"}, "jsonPayload"),  # Google Cloud Logging
    ({"insertId", "logName", "textPayload"}, "textPayload"),
    ({"_raw", "_time"}, "_raw"),  # Splunk
    ({"result", "preview"}, "result"),  # Splunk's export
    ({"line", "labels", "timestamp"}, "line"),  # Loki
)


def _inner(value: Any) -> list[Any] | None:
    if isinstance(value, str | list):
        return _insights(value) if isinstance(value, list) else _within_text(value)
    if not isinstance(value, dict):
        return None
    for batches, scopes, records in OTLP:
        if any(name in value for name in batches):
            names = (records,) if isinstance(records, str) else records
            return list(_otlp(_get(value, batches), scopes, names))
    event = _collected(value)
    if event is not None:
        return [event]
    parts = _divided(value)
    if parts is not None:
        return parts
    if OWN_MEANING & value.keys():
        return None
    for name in LISTS:
        inner = value.get(name)
        if (
            isinstance(inner, list)
            and inner
            and sum(isinstance(item, dict | list) for item in inner) * 2 > len(inner)
        ):
            return inner
    inner = value.get("data")
    return [inner] if isinstance(inner, dict) and len(value) <= 2 else None


def _divided(value: dict[str, Any]) -> list[Any] | None:
    """Split a trace, a session of Gemini CLI or opencode, spans, or Copilot CLI's totals.

    Return None for anything else.
    """
    if is_session(value):
        return divided(value)
    if (spans := batches_of_tempo(value) or spans_of_tracer(value)) is not None:
        return spans
    data, messages = value.get("data"), value.get("messages")
    if {"sessionId", "projectHash"} <= value.keys() and isinstance(messages, list):
        told = {"sessionId": value["sessionId"]}
        return [{**told, **each} if isinstance(each, dict) else each for each in messages]
    if isinstance(messages, list) and messages and isinstance(value.get("info"), dict):
        return messages if all(isinstance(m, dict) and "info" in m for m in messages) else None
    if not isinstance(data, dict):
        return None
    spans, sums = data.get("spans"), data.get("modelMetrics")
    if isinstance(spans, list) and "info" in value:
        return _mlflow(spans)
    if value.get("type") == "session.shutdown" and isinstance(sums, dict) and sums:
        return [
            {**value, "data": {"modelSum": {**each, "model": model}}}
            for model, each in sums.items()
            if isinstance(each, dict)
        ] or None
    return None


def _mlflow(spans: list[Any]) -> list[Any]:
    """Mark spans that have a child span with token counts; their own counts repeat the child's."""
    counted = "mlflow.chat.tokenUsage"
    parents = {
        Fields(span).text("parent_span_id")
        for span in spans
        if isinstance(span, dict) and counted in str(span.get("attributes"))
    } - {None}
    return [
        {**span, "has_call_within": True}
        if isinstance(span, dict) and Fields(span).text("span_id") in parents
        else span
        for span in spans
    ]


def _get(value: dict[str, Any], names: tuple[str, ...]) -> list[Any]:
    """Return the first field of `names` as a list: JSON text is decoded, a single value wrapped."""
    found: Any = next((value[name] for name in names if name in value), [])
    read = parsed(found)
    return read if isinstance(read, list) else [read]


def _otlp(batches: list[Any], scopes: tuple[str, ...], names: tuple[str, ...]) -> Iterator[Any]:
    """Yield the records of OTLP batches; anything that is not a batch or a scope is a record."""
    for batch in batches:
        if not isinstance(batch, dict) or not any(name in batch for name in scopes):
            yield batch
            continue
        resource = batch.get("resource")
        for scoped in _get(batch, scopes):
            if not isinstance(scoped, dict) or not any(name in scoped for name in names):
                yield scoped
                continue
            for item in _get(scoped, names):
                is_record = isinstance(item, dict)
                told = {"resource": resource, "scope": scoped.get("scope")}
                yield {**item, **told} if is_record else item


def _collected(value: dict[str, Any]) -> Any:
    """Return the object in a log collector's envelope; None for other records."""
    for fields, name in LOGGED:
        if fields <= value.keys():
            found = parsed(value[name])
            return found if isinstance(found, dict) else None
    text = value.get("@message")
    if text is None and {"eventId", "ingestionTime", "logStreamName"} & value.keys():
        text = value.get("message")
    if isinstance(text, dict):
        return text
    if not isinstance(text, str):
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {"cloudwatch_text": True}


def _within_text(text: str) -> list[Any] | None:
    found = parsed(text)
    return [found] if isinstance(found, dict | list) else None


def _insights(value: list[Any]) -> list[Any] | None:
    fields = [f for f in value if isinstance(f, dict) and {"field", "value"} <= f.keys()]
    if not fields or len(fields) != len(value):
        return None
    row = {str(f["field"]): f["value"] for f in fields}
    return [row] if "@message" in row else None
