"""Batches, stored completions and request logs of providers, and their usage and cost reports."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, ClassVar

from costaudit.contracts.audit import TOTALS
from costaudit.ingest.calls.bodies import ErrorBody
from costaudit.ingest.calls.call import Call, Kept, Key, Prompt, Record, Skip
from costaudit.ingest.calls.exchange import error_type
from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.calls.json_repair import parse_lenient
from costaudit.ingest.calls.names import labels_in
from costaudit.ingest.calls.pair import NOT_A_CALL, read_pair
from costaudit.ingest.calls.streamed import joined_chunks
from costaudit.ingest.calls.untyped import call_from, encoded
from costaudit.ingest.sources.source import Outcome, PerRecord

INPUT = ("custom_id", "method", "url", "body")
OUTPUT = ("custom_id", "response", "error")


class OpenAIBatch(PerRecord):
    """Read OpenAI's batch files; requests and responses are joined by custom_id."""

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


class AnthropicBatch(PerRecord):
    """Read batches of Claude; requests and results are joined by custom_id."""

    name: ClassVar[str] = "anthropic_batch"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        result = record.get("result")
        if "custom_id" not in record:
            return ""
        if isinstance(result, dict) and "type" in result:
            return "custom_id, result.type"
        if all(isinstance(record.get(name), dict) for name in ("request", "response")):
            is_message = record["response"].get("type") == "message"
            return "custom_id, request, response of Claude on Vertex AI" if is_message else ""
        return "custom_id, params" if isinstance(record.get("params"), dict) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read a request, a result, or both in one record."""
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
        elif record.has("request", "response"):
            call = call_from(record.value("request"), record.value("response")) or Call()
        else:
            return NOT_A_CALL
        call.is_batch = True
        call.provider = call.provider or "anthropic"
        call.endpoint = "/v1/messages/batches"
        call.join_key = None if custom_id is None else f"anthropic batch {custom_id}"
        return call


MESSAGE_ID = re.compile(r"(chatcmpl-.+)-(\d+)")  # completion id, position in its prompt


class OpenAIStored:
    """Read completions stored by OpenAI; their prompts are joined by the completion's id."""

    name: ClassVar[str] = "openai_stored"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._asked: dict[str, list[tuple[int, Key, bytes]]] = {}  # completion → prompt messages

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if record.get("object") == "chat.completion" and "input_user" in record:
            return 'object = "chat.completion", input_user'
        return "content_parts, id of a completion" if _message_id(record) else ""

    def parse(self, record: Record) -> Iterable[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        if not isinstance(value, dict):
            return [(key, NOT_A_CALL)]
        place = _message_id(value)
        if place is not None:
            content = value.get("content") or value.get("content_parts")
            message = encoded({**value, "content": content})
            self._asked.setdefault(place[1], []).append((int(place[2]), key, message))
            return ()
        found = _completion(Fields(value))
        return [Kept(key, found) if isinstance(found, Call) else (key, found)]

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for completion, messages in self._asked.items():
            _, (first, *others), contents = zip(*sorted(messages), strict=True)
            asked = Call(
                half="request", join_key=_join_key(completion), prompt=Prompt(messages=contents)
            )
            yield Kept(first, asked, [(key, "part") for key in others])


def _message_id(record: dict[str, Any]) -> re.Match[str] | None:
    own = record.get("id")
    if "role" not in record or "content_parts" not in record or not isinstance(own, str):
        return None
    return MESSAGE_ID.fullmatch(own)


def _join_key(completion: str) -> str:
    return f"openai stored {completion}"


def _completion(record: Fields) -> Call | Skip:
    call = call_from(None, record.values)
    if call is None:
        return NOT_A_CALL
    labels = labels_in(record.inner("metadata").values)
    call.user = record.text("input_user") or labels.user
    call.tenant, call.conversation = labels.tenant, labels.conversation
    call.endpoint = labels.endpoint or call.endpoint
    call.temperature = record.number("temperature")
    tools = record.items("tools")
    if tools:
        call.prompt = Prompt(tools=encoded(tools))
    if call.native_id:
        call.half, call.join_key = "response", _join_key(call.native_id)
    return call


FAILED_ROW = Skip("not-a-call", "The batch refused this row, which costs nothing.")


class VertexLog(PerRecord):
    """Read Vertex AI's request-response log, exported from BigQuery."""

    name: ClassVar[str] = "vertex_log"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for keys in (("full_request", "full_response"), ("request_payload", "response_payload")):
            if all(key in record for key in (*keys, "logging_time")):
                return ", ".join((*keys, "logging_time"))
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        request = record.value("full_request") or _first(record, "request_payload")
        response = record.value("full_response") or _first(record, "response_payload")
        if isinstance(response, list):
            response = joined_chunks(response)
        call = call_from(request, response)
        if call is None:
            return NOT_A_CALL
        call.native_id = call.native_id or record.text("request_id")
        moment = (record.text("logging_time") or "").removesuffix(" UTC")
        call.ts_us = Fields({"t": moment}).time_us("t") or call.ts_us
        call.model = call.model or (record.text("model") or "").rpartition("/")[2] or None
        call.endpoint = record.text("endpoint") or call.endpoint
        call.latency_ms = record.inner("metadata").number("request_latency")
        return call


def _first(record: Fields, name: str) -> Any:
    found = record.items(name)
    return Fields({"v": found[0]}).value("v") if found else None


class GeminiBatch(PerRecord):
    """Read batch results of the Gemini API and of Vertex AI."""

    name: ClassVar[str] = "gemini_batch"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if "processed_time" in record and isinstance(record.get("request"), dict):
            return "processed_time, request" if "contents" in record["request"] else ""
        if not {"key"} <= record.keys() <= {"key", "response", "error", "request", "metadata"}:
            return ""
        response = record.get("response")
        if isinstance(response, dict) and {"candidates", "usageMetadata"} & response.keys():
            return "key, response"
        return "key, error" if isinstance(record.get("error"), dict) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        if not record.inner("response"):
            return FAILED_ROW
        found = read_pair(encoded({k: v for k, v in record.values.items() if k != "status"}))
        if isinstance(found, Call):
            found.is_batch = True
        return found


REPORT_COLUMNS = (  # columns that identify a provider's usage or cost report
    ("start_time_iso", "amount_value", "amount_currency"),  # OpenAI's dashboard
    ("start_time_iso", "num_model_requests", "input_tokens"),
    ("usage_date_utc", "usage_input_tokens_no_cache"),  # Anthropic's console
    ("usage_date_utc", "cost_usd"),
    ("ChargePeriodStart", "BilledCost", "BillingCurrency"),  # FOCUS
    ("lineItem/UsageStartDate", "lineItem/UnblendedCost"),  # AWS
    ("MeterName", "CostInBillingCurrency"),  # Azure
    ("MeterName", "PreTaxCost"),
)


@lru_cache(1024)
def report_columns(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that identify a usage or cost report; () for any other table."""
    names = {plain_name(name) for name in columns}
    for shown in REPORT_COLUMNS:
        if names >= {plain_name(name) for name in shown}:
            return shown
    return ()


def plain_name(column: str) -> str:
    """Return a column's name in lower case, with letters a-z and digits only."""
    return re.sub(r"[^a-z0-9]", "", column.lower())


class DailyTotals(PerRecord):
    """Recognise the usage and cost reports of providers, which are not calls."""

    name: ClassVar[str] = TOTALS

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        kind = str(record.get("object"))
        if kind.startswith(("organization.usage.", "organization.costs.")) or kind == "bucket":
            return f"object = {kind!r}: daily totals, not calls"
        if "starting_at" in record and "ending_at" in record:
            return "starting_at, ending_at: daily totals, not calls"
        if "TimePeriod" in record and {"Groups", "Total"} & record.keys():
            return "TimePeriod, Groups: daily totals, not calls"
        if {"amount", "currency", "cost_type"} <= record.keys():
            return "amount, currency, cost_type: daily totals, not calls"
        if {"uncached_input_tokens", "cache_creation", "context_window"} <= record.keys():
            return "uncached_input_tokens, context_window: daily totals, not calls"
        shown = report_columns(tuple(record))
        return f"{', '.join(shown)}: daily totals, not calls" if shown else ""

    def read(self, record: Fields) -> Call | Skip:
        """Return a Skip: a total is not a call."""
        return Skip("daily-totals", "It is a total of a usage or cost report, not a call.")
