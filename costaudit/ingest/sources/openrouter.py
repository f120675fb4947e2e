"""OpenRouter's generations and activity, and Vercel's generations, which look alike."""

from typing import Any, ClassVar

from costaudit.ingest.call import Call, Skip, Usage
from costaudit.ingest.exchange import FINISH
from costaudit.ingest.fields import Fields
from costaudit.ingest.loose import answer_from, prompt_from
from costaudit.ingest.sources.per_record import PerRecord
from costaudit.ingest.usage import decimal_of, plausible

VERCEL = ("native_tokens_cache_creation", "billable_web_search_calls")


class OpenRouter(PerRecord):
    """Read one generation per record, by the native token counts that are billed."""

    name: ClassVar[str] = "openrouter"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if "native_tokens_prompt" in record:
            return "native_tokens_prompt"
        keys = ("generation_id", "model_permaslug")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one generation."""
        is_vercel = any(key in record.values for key in VERCEL)
        call = Call(
            native_id=record.text("upstream_id", "id", "generation_id"),
            ts_us=record.time_us("created_at"),
            provider="vercel" if is_vercel else "openrouter",
            model=record.text("model", "model_permaslug"),
            service_tier=record.text("service_tier"),
            region=record.text("data_region"),
            endpoint=record.text("app_name", "origin", "api_type"),
            tenant=record.text("workspace_id", "api_key_name", "app_id"),
            user=record.text("external_user", "user"),
            conversation=record.text("session_id"),
            stream=record.truth("streamed"),
            usage=plausible(_usage(record, is_vercel)),
            finish_reason=record.text("finish_reason", "finish_reason_normalized"),
        )
        own_id = record.text("id", "generation_id")
        call.same_as = f"openrouter {own_id}" if own_id else None
        call.finish_reason = FINISH.get(call.finish_reason or "", call.finish_reason)
        if is_vercel:  # the same name means the time to the first token there
            call.ttft_ms = record.number("latency")
            call.latency_ms = record.number("generation_time")
        else:
            call.latency_ms = record.number("latency", "generation_time_ms", "generation_time")
            call.ttft_ms = record.number("time_to_first_token_ms")
        _add_cost(call, record)
        if record.value("response_cache_source_id") is not None:
            call.served_by = "gateway_cache"
        content = record.inner("input")
        if content:
            call.prompt = prompt_from(content.values)
            call.answer = answer_from(record.inner("output").value("completion"))
        if record.value("error") is not None:
            call.status, call.error = "error", "error"
        return call


def _usage(record: Fields, is_vercel: bool) -> Usage:
    return Usage(
        "vercel" if is_vercel else "openrouter",
        input=record.integer("native_tokens_prompt", "tokens_prompt"),
        output=record.integer("native_tokens_completion", "tokens_completion"),
        cache_read=record.integer("native_tokens_cached", "tokens_cached"),
        cache_write_other=record.integer("native_tokens_cache_creation") or 0,
        reasoning=record.integer("native_tokens_reasoning", "tokens_reasoning") or 0,
        source="gateway",
    )


def _add_cost(call: Call, record: Fields) -> None:
    names: tuple[str, ...] = ("total_cost", "cost_total", "usage")
    if record.truth("is_byok"):  # the gateway's fee is not the provider's bill
        names = ("upstream_inference_cost", *names)
    cost = record.text(*names)
    if cost is None and (number := record.number(*names)) is not None:
        cost = str(next(record.values[n] for n in names if record.number(n) == number))
    call.logged_cost = decimal_of(cost)
    call.cost_unit = "usd" if call.logged_cost is not None else None
