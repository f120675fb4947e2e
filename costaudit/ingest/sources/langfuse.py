"""Langfuse observations: the UI's export, the blob storage export, and the API."""

from typing import Any, ClassVar

from costaudit.ingest.call import Call, Skip, Usage
from costaudit.ingest.fields import Fields
from costaudit.ingest.labels import labels_in
from costaudit.ingest.loose import answer_from, prompt_from
from costaudit.ingest.models import provider_named, provider_of_model, split_model
from costaudit.ingest.sources.per_record import PerRecord
from costaudit.ingest.times import span_ms
from costaudit.ingest.usage import decimal_of, plausible

CALLS = ("GENERATION", "EMBEDDING")
READ = ("input_cached_tokens", "input_cache_read", "cache_read_input_tokens",
        "cached_content_token_count")  # fmt: skip
WRITE_5M = ("input_cache_creation_5m",)
WRITE_1H = ("input_cache_creation_1h",)
WRITE = ("input_cache_creation", "cache_creation_input_tokens", "input_cache_write_tokens",
         "input_cache_write", "cache_write_tokens")  # fmt: skip
REASONING = ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens",
             "thoughts_token_count", "thoughtsTokenCount")  # fmt: skip
CACHE = frozenset((*READ, *WRITE_5M, *WRITE_1H, *WRITE))
NO_CALL = Skip("not-a-call", "It is a span, an event or a trace, whose calls stand by themselves.")


class Langfuse(PerRecord):
    """Read generations and embeddings; spans and agents repeat what their children cost."""

    name: ClassVar[str] = "langfuse"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for keys in (
            ("traceId", "usageDetails"),
            ("trace_id", "usage_details"),
            ("traceId", "internalModelId"),
            ("traceId", "parentObservationId"),
            ("trace_id", "parent_observation_id"),
        ):
            if all(key in record for key in keys):
                return ", ".join(keys)
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one observation."""
        kind = record.text("type")
        if kind not in CALLS:
            return NO_CALL
        metadata = record.inner("metadata")
        provider, model = split_model(
            record.text("model", "provided_model_name", "providedModelName") or ""
        )
        named = metadata.text("ls_provider", "provider")
        start = record.time_us("startTime", "start_time")
        call = Call(
            same_as=f"langfuse {record.text('id')}" if record.text("id") else None,
            ts_us=start,
            provider=provider_named(named) if named else provider or provider_of_model(model),
            model=model or None,
            kind="embedding" if kind == "EMBEDDING" else "chat",
            prompt=prompt_from(
                record.value("input"), tools=record.items("tool_definitions", "toolDefinitions")
            ),
            answer=answer_from(record.value("output")),
            latency_ms=_ms(record.number("latency")),
            ttft_ms=_ms(record.number("timeToFirstToken", "time_to_first_token")),
            updated_us=record.time_us("updatedAt", "updated_at"),
        )
        output = record.inner("output")
        call.native_id = output.text("id") or metadata.text("response_id") or record.text("id")
        if call.latency_ms is None:
            call.latency_ms = span_ms(start, record.time_us("endTime", "end_time"))
        parameters = record.inner("modelParameters", "model_parameters")
        call.temperature = parameters.number("temperature")
        _add_origin(call, record, metadata)
        _add_usage(call, record)
        call.logged_cost = decimal_of(_cost(record))
        call.cost_unit = "usd" if call.logged_cost is not None else None
        if record.text("level") == "ERROR":
            call.status, call.error = "error", "error"
        return call


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1_000


def _cost(record: Fields) -> Any:
    return record.value("totalCost", "total_cost", "calculatedTotalCost") or record.inner(
        "costDetails", "cost_details"
    ).value("total")


def _add_origin(call: Call, record: Fields, metadata: Fields) -> None:
    labels = labels_in(metadata.values)
    call.user = record.text("userId", "user_id") or labels.user
    call.conversation = record.text("sessionId", "session_id") or labels.conversation
    call.tenant = labels.tenant or record.text("projectId", "project_id")
    call.endpoint = labels.endpoint or record.text("name", "traceName", "trace_name")
    if call.conversation is None:
        call.conversation = record.text("traceId", "trace_id")


def _add_usage(call: Call, record: Fields) -> None:
    details = record.inner("usageDetails", "usage_details")
    if not details:
        details = record.inner("usage")
    if not details:
        return
    call.usage = plausible(read_usage(details))
    provided = record.inner("providedUsageDetails", "provided_usage_details")
    is_known = "providedUsageDetails" in record.values or "provided_usage_details" in record.values
    if call.usage is not None and is_known and not provided:
        call.usage.source = "estimated"


def read_usage(details: Fields) -> Usage:
    """Read usage details, whose keys are free: by convention, or raw as an SDK sent them."""
    if details.has("prompt_tokens"):
        return Usage(
            "openai",
            input=details.integer("prompt_tokens"),
            output=details.integer("completion_tokens"),
            cache_read=None,
        )
    sent = [
        details.integer(key) or 0
        for key in details.values
        if (key == "input" or key.startswith("input_")) and key not in CACHE
    ]
    other_outputs = [
        details.integer(key) or 0
        for key in details.values
        if key.startswith("output") and key not in REASONING
    ]
    return Usage(
        "langfuse",
        input=sum(sent) if sent else None,
        output=sum(other_outputs) if other_outputs else None,
        cache_read=details.integer(*READ) or 0,
        cache_write_5m=details.integer(*WRITE_5M) or 0,
        cache_write_1h=details.integer(*WRITE_1H) or 0,
        cache_write_other=details.integer(*WRITE) or 0,
        reasoning=details.integer(*REASONING) or 0,
        total=details.integer("total"),
    )
