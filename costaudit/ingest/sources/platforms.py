"""Exports of other platforms and gateways: one span, event or log line per call."""

from collections.abc import Iterable
from typing import Any, ClassVar

from costaudit.ingest.calls.call import Call, Convention, Kept, Key, Record, Skip
from costaudit.ingest.calls.exchange import add_counts
from costaudit.ingest.calls.fields import Fields, span_ms
from costaudit.ingest.calls.json_repair import parse_lenient
from costaudit.ingest.calls.money import decimal_of, log_cost
from costaudit.ingest.calls.names import provider_of_model, split_model
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.calls.untyped import answer_from, call_from, prompt_from
from costaudit.ingest.calls.usage import counts_among
from costaudit.ingest.sources.otel_span import call_of_span, nested, trace_place
from costaudit.ingest.sources.source import NO_CALL, UNREADABLE_COUNTS, Outcome, PerRecord, no_call
from costaudit.providers.names import provider_named

PARENT = Skip("not-a-call", "Its counts are a sum; the calls within it have their own records.")


def _named(call: Call, provider: str | None, model: str | None) -> Call:
    """Set the provider that bills a call, and the model if the bodies don't name it."""
    prefix, bare = split_model(model or "")
    call.model = call.model or bare or None
    guess = prefix or (provider_of_model(call.model) if call.model else None)
    call.provider = provider_named(provider) if provider else guess or call.provider
    return call


def _checked(call: Call) -> Call | Skip:
    """Return a Skip for a successful call whose usage can't be read; otherwise the call."""
    return UNREADABLE_COUNTS if call.usage is None and call.status == "ok" else call


def _stated(is_exclusive: bool, is_stated: bool) -> Convention:
    """Return the convention; `is_stated` says that the record itself states it."""
    if is_stated:
        return "exclusive as stated" if is_exclusive else "inclusive as stated"
    return "exclusive" if is_exclusive else "inclusive"


class PostHog(PerRecord):
    """Read $ai_generation and $ai_embedding events.

    $ai_cache_reporting_exclusive says whether input excludes cached tokens; without it, that is
    assumed for Anthropic only.
    """

    name: ClassVar[str] = "posthog"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        is_ai = isinstance(event := record.get("event"), str) and event.startswith("$ai_")
        return f"event = {event!r}" if is_ai and "properties" in record else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one event."""
        kind, told = record.text("event"), record.inner("properties")
        place = told.text("$ai_span_id", "$ai_generation_id"), told.text("$ai_parent_id")
        if kind not in ("$ai_generation", "$ai_embedding"):
            return no_call(NO_CALL, *place)
        provider, model = told.text("$ai_provider"), told.text("$ai_model")
        exclusive = told.truth("$ai_cache_reporting_exclusive")
        is_stated = exclusive is not None
        if exclusive is None:
            exclusive = (provider or "").lower() == "anthropic"
        latency = told.number("$ai_latency")
        call = Call(
            ts_us=record.time_us("timestamp"),
            span=place[0],
            within=place[1],
            kind="embedding" if kind == "$ai_embedding" else "chat",
            user=record.text("distinct_id"),
            conversation=told.text("$ai_session_id", "$ai_trace_id"),
            prompt=prompt_from(told.value("$ai_input"), tools=told.value("$ai_tools")),
            answer=answer_from(told.value("$ai_output_choices", "$ai_output")),
            latency_ms=None if latency is None else latency * 1_000,
            http_status=told.integer("$ai_http_status"),
        )
        counts = counts_among(told.values, "$ai_")
        add_counts(call, counts, _stated(exclusive, is_stated), trust_total=False)
        log_cost(call, told.values.get("$ai_total_cost_usd"), told.values)
        if told.truth("$ai_is_error") or (call.http_status or 200) >= 400:
            call.status, call.error = "error", f"http_{call.http_status or 'error'}"
        return _checked(_named(call, provider, model))


class MLflow(PerRecord):
    """Read MLflow's spans, whose attributes are JSON text; `unwrap` splits traces into spans."""

    name: ClassVar[str] = "mlflow"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        attributes = record.get("attributes")
        if isinstance(attributes, dict):
            return next((f"attributes.{k}" for k in attributes if k.startswith("mlflow.")), "")
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one span."""
        told = Fields({k: Fields({"v": v}).value("v") for k, v in
                       record.inner("attributes").values.items()})  # fmt: skip
        place = trace_place(record)
        if told.text("mlflow.spanType") not in ("CHAT_MODEL", "LLM", "EMBEDDING"):
            return no_call(NO_CALL, *place)
        if record.truth("has_call_within"):
            return no_call(PARENT, *place)
        call = call_from(told.value("mlflow.spanInputs"), told.value("mlflow.spanOutputs"))
        call = call or Call(
            prompt=prompt_from(told.value("mlflow.spanInputs")),
            answer=answer_from(told.value("mlflow.spanOutputs")),
        )
        start, end = record.time_us("start_time_unix_nano"), record.time_us("end_time_unix_nano")
        call.native_id = call.native_id or record.text("span_id")
        call.span, call.within = place
        call.ts_us, call.latency_ms = start, span_ms(start, end)
        call.kind = "embedding" if told.text("mlflow.spanType") == "EMBEDDING" else call.kind
        shape = told.text("mlflow.message.format") or ""
        if call.usage is None:
            is_apart = shape in ("anthropic", "bedrock")
            counts = told.inner("mlflow.chat.tokenUsage")
            add_counts(call, counts.values, "anthropic" if is_apart else "inclusive")
        if str(record.inner("status").values.get("code")).endswith("ERROR"):
            call.status, call.error = "error", "error"
        return _checked(_named(call, None, told.text("mlflow.llm.model")))


class Datadog(PerRecord):
    """Read Datadog's LLM Observability spans; costs are in billionths of a dollar."""

    name: ClassVar[str] = "datadog"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        told = record.get("attributes", record)
        if isinstance(told, dict) and "span_kind" in told and "ml_app" in told:
            return "span_kind, ml_app"
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one span."""
        told = record.inner("attributes") or record
        place = trace_place(told)
        if told.text("span_kind") not in ("llm", "embedding"):
            return no_call(NO_CALL, *place)
        counts, length = told.inner("metrics"), told.number("duration")
        call = Call(
            native_id=told.text("span_id"),
            span=place[0],
            within=place[1],
            ts_us=told.time_us("start_ns"),
            kind="embedding" if told.text("span_kind") == "embedding" else "chat",
            endpoint=told.text("ml_app"),
            conversation=told.text("session_id"),
            prompt=prompt_from(told.inner("input").value("messages", "value")),
            answer=answer_from(told.inner("output").value("messages", "value")),
            latency_ms=None if length is None else length / 1e6,
        )
        own = {name: value for name, value in counts.values.items() if "cost" not in name}
        add_counts(call, own, "inclusive", trust_total=False)
        nanodollars = decimal_of(counts.values.get("estimated_total_cost"))
        if nanodollars is not None:
            log_cost(call, f"{float(nanodollars) / 1e9:.12f}", counts.values)
        if told.text("status") == "error":
            call.status, call.error = "error", "error"
        return _checked(_named(call, told.text("model_provider"), told.text("model_name")))


class Braintrust(PerRecord):
    """Read Braintrust's spans; prompt_tokens includes cached tokens."""

    name: ClassVar[str] = "braintrust"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = ("span_attributes", "root_span_id", "metrics")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one span."""
        parents = [each for each in record.items("span_parents") if isinstance(each, str)]
        place = record.text("span_id"), parents[0] if parents else None
        if record.inner("span_attributes").text("type") != "llm":
            return no_call(NO_CALL, *place)
        counts, about = record.inner("metrics"), record.inner("metadata")
        start = counts.time_us("start")
        wait = counts.number("time_to_first_token")
        call = Call(
            native_id=record.text("span_id"),
            span=place[0],
            within=place[1],
            ts_us=start or record.time_us("created"),
            prompt=prompt_from(record.value("input"), tools=about.value("tools")),
            answer=answer_from(record.value("output")),
            latency_ms=span_ms(start, counts.time_us("end")),
            ttft_ms=None if wait is None else wait * 1_000,
            tags=tuple(tag for tag in record.items("tags") if isinstance(tag, str)),
        )
        add_counts(call, counts.values, "inclusive", trust_total=False)
        log_cost(call, counts.values.get("estimated_cost"), counts.values)
        if record.value("error") is not None:
            call.status, call.error = "error", "error"
        return _checked(_named(call, about.text("provider"), about.text("model")))


class Opik(PerRecord):
    """Read Opik's spans; the provider's own counts are in original_usage."""

    name: ClassVar[str] = "opik"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = {"trace_id", "parent_span_id", "name", "type", "start_time"}
        is_span = keys <= record.keys() and record["type"] in (
            "llm",
            "general",
            "tool",
            "guardrail",
        )
        return ", ".join(sorted(keys)) if is_span else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one span."""
        place = record.text("id"), record.text("parent_span_id")
        if record.text("type") != "llm":
            return no_call(NO_CALL, *place)
        counts = record.inner("usage")
        own = nested(counts.values, "original_usage")
        own = Fields(own if isinstance(own, dict) else counts.values)
        is_apart = own.has("cache_read_input_tokens") and own.has("input_tokens")
        start = record.time_us("start_time")
        call = Call(
            native_id=record.text("id"),
            span=place[0],
            within=place[1],
            ts_us=start,
            prompt=prompt_from(record.value("input")),
            answer=answer_from(record.value("output")),
            latency_ms=span_ms(start, record.time_us("end_time")),
        )
        add_counts(call, own.values, "anthropic" if is_apart else "openai")
        log_cost(call, record.values.get("total_estimated_cost"), record.values)
        if record.inner("error_info"):
            call.status, call.error = "error", "error"
        return _checked(_named(call, record.text("provider"), record.text("model")))


class Weave:
    """Read W&B Weave's calls; an op without usage in its output repeats its children's usage."""

    name: ClassVar[str] = "weave"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._sums: dict[str, list[tuple[Key, Fields]]] = {}  # trace → ops without their own usage
        self._traces: set[str] = set()  # traces that have a call with usage

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = ("op_name", "trace_id", "started_at")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def parse(self, record: Record) -> Iterable[Outcome]:
        """See Source."""
        key, value = (record.offset, record.index), parse_lenient(bytes(record.data))
        if not isinstance(value, dict):
            return [(key, NOT_A_CALL)]
        line = Fields(value)
        trace = line.text("trace_id") or f"line {key}"
        if line.inner("output").inner("usage", "usageMetadata", "usage_metadata"):
            self._traces.add(trace)
            call = call_from(line.value("inputs"), line.value("output")) or Call()
            return [self._told(key, call, line)]
        self._sums.setdefault(trace, []).append((key, line))
        return ()

    def _told(self, key: Key, call: Call, line: Fields) -> Outcome:
        start = line.time_us("started_at")
        call.span, call.within = line.text("id"), line.text("parent_id")
        call.same_as = f"weave {line.text('id')}"
        call.ts_us, call.latency_ms = start, span_ms(start, line.time_us("ended_at"))
        call.user = call.user or line.text("wb_user_id")
        if line.value("exception") is not None:
            call.status, call.error = "error", "error"
        found = _checked(_named(call, None, None))
        return Kept(key, found) if isinstance(found, Call) else (key, found)

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for trace, ops in self._sums.items():
            parents = {line.text("parent_id") for _, line in ops}
            for key, line in ops:
                sums = line.inner("summary").inner("usage")
                place = line.text("id"), line.text("parent_id")
                if not sums:
                    yield key, no_call(NO_CALL, *place)
                elif trace in self._traces or place[0] in parents or len(sums.values) > 1:
                    yield key, no_call(PARENT, *place)
                else:
                    model = next(iter(sums.values))
                    call = Call(model=model)
                    add_counts(call, sums.inner(model).values, "openai")
                    yield self._told(key, call, line)


class Phoenix(PerRecord):
    """Read Phoenix's data frames, whose column names are flattened attribute names."""

    name: ClassVar[str] = "phoenix"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        starts = ("attributes.openinference.", "attributes.llm.", "attributes.embedding.")
        return next((key for key in record if key.startswith(starts)), "")

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        found: dict[str, Any] = {}
        for key, value in record.values.items():
            if key.startswith("attributes.") and value is not None:
                _exploded(found, key.removeprefix("attributes."), value)
        kind = record.text("span_kind", "attributes.openinference.span.kind") or ""
        if kind.upper() not in ("LLM", "EMBEDDING"):
            return no_call(NO_CALL, *trace_place(record))
        span = {**record.values, "span_id": record.values.get("context.span_id")}
        return _checked(call_of_span(Fields(span), Fields(found), Fields({})))


def _exploded(found: dict[str, Any], name: str, value: Any, depth: int = 0) -> None:
    """Flatten a list of messages into `name.0.message.role` and so on, as spans do."""
    if isinstance(value, list) and all(isinstance(each, dict) for each in value) and depth < 8:
        for place, each in enumerate(value):
            for key, inner in each.items():
                _exploded(found, f"{name}.{place}.{key}", inner, depth + 1)
    else:
        found[name] = value


class Kong(PerRecord):
    """Read the access log of Kong's AI gateway."""

    name: ClassVar[str] = "kong"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for name, each in Fields(record).inner("ai").values.items():
            if isinstance(each, dict) and "meta" in each and "usage" in each:
                return f"ai.{name}.meta, ai.{name}.usage"
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one line; if several plugins are logged, use the first one with usage."""
        ai = record.inner("ai")
        proxy = next((p for name in ai.values if (p := ai.inner(name)).inner("usage")), Fields({}))
        if not proxy:
            return NO_CALL
        meta, payload, used = proxy.inner("meta"), proxy.inner("payload"), proxy.inner("usage")
        call = call_from(payload.value("request"), payload.value("response")) or Call()
        if call.usage is None:
            add_counts(call, used.values, "openai")
        call.ts_us = record.time_us("started_at") or call.ts_us
        call.latency_ms = meta.number("llm_latency")
        call.ttft_ms = used.number("time_to_first_token")
        call.tenant = record.inner("consumer").text("username", "id") or call.tenant
        call.endpoint = record.inner("request").text("uri") or call.endpoint
        call.http_status = record.inner("response").integer("status")
        log_cost(call, used.values.get("cost"), used.values)
        if (call.http_status or 200) >= 400:
            call.status, call.error = "error", f"http_{call.http_status}"
        if proxy.inner("cache").text("cache_status") == "Hit":
            call.served_by = "gateway_cache"
        model = meta.text("response_model", "request_model")
        return _checked(_named(call, meta.text("provider_name"), model))
