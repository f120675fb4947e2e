"""OpenAI's Batch interface: input files, output files and error files."""

from typing import Any, ClassVar

from costaudit.ingest.bodies import ErrorBody
from costaudit.ingest.call import Call, Skip
from costaudit.ingest.exchange import error_type
from costaudit.ingest.fields import Fields
from costaudit.ingest.loose import call_from
from costaudit.ingest.sources.per_record import PerRecord

INPUT = ("custom_id", "method", "url", "body")
OUTPUT = ("custom_id", "response", "error")


class OpenAIBatch(PerRecord):
    """Read both halves of a batch; they are joined by their custom id."""

    name: ClassVar[str] = "openai_batch"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for keys in (INPUT, OUTPUT):
            if all(key in record for key in keys):
                return ", ".join(keys)
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read a line of an input, output or error file."""
        custom_id = record.text("custom_id")
        if record.has("body"):
            call = call_from(record.value("body"), None) or Call()
            call.endpoint = record.text("url") or call.endpoint
            call.half = "request"
        else:
            response = record.inner("response")
            call = call_from(None, response.value("body")) or Call()
            call.http_status = response.integer("status_code")
            call.half = "response"
            _add_failure(call, record, response)
        call.is_batch = True
        call.provider = call.provider or "openai"
        call.join_key = None if custom_id is None else f"openai batch {custom_id}"
        return call


def _add_failure(call: Call, record: Fields, response: Fields) -> None:
    error = record.inner("error") or response.inner("body").inner("error")
    if error or (call.http_status or 200) >= 400:
        call.status = "error"
        call.error = error_type(ErrorBody(error.text("type"), error.text("code")))
