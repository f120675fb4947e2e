"""Azure API Management's log of language model calls (ApiManagementGatewayLlmLog)."""

from collections.abc import Iterable
from typing import Any, ClassVar

from costaudit.ingest.call import Call, Kept, Key, Record, Usage
from costaudit.ingest.fields import Fields
from costaudit.ingest.lenient import parse_lenient
from costaudit.ingest.loose import answer_from, prompt_from
from costaudit.ingest.pair import NOT_A_CALL
from costaudit.ingest.sources.source import Outcome
from costaudit.ingest.usage import plausible


class AzureAPIM:
    """Read calls whose messages may be spread over several records of one correlation id."""

    name: ClassVar[str] = "azure_apim"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._parts: dict[str, list[tuple[Key, Fields]]] = {}

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = ("CorrelationId", "PromptTokens")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def parse(self, record: Record) -> Iterable[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        fields = Fields(value if isinstance(value, dict) else {})
        correlation = fields.text("CorrelationId")
        if correlation is None:
            return [(key, NOT_A_CALL)]
        self._parts.setdefault(correlation, []).append((key, fields))
        return ()

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for correlation, parts in self._parts.items():
            parts.sort(key=lambda part: part[1].integer("SequenceNumber") or 0)
            (key, _), *rest = parts
            fields = [part for _, part in parts]
            yield Kept(key, _call(correlation, fields), [(k, "part") for k, _ in rest])


def _call(correlation: str, parts: list[Fields]) -> Call:
    first = parts[0]
    counts = [
        max((part.integer(name) or 0 for part in parts), default=0)
        for name in ("PromptTokens", "CompletionTokens", "TotalTokens")
    ]
    asked = [m for part in parts for m in part.items("RequestMessages")]
    answered = [m for part in parts for m in part.items("ResponseMessages")]
    call = Call(
        native_id=first.text("RequestId") or correlation,
        same_as=f"azure {correlation}",
        ts_us=first.time_us("TimeGenerated", "TimeGenerated [UTC]"),
        provider="azure",
        model=first.text("ModelName", "DeploymentName"),
        region=first.text("Region"),
        endpoint=first.text("ApiId", "DeploymentName", "OperationName"),
        tenant=first.text("ApimSubscriptionId"),
        stream=first.truth("IsStreamCompletion"),
        latency_ms=first.number("TotalTime", "BackendTime"),
        http_status=first.integer("ResponseCode", "BackendResponseCode"),
        prompt=prompt_from(asked) if asked else None,
        answer=answer_from(answered) if answered else b"",
    )
    if any(counts):
        sent, received, total = counts
        usage = Usage("openai", input=sent, output=received, cache_read=None, total=total or None)
        usage.source = "gateway"
        call.usage = plausible(usage)
    if (call.http_status or 200) >= 400:
        call.status, call.error = "error", f"http_{call.http_status}"
    return call
