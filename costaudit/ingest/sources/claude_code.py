"""Claude Code: its session files, the output of `claude -p`, and its OpenTelemetry events."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from costaudit.ingest.calls.call import Call, Kept, Key, Prompt, Record, Skip
from costaudit.ingest.calls.exchange import add_counts
from costaudit.ingest.calls.fields import MOST_TOKENS, UNREADABLE, Fields
from costaudit.ingest.calls.json_repair import parse_lenient
from costaudit.ingest.calls.money import log_cost
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.calls.untyped import call_from, encoded
from costaudit.ingest.calls.usage import counts_among
from costaudit.ingest.sources.otel_span import attributes_of
from costaudit.ingest.sources.source import UNREADABLE_COUNTS, Outcome, PerRecord

NO_CALL = Skip("not-a-call", "It is a note of the program, not a message.")
SUM = Skip("not-a-call", "It is the sum of calls that the file lists one by one.")
LOCAL = Skip("not-a-call", "The program wrote it without asking a model.")
LONGEST_CHAIN = 20_000  # maximum number of earlier messages to follow back in one session
Message = list[tuple[Key, Fields]]  # one message of the model: a line for each of its blocks


class ClaudeCode:
    """Join the lines of each model message; the messages before it are its prompt."""

    name: ClassVar[str] = "claude_code"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._answers: dict[tuple[str, str], Message] = {}
        self._messages: dict[str, tuple[str | None, bytes]] = {}  # uuid → parent, message
        self._asked: list[tuple[Key, str]] = []  # user lines: key, uuid

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        message = record.get("message")
        if "sessionId" in record and isinstance(message, dict) and "usage" in message:
            return "sessionId, message.usage"
        keys = ("parentUuid", "uuid", "sessionId")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def parse(self, record: Record) -> Iterator[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        if not isinstance(value, dict):
            yield key, NOT_A_CALL
            return
        line = Fields(value)
        inner = line.inner("data").inner("message")
        if inner:  # a progress line repeats the message of a subagent
            line = Fields({**value, **inner.values})
        message = line.inner("message")
        if message.text("role") == "assistant" and message.inner("usage"):
            yield from self._answer(key, line, message)
        elif line.text("type") == "user" and message:
            uuid = line.text("uuid") or ""
            self._remember(line, message)
            self._asked.append((key, uuid))
        else:
            yield key, NO_CALL

    def _answer(self, key: Key, line: Fields, message: Fields) -> Iterator[Outcome]:
        if message.text("model") == "<synthetic>":
            yield key, LOCAL
            return
        self._remember(line, message)
        identity = (message.text("id") or f"{key}", line.text("requestId") or "")
        self._answers.setdefault(identity, []).append((key, line))

    def _remember(self, line: Fields, message: Fields) -> None:
        uuid = line.text("uuid")
        if uuid is not None:
            body = {name: message.values.get(name) for name in ("role", "content")}
            self._messages[uuid] = (line.text("parentUuid"), encoded(body))

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        kept: list[Kept] = []
        first_use: dict[str, Kept] = {}
        for found in self._answers.values():
            call, before = self._call(found)
            each = Kept(found[0][0], call)
            each.merged = [(key, "part-of-stream") for key, _ in found[1:]]
            kept.append(each)
            for uuid in before:
                first_use.setdefault(uuid, each)
        for key, uuid in self._asked:
            if uuid in first_use:
                first_use[uuid].merged.append((key, "context"))
            else:
                yield key, Skip("not-a-call", "No answer to it is in the file.")
        yield from kept

    def _call(self, found: Message) -> tuple[Call, list[str]]:
        lines = [line for _, line in found]
        fullest = max(lines, key=_total)
        message = fullest.inner("message")
        blocks = [b for line in lines for b in line.inner("message").items("content")]
        body = {**message.values, "content": blocks, "type": "message"}
        call = call_from(None, body) or Call()
        call.native_id = message.text("id") or lines[0].text("uuid")
        call.ts_us = lines[0].time_us("timestamp")
        call.conversation = call.session = lines[0].text("sessionId")
        call.branch = lines[0].text("gitBranch")
        call.client_version = lines[0].text("version")
        call.skill = lines[0].text("attributionSkill", "skill")
        call.agent = lines[0].text("agentId")
        call.tenant = lines[0].text("cwd")
        call.endpoint = "subagent" if lines[0].truth("isSidechain") else "claude-code"
        log_cost(call, fullest.values.get("costUSD"), fullest.values)
        if any(line.truth("isApiErrorMessage") for line in lines):
            call.status, call.error = "error", "api_error"
        before = self._before(lines[0].text("parentUuid"))
        call.prompt = Prompt(messages=[self._messages[uuid][1] for uuid in before])
        return call, before

    def _before(self, parent: str | None) -> list[str]:
        """Return the uuids of the messages up to `parent`, oldest first."""
        chain: list[str] = []
        seen: set[str] = set()
        while parent in self._messages and parent not in seen and len(chain) < LONGEST_CHAIN:
            seen.add(parent)
            chain.append(parent)
            parent = self._messages[parent][0]
        return chain[::-1]


def _total(line: Fields) -> int:
    usage = line.inner("message").inner("usage")
    names = ("input_tokens", "output_tokens", "cache_creation_input_tokens",
             "cache_read_input_tokens")  # fmt: skip
    counts = [usage.part(name) for name in names]
    # A line with unreadable counts wins, so that an earlier state of the message doesn't hide them.
    return MOST_TOKENS if UNREADABLE in counts else sum(counts)


class ClaudeStream(ClaudeCode):
    """Read `claude -p --output-format stream-json`; its result line holds the totals."""

    name: ClassVar[str] = "claude_stream"

    def __init__(self, address: str = "") -> None:
        super().__init__(address)
        self._last: dict[str, str] = {}  # lane (main or a subagent) → uuid of its last line
        self._place: str | None = None
        self._begun: dict[str, str] = {}  # lane → id of the message being streamed
        self._ended: dict[str, dict[str, Any]] = {}  # message id → its final counts

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        kinds = ("system", "assistant", "user", "result", "stream_event")
        if record.get("type") not in kinds or "session_id" not in record:
            return ""
        if any(name in record for name in ("message", "subtype", "event", "total_cost_usd")):
            return f"type = {record['type']!r}, session_id"
        return ""

    def parse(self, record: Record) -> Iterator[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        if not isinstance(value, dict):
            yield key, NOT_A_CALL
            return
        line = Fields(value)
        if line.text("type") == "result":
            yield key, SUM
            return
        self._place = line.text("cwd") or self._place
        self._follow(line.text("parent_tool_use_id") or "", line.inner("event"))
        lane = line.text("parent_tool_use_id") or ""
        uuid = line.text("uuid") or f"line {key}"
        told = {
            **value,
            "uuid": uuid,
            "sessionId": line.text("session_id"),
            "parentUuid": self._last.get(lane),
            "isSidechain": bool(lane),
            "cwd": self._place,
        }
        if line.text("type") in ("assistant", "user"):
            self._last[lane] = uuid
        yield from super().parse(Record(record.offset, record.index, encoded(told)))

    def _follow(self, lane: str, event: Fields) -> None:
        """Remember a streamed message's final counts; its own lines have only the first ones."""
        if event.text("type") == "message_start":
            self._begun[lane] = event.inner("message").text("id") or ""
        elif event.text("type") == "message_delta" and self._begun.get(lane):
            counts = {k: v for k, v in event.inner("usage").values.items() if v is not None}
            self._ended.setdefault(self._begun[lane], {}).update(counts)

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for found in self._answers.values():
            for _, line in found:
                message = line.inner("message").values
                ended = self._ended.get(str(message.get("id")))
                if ended:
                    usage = {**Fields(message).inner("usage").values, **ended}
                    line.values["message"] = {**message, "usage": usage}
        return super().finish()


class ClaudeEvents(PerRecord):
    """Read Claude Code's OpenTelemetry events: API requests and errors."""

    name: ClassVar[str] = "claude_events"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        scope, body = Fields(record).inner("scope").text("name") or "", record.get("body")
        body = body.get("stringValue") if isinstance(body, dict) else body
        if scope.startswith("com.anthropic.claude_code"):
            return f"scope.name = {scope!r}"
        if isinstance(body, str) and body.startswith("claude_code."):
            return f"body = {body!r}"
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one event."""
        event = Fields(attributes_of(record.values))
        kind = (event.text("event.name") or "").removeprefix("claude_code.")
        if kind not in ("api_request", "api_error"):
            return NO_CALL
        call = Call(
            native_id=event.text("request_id"),
            ts_us=event.time_us("event.timestamp") or record.time_us("timeUnixNano"),
            provider="anthropic",
            model=event.text("model"),
            endpoint="claude-code",
            user=event.text("user.id", "user.account_uuid"),
            tenant=event.text("organization.id"),
            account=event.text("organization.id"),
            conversation=event.text("session.id"),
            session=event.text("session.id"),
            client_version=event.text("app.version"),
            latency_ms=event.number("duration_ms"),
        )
        log_cost(call, event.values.get("cost_usd"), event.values)
        if event.text("speed") == "fast":
            call.service_tier = "fast"
        if kind == "api_error":
            call.status, call.error = "error", "api_error"
            call.http_status = event.integer("status_code")
            call.attempt = event.integer("attempt")
            return call
        add_counts(call, counts_among(event.values), "anthropic")
        return call if call.usage is not None else UNREADABLE_COUNTS
