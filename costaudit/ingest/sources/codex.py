"""Codex: its session files, and the output of `codex exec --json`."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from costaudit.ingest.calls.call import Call, Kept, Key, Prompt, Record, Skip, Usage
from costaudit.ingest.calls.exchange import add_counts
from costaudit.ingest.calls.fields import UNREADABLE, Fields
from costaudit.ingest.calls.json_repair import parse_lenient
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.calls.untyped import encoded
from costaudit.ingest.calls.usage import plausible, read_usage
from costaudit.ingest.sources.source import UNREADABLE_COUNTS, Outcome
from costaudit.providers.names import provider_named

TYPES = ("session_meta", "turn_context", "response_item", "event_msg", "compacted")
ANSWERS = ("message", "function_call", "custom_tool_call", "reasoning", "local_shell_call",
           "web_search_call")  # fmt: skip
COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
FALLBACK_MODEL = "gpt-5"  # used by the first versions, whose files name no model
NO_TOKEN_COUNTS = Skip("not-a-call", "It is an event without token counts.")
REPEATED = Skip("not-a-call", "It states token counts once more, without a call in between.")


class Codex:
    """Make a call from each token_count event; the items before it are its prompt and answer."""

    name: ClassVar[str] = "codex"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._session: str | None = None
        self._place: str | None = None
        self._made_by: tuple[str | None, str | None] = (None, None)  # branch, version
        self._provider = "openai"
        self._model: str | None = None
        self._instructions = b""
        self._history: list[bytes] = []
        self._answer: list[Any] = []
        self._later: list[bytes] = []  # items after the answer, before its token count
        self._waiting: list[Key] = []  # records that become part of the next call
        self._before: dict[str, dict[str, int]] = {}  # counter → its last cumulative counts
        self._forked_from: str | None = None
        self._inherits = False  # a forked session starts with its parent's totals

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if record.get("type") in TYPES and isinstance(record.get("payload"), dict):
            return f"type = {record['type']!r}, payload"
        return ""

    def parse(self, record: Record) -> Iterator[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        line = Fields(value if isinstance(value, dict) else {})
        kind, payload = line.text("type"), line.inner("payload")
        if kind == "response_item":
            self._item(payload)
            self._waiting.append(key)
        elif kind in ("session_meta", "turn_context"):
            self._context(payload)
            self._waiting.append(key)
        elif kind == "event_msg" and payload.text("type") == "token_count":
            yield from self._count(key, line, payload)
        else:
            yield key, NO_TOKEN_COUNTS if kind in TYPES else NOT_A_CALL

    def _context(self, payload: Fields) -> None:
        self._session = self._session or payload.text("id")
        self._forked_from = self._forked_from or payload.text("forked_from_id")
        self._inherits = self._forked_from is not None
        self._place = payload.text("cwd") or self._place
        self._model = payload.text("model") or self._model
        made_by = payload.inner("git").text("branch"), payload.text("cli_version")
        self._made_by = made_by[0] or self._made_by[0], made_by[1] or self._made_by[1]
        provider = payload.text("model_provider")
        self._provider = provider_named(provider) if provider else self._provider
        given = payload.inner("base_instructions").text("text")
        if instructions := payload.text("instructions") or given:
            self._instructions = encoded(instructions)

    def _item(self, payload: Fields) -> None:
        role = payload.text("role")
        if payload.text("type") in ANSWERS and role in (None, "assistant"):
            if self._later:
                self._turn()
            self._answer.append(payload.values)
        elif self._answer:
            self._later.append(encoded(payload.values))
        else:
            self._history.append(encoded(payload.values))

    def _turn(self) -> None:
        """Append the answer, and the items after it, to the history for the next prompt."""
        self._history.extend(encoded(item) for item in self._answer)
        self._history.extend(self._later)
        self._answer, self._later = [], []

    def _count(self, key: Key, line: Fields, payload: Fields) -> Iterator[Outcome]:
        info = payload.inner("info")
        usage = self._usage(info, payload.inner("rate_limits").text("limit_id") or "")
        if isinstance(usage, Skip):
            yield key, usage
            return
        moment = line.text("timestamp") or ""
        call = Call(
            same_as=f"codex {moment} {self._model} {usage.input} {usage.cache_read} {usage.output}",
            ts_us=line.time_us("timestamp"),
            provider=self._provider,
            model=self._model or info.text("model") or FALLBACK_MODEL,
            endpoint="codex",
            conversation=self._session,
            session=self._session,
            branch=self._made_by[0],
            client_version=self._made_by[1],
            forked_from=self._forked_from,
            tenant=self._place,
            usage=plausible(usage),
            prompt=Prompt(system=self._instructions, messages=list(self._history)),
            answer=encoded(self._answer) if self._answer else b"",
        )
        counts = info.inner("last_token_usage") or info.inner("total_token_usage")
        call.unread = tuple(read_usage(counts.values, "codex").unread)
        yield Kept(key, call, [(k, "context") for k in self._waiting])
        self._waiting = []
        self._turn()

    def _usage(self, info: Fields, counter: str) -> Usage | Skip:
        last, total = info.inner("last_token_usage"), info.inner("total_token_usage")
        now = {name: total.part(name) for name in COUNTS} if total else None
        if now is not None and UNREADABLE in now.values():
            if not last:
                return UNREADABLE_COUNTS  # the next total includes this call
            now = None
        before = self._before.get(counter)
        if now is not None:
            self._before[counter] = now
        is_baseline = before is None and self._inherits and not last
        if now is not None and (now == before or is_baseline):
            return REPEATED
        if last:
            counts = {name: last.part(name) for name in COUNTS}
        elif now is not None:
            start = before or {}
            if any(now[name] < start.get(name, 0) for name in COUNTS):
                start = {}  # the counter was reset
            start = {**dict.fromkeys(COUNTS, 0), **start}
            counts = {name: max(now[name] - start[name], 0) for name in COUNTS}
        else:
            return REPEATED if info else NO_TOKEN_COUNTS
        if not counts["input_tokens"] and not counts["output_tokens"]:
            return REPEATED
        return Usage(
            "codex",
            input=counts["input_tokens"],
            output=counts["output_tokens"],
            cache_read=min(counts["cached_input_tokens"], counts["input_tokens"]),
            cache_write_other=last.part("cache_write_input_tokens"),
            reasoning=counts["reasoning_output_tokens"],
        )

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for key in self._waiting:
            yield key, Skip("not-a-call", "No count of tokens follows it in the file.")


class CodexExec:
    """Read `codex exec --json`: one call per turn, with usage and answer; no model is named."""

    name: ClassVar[str] = "codex_exec"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._thread: str | None = None
        self._answer: list[Any] = []
        self._waiting: list[Key] = []

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        kind = record.get("type")
        if kind == "thread.started" and "thread_id" in record:
            return "type = 'thread.started', thread_id"
        if kind in ("turn.started", "turn.completed", "turn.failed"):
            return f"type = {kind!r}"
        item = record.get("item")
        if str(kind).startswith("item.") and isinstance(item, dict) and "id" in item:
            return f"type = {kind!r}, item"
        return ""

    def parse(self, record: Record) -> Iterator[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        line = Fields(value if isinstance(value, dict) else {})
        kind = line.text("type") or ""
        if kind == "thread.started":
            self._thread = line.text("thread_id")
        if kind == "item.completed":
            item = line.inner("item")
            text = item.text("text")
            if item.text("type") == "agent_message" and text:
                self._answer.append({"role": "assistant", "content": text})
        if kind not in ("turn.completed", "turn.failed"):
            self._waiting.append(key)
            return
        usage = line.inner("usage")
        call = Call(
            provider="openai",
            endpoint="codex exec",
            conversation=self._thread,
            session=self._thread,
            answer=encoded(self._answer) if self._answer else b"",
        )
        add_counts(call, usage.values, "codex")
        merged, self._waiting, self._answer = self._waiting, [], []
        if kind == "turn.failed":
            call.status, call.error = "error", "turn_failed"
        elif call.usage is None:
            yield key, UNREADABLE_COUNTS
            yield from ((each, NO_TOKEN_COUNTS) for each in merged)
            return
        yield Kept(key, call, [(each, "context") for each in merged])

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for key in self._waiting:
            yield key, Skip("not-a-call", "No count of tokens follows it in the file.")
