"""AWS Bedrock's model invocation log, from S3 or CloudWatch, and its batches."""

import gzip
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from costaudit.ingest.calls.call import Call, Skip
from costaudit.ingest.calls.exchange import FINISH, add_counts
from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.calls.json_repair import UnreadableError, parse_lenient
from costaudit.ingest.calls.names import bedrock_model, labels_in
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.calls.streamed import joined_events
from costaudit.ingest.calls.untyped import answer_from, call_from, encoded, prompt_from
from costaudit.ingest.calls.usage import counts_among
from costaudit.ingest.sources.source import PerRecord

EMBEDDING = ("embed", "titan-image")
METRICS = "amazon-bedrock-invocationMetrics"


class Bedrock(PerRecord):
    """Read InvokeModel and Converse records; bodies in separate files are read from these."""

    name: ClassVar[str] = "bedrock"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if record.get("schemaType") == "ModelInvocationLog":
            return 'schemaType = "ModelInvocationLog"'
        keys = ("modelId", "operation", "input")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one invocation."""
        model_id = record.text("modelId")
        sent, received = record.inner("input"), record.inner("output")
        if model_id is None:
            return NOT_A_CALL
        request, cut_in = self._body(sent, "input")
        response, cut_out = self._body(received, "output")
        metrics = Fields({})
        if isinstance(response, list):
            metrics = _metrics(response)
            response = joined_events(response)
        call = call_from(request, response) or _plain_call(request, response)
        call.native_id = call.native_id or record.text("requestId")
        call.same_as = record.text("requestId")
        call.provider = "aws"
        call.model = bedrock_model(model_id)
        call.kind = "embedding" if any(word in model_id for word in EMBEDDING) else "chat"
        call.region = record.text("inferenceRegion", "region")
        call.ts_us = record.time_us("timestamp")
        call.truncated = cut_in or cut_out
        if call.usage is None:
            counts = counts_among({**sent.values, **received.values})
            add_counts(call, counts, "bedrock_log")
        call.latency_ms = call.latency_ms or metrics.number("invocationLatency")
        call.ttft_ms = metrics.number("firstByteLatency")
        _add_origin(call, record)
        error = record.text("errorCode")
        if error is not None:
            call.status, call.error = "error", error
        return call

    def _body(self, side: Fields, name: str) -> tuple[Any, bool]:
        """Return a body, from the record or the file that it names, and whether it is missing."""
        body = side.value(f"{name}BodyJson")
        place = side.text(f"{name}BodyS3Path")
        if body is not None or place is None:
            return body, False
        for path in self.body_files(PurePosixPath(place).name):
            try:
                content = path.read_bytes()
                content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
                return parse_lenient(content), False
            except (OSError, EOFError, UnreadableError):
                continue
        return None, True

    def body_files(self, name: str) -> list[Path]:
        """Return the existing files with this name, beside the log or in its data/ folder."""
        folder = Path(self.address).parent if self.address else None
        if folder is None:
            return []
        return [each for each in (folder / name, folder / "data" / name) if each.is_file()]


class BedrockBatch(PerRecord):
    """Read batch inference; the model is known only if the response body names it."""

    name: ClassVar[str] = "bedrock_batch"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = ("recordId", "modelInput")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read a record of an input or output file; both halves are joined by recordId."""
        request, response = record.value("modelInput"), record.value("modelOutput")
        call = call_from(request, response) or _plain_call(request, response)
        call.provider, call.is_batch = "aws", True
        call.endpoint = "CreateModelInvocationJob"
        call.model = bedrock_model(call.model) if call.model else None
        error = record.inner("error")
        if error or response is not None:
            call.half = "response"
        else:
            call.half = "request"
        call.join_key = f"bedrock batch {record.text('recordId')}"
        if error:
            call.status, call.error = "error", f"http_{error.text('errorCode') or 'error'}"
            call.http_status = error.integer("errorCode")
        return call


def _add_origin(call: Call, record: Fields) -> None:
    labels = labels_in(record.inner("requestMetadata").values)
    identity = record.inner("identity").text("arn")
    call.endpoint = labels.endpoint or record.text("operation")
    call.account = record.text("accountId")
    call.tenant = labels.tenant or call.account
    call.user = labels.user or (identity.rpartition("/")[2] if identity else None)
    call.conversation = labels.conversation


def _metrics(events: list[Any]) -> Fields:
    for event in reversed(events):
        if isinstance(event, dict) and isinstance(event.get(METRICS), dict):
            return Fields(event[METRICS])
    return Fields({})


def _plain_call(request: Any, response: Any) -> Call:
    """Read bodies in a model's own format: Titan, Llama, Mistral, Cohere."""
    call = Call()
    if isinstance(request, dict):
        text = Fields(request).text("inputText", "prompt", "message")
        call.prompt = prompt_from(text) if text else None
    if isinstance(response, dict):
        found = Fields(response)
        first = next((r for r in found.items("results", "outputs", "generations")), response)
        inner = Fields(first if isinstance(first, dict) else {})
        text = inner.text("outputText", "text", "generation")
        call.answer = encoded(text) if text is not None else answer_from(found.value("text"))
        finish = inner.text("completionReason", "stop_reason", "finish_reason")
        call.finish_reason = FINISH.get(finish or "", finish)
    return call
