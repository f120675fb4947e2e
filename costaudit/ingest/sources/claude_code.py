"""Claude Code's session files."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from costaudit.ingest.call import Call, Kept, Key, Prompt, Record, Skip
from costaudit.ingest.fields import Fields
from costaudit.ingest.lenient import parse_lenient
from costaudit.ingest.loose import call_from, encoded
from costaudit.ingest.pair import NOT_A_CALL
from costaudit.ingest.sources.source import Outcome
from costaudit.ingest.usage import decimal_of

NO_CALL = Skip("not-a-call", "It is a note of the program, not a message.")
LOCAL = Skip("not-a-call", "The program wrote it without asking a model.")
LONGEST_CHAIN = 20_000  # messages of one session that are followed back


@dataclass
class _Message:
    """One message of the model, spread over the lines of its blocks."""

    lines: list[tuple[Key, Fields]] = field(default_factory=list)


class ClaudeCode:
    """Put each message of the model together from its lines, with the messages before it."""

    name: ClassVar[str] = "claude_code"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._answers: dict[tuple[str, str], _Message] = {}
        self._messages: dict[str, tuple[str | None, bytes]] = {}  # uuid → parent, message
        self._asked: list[tuple[Key, str]] = []  # user lines, by uuid

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
        self._answers.setdefault(identity, _Message()).lines.append((key, line))

    def _remember(self, line: Fields, message: Fields) -> None:
        uuid = line.text("uuid")
        if uuid is not None:
            body = {name: message.values.get(name) for name in ("role", "content")}
            self._messages[uuid] = (line.text("parentUuid"), encoded(body))

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        kept: list[Kept] = []
        first_use: dict[str, Kept] = {}
        for (message_id, request_id), found in self._answers.items():
            call, before = self._call(found, message_id, request_id)
            each = Kept(found.lines[0][0], call)
            each.merged = [(key, "part-of-stream") for key, _ in found.lines[1:]]
            kept.append(each)
            for uuid in before:
                first_use.setdefault(uuid, each)
        for key, uuid in self._asked:
            if uuid in first_use:
                first_use[uuid].merged.append((key, "context"))
            else:
                yield key, Skip("not-a-call", "No answer to it is in the file.")
        yield from kept

    def _call(self, found: _Message, message_id: str, request_id: str) -> tuple[Call, list[str]]:
        lines = [line for _, line in found.lines]
        fullest = max(lines, key=_total)
        message = fullest.inner("message")
        blocks = [b for line in lines for b in line.inner("message").items("content")]
        body = {**message.values, "content": blocks, "type": "message"}
        call = call_from(None, body) or Call()
        call.native_id = message.text("id")
        call.same_as = f"claude code {message_id} {request_id}"
        call.ts_us = lines[0].time_us("timestamp")
        call.conversation = lines[0].text("sessionId")
        call.tenant = lines[0].text("cwd")
        call.endpoint = "subagent" if lines[0].truth("isSidechain") else "claude-code"
        call.logged_cost = decimal_of(fullest.values.get("costUSD"))
        call.cost_unit = "usd" if call.logged_cost is not None else None
        if any(line.truth("isApiErrorMessage") for line in lines):
            call.status, call.error = "error", "api_error"
        before = self._before(lines[0].text("parentUuid"))
        call.prompt = Prompt(messages=[self._messages[uuid][1] for uuid in before])
        return call, before

    def _before(self, parent: str | None) -> list[str]:
        """Follow the chain of parents back to the session's start."""
        chain: list[str] = []
        seen: set[str] = set()
        while parent in self._messages and parent not in seen and len(chain) < LONGEST_CHAIN:
            assert parent is not None
            seen.add(parent)
            chain.append(parent)
            parent = self._messages[parent][0]
        return chain[::-1]


def _total(line: Fields) -> int:
    usage = line.inner("message").inner("usage")
    names = ("input_tokens", "output_tokens", "cache_creation_input_tokens",
             "cache_read_input_tokens")  # fmt: skip
    return sum(usage.integer(name) or 0 for name in names)
