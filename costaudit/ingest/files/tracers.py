"""Convert spans of Jaeger, Zipkin and Tempo to OTLP's form."""

from typing import Any

from costaudit.ingest.calls.fields import Fields

SPANS_IN_SCOPE = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans")
JAEGER_TRACE = ("traceID", "spans", "processes")
JAEGER_SPAN = ("traceID", "spanID", "operationName")
ZIPKIN_SPAN = ("traceId", "id", "timestamp", "duration")
HOLDERS = ("trace", "result", "data")  # fields with OTLP batches in responses of Tempo and Jaeger


def spans_of_tracer(value: dict[str, Any]) -> list[Any] | None:
    """Return the spans of a Jaeger trace, or of a Jaeger or Zipkin span; None for anything else."""
    if all(name in value for name in JAEGER_TRACE) and isinstance(value["spans"], list):
        processes = Fields(value).inner("processes")
        return [
            _of_jaeger(span, processes) if isinstance(span, dict) else span
            for span in value["spans"]
        ]
    if all(name in value for name in JAEGER_SPAN):
        return [_of_jaeger(value, Fields({}))]
    is_zipkin = all(name in value for name in ZIPKIN_SPAN) and isinstance(value.get("tags"), dict)
    return [_of_zipkin(value)] if is_zipkin and "spanId" not in value else None


def batches_of_tempo(value: dict[str, Any]) -> list[Any] | None:
    """Return the OTLP batches in a response of Tempo or Jaeger; None for anything else."""
    batches = value.get("batches")
    if isinstance(batches, list) and any(_is_batch(each) for each in batches):
        return [{"resourceSpans": batches}]
    for name in HOLDERS:
        held = value.get(name)
        if isinstance(held, dict) and ({"resourceSpans", "batches"} & held.keys()):
            return [held]
    return None


def _is_batch(value: object) -> bool:
    return isinstance(value, dict) and any(name in value for name in SPANS_IN_SCOPE)


def _of_jaeger(span: dict[str, Any], processes: Fields) -> dict[str, Any]:
    fields = Fields(span)
    attributes = _pairs(fields.items("tags")) or fields.inner("tag").values
    process = fields.inner("process") or processes.inner(fields.text("processID") or "")
    events = [
        {"name": told.get("event"), "attributes": told}
        for log in fields.items("logs")
        if isinstance(log, dict) and (told := _pairs(Fields(log).items("fields")))
    ]
    return {
        "traceId": span.get("traceID"),
        "spanId": span.get("spanID"),
        "parentSpanId": fields.text("parentSpanID"),
        "references": span.get("references"),
        "name": span.get("operationName"),
        **_times(span.get("startTime"), span.get("duration")),
        "attributes": attributes,
        "events": events,
        "status": _status(attributes),
        "resource": {
            "attributes": {
                **_pairs(process.items("tags")),
                "service.name": process.text("serviceName"),
            }
        },
    }


def _pairs(tags: list[Any]) -> dict[str, Any]:
    return {
        tag["key"]: tag.get("value")
        for tag in tags
        if isinstance(tag, dict) and isinstance(tag.get("key"), str)
    }


def _of_zipkin(span: dict[str, Any]) -> dict[str, Any]:
    fields = Fields(span)
    return {
        "traceId": span["traceId"],
        "spanId": span["id"],
        "parentSpanId": fields.text("parentId"),
        "name": span.get("name"),
        **_times(span["timestamp"], span["duration"]),
        "attributes": span["tags"],
        "status": _status(span["tags"]),
        "resource": {
            "attributes": {"service.name": fields.inner("localEndpoint").text("serviceName")}
        },
    }


def _times(start_us: object, duration_us: object) -> dict[str, int]:
    """Return start and end in nanoseconds; Jaeger and Zipkin log microseconds."""
    if not isinstance(start_us, int):
        return {}
    times = {"startTimeUnixNano": start_us * 1_000}
    if isinstance(duration_us, int):
        times["endTimeUnixNano"] = (start_us + duration_us) * 1_000
    return times


def _status(attributes: dict[str, Any]) -> dict[str, str]:
    told = str(attributes.get("otel.status_code", "")).upper()
    failed = told == "ERROR" or str(attributes.get("error", "false")).lower() != "false"
    return {"code": "STATUS_CODE_ERROR"} if failed else {}
