"""Anthropic's Message Batches: requests and results."""

from typing import Any, ClassVar

from costaudit.ingest.call import Call, Skip
from costaudit.ingest.fields import Fields
from costaudit.ingest.loose import call_from
from costaudit.ingest.pair import NOT_A_CALL
from costaudit.ingest.sources.per_record import PerRecord


class AnthropicBatch(PerRecord):
    """Read both halves of a batch; they are joined by their custom id."""

    name: ClassVar[str] = "anthropic_batch"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        result = record.get("result")
        if "custom_id" not in record:
            return ""
        if isinstance(result, dict) and "type" in result:
            return "custom_id, result.type"
        return "custom_id, params" if isinstance(record.get("params"), dict) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read a request or a result."""
        custom_id = record.text("custom_id")
        result = record.inner("result")
        if record.has("params"):
            call = call_from(record.value("params"), None) or Call()
            call.half = "request"
        elif result:
            call = call_from(None, result.value("message")) or Call()
            call.half = "response"
            kind = result.text("type")
            if kind != "succeeded":
                call.status = "error"
                call.error = result.inner("error").inner("error").text("type") or kind or "error"
        else:
            return NOT_A_CALL
        call.is_batch = True
        call.provider = call.provider or "anthropic"
        call.endpoint = "/v1/messages/batches"
        call.join_key = None if custom_id is None else f"anthropic batch {custom_id}"
        return call
