"""LangSmith runs: JSON of the SDK, or the Parquet of a bulk export."""

from collections.abc import Iterator
from typing import Any, ClassVar

from costaudit.ingest.call import Call, Skip, Usage
from costaudit.ingest.exchange import FINISH
from costaudit.ingest.fields import Fields
from costaudit.ingest.labels import CONVERSATION, labels_in
from costaudit.ingest.loose import answer_from, prompt_from
from costaudit.ingest.models import provider_named, provider_of_model
from costaudit.ingest.sources.per_record import PerRecord
from costaudit.ingest.times import span_ms
from costaudit.ingest.usage import decimal_of, plausible

NO_CALL = Skip("not-a-call", "It is a chain, a tool or a retriever, which repeats its children.")


class LangSmith(PerRecord):
    """Read runs of type llm; chains repeat the totals of their children."""

    name: ClassVar[str] = "langsmith"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for keys in (("run_type", "dotted_order"), ("run_type", "trace_id")):
            if all(key in record for key in keys):
                return ", ".join(keys)
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one run."""
        if record.text("run_type") != "llm":
            return NO_CALL
        metadata = record.inner("extra").inner("metadata")
        parameters = record.inner("extra").inner("invocation_params")
        inputs, outputs = record.inner("inputs"), record.inner("outputs")
        model = metadata.text("ls_model_name") or parameters.text("model", "model_name")
        provider = metadata.text("ls_provider")
        start, end = record.time_us("start_time"), record.time_us("end_time")
        call = Call(
            same_as=f"langsmith {record.text('id')}" if record.text("id") else None,
            native_id=outputs.text("id") or record.text("id"),
            ts_us=start,
            provider=provider_named(provider) if provider else provider_of_model(model or ""),
            model=model,
            kind="embedding" if metadata.text("ls_model_type") == "embedding" else "chat",
            prompt=prompt_from(
                inputs.values or None, tools=parameters.value("tools") or inputs.value("tools")
            ),
            answer=answer_from(outputs.values) if outputs else b"",
            temperature=parameters.number("temperature") or metadata.number("ls_temperature"),
            latency_ms=span_ms(start, end),
            ttft_ms=span_ms(start, record.time_us("first_token_time")),
            finish_reason=_finish(outputs),
        )
        call.truncated = bool(record.value("inputs_s3_urls")) and not inputs
        labels = labels_in(metadata.values)
        call.user, call.tenant = labels.user, labels.tenant or record.text("tenant_id")
        call.conversation = metadata.text(*CONVERSATION)
        call.endpoint = labels.endpoint or record.text("name")
        call.usage = next((u for u in _usages(record, metadata, outputs) if u is not None), None)
        call.logged_cost = decimal_of(record.values.get("total_cost"))
        call.cost_unit = "usd" if call.logged_cost is not None else None
        if record.text("status") == "error" or record.text("error"):
            call.status, call.error = "error", "error"
        return call


def _finish(outputs: Fields) -> str | None:
    first = next(iter(outputs.items("choices")), None)
    reason = Fields(first).text("finish_reason") if isinstance(first, dict) else None
    return FINISH.get(reason or "", reason)


def _usages(record: Fields, metadata: Fields, outputs: Fields) -> Iterator[Usage | None]:
    """Read every place where the counts may stand; the richest one first."""
    detailed = [outputs.inner("usage_metadata"), metadata.inner("usage_metadata")]
    yield from (_usage(u) for u in sorted(detailed, key=lambda u: not u.has("input_token_details")))
    yield plausible(
        Usage(
            "langsmith",
            input=record.integer("prompt_tokens"),
            output=record.integer("completion_tokens"),
            cache_read=record.inner("prompt_token_details").integer("cache_read"),
            total=record.integer("total_tokens"),
            source="gateway",
        )
    )


def _usage(usage: Fields) -> Usage | None:
    details = usage.inner("input_token_details")
    outward = usage.inner("output_token_details")
    short = details.integer("ephemeral_5m_input_tokens") or 0
    long = details.integer("ephemeral_1h_input_tokens", "ephemeral_1hr_input_tokens") or 0
    created = details.integer("cache_creation") or 0
    return plausible(
        Usage(
            "langsmith",
            input=usage.integer("input_tokens"),
            output=usage.integer("output_tokens"),
            cache_read=details.integer("cache_read", "priority_cache_read", "flex_cache_read")
            or (0 if details else None),
            cache_write_5m=short,
            cache_write_1h=long,
            cache_write_other=max(created - short - long, 0),
            reasoning=outward.integer("reasoning") or 0,
            total=usage.integer("total_tokens"),
        )
    )
