"""Codex's session files (rollouts)."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from costaudit.ingest.call import Call, Kept, Key, Prompt, Record, Skip, Usage
from costaudit.ingest.fields import Fields
from costaudit.ingest.lenient import parse_lenient
from costaudit.ingest.loose import encoded
from costaudit.ingest.models import provider_named
from costaudit.ingest.pair import NOT_A_CALL
from costaudit.ingest.sources.source import Outcome
from costaudit.ingest.usage import plausible

TYPES = ("session_meta", "turn_context", "response_item", "event_msg", "compacted")
ANSWERS = ("message", "function_call", "custom_tool_call", "reasoning", "local_shell_call",
           "web_search_call")  # fmt: skip
COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
FALLBACK_MODEL = "gpt-5"  # what the files of the first versions, which name no model, were made by
NO_CALL = Skip("not-a-call", "It is an event without token counts.")
REPEATED = Skip("not-a-call", "It states token counts once more, without a call in between.")


class Codex:
    """Make a call of each count of tokens, with what was said before it."""

    name: ClassVar[str] = "codex"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._session: str | None = None
        self._place: str | None = None
        self._provider = "openai"
        self._model: str | None = None
        self._instructions = b""
        self._history: list[bytes] = []
        self._answer: list[Any] = []
        self._later: list[bytes] = []  # said after the answer, before its tokens are counted
        self._waiting: list[Key] = []  # records that the next call takes in
        self._before: dict[str, int] | None = None  # the last cumulative counts

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
            yield from self._count(key, line, payload.inner("info"))
        else:
            yield key, NO_CALL if kind in TYPES else NOT_A_CALL

    def _context(self, payload: Fields) -> None:
        self._session = self._session or payload.text("id")
        self._place = payload.text("cwd") or self._place
        self._model = payload.text("model") or self._model
        provider = payload.text("model_provider")
        self._provider = provider_named(provider) if provider else self._provider
        instructions = payload.text("instructions") or payload.inner("base_instructions").text(
            "text"
        )
        if instructions:
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
        """Let the answer, and what came after it, be part of the next prompt."""
        self._history.extend(encoded(item) for item in self._answer)
        self._history.extend(self._later)
        self._answer, self._later = [], []

    def _count(self, key: Key, line: Fields, info: Fields) -> Iterator[Outcome]:
        usage = self._usage(info)
        if usage is None or not (usage.input or usage.output):
            yield key, REPEATED if info else NO_CALL
            return
        moment = line.text("timestamp") or ""
        call = Call(
            same_as=f"codex {moment} {self._model} {usage.input} {usage.cache_read} {usage.output}",
            ts_us=line.time_us("timestamp"),
            provider=self._provider,
            model=self._model or info.text("model") or FALLBACK_MODEL,
            endpoint="codex",
            conversation=self._session,
            tenant=self._place,
            usage=plausible(usage),
            prompt=Prompt(system=self._instructions, messages=list(self._history)),
            answer=encoded(self._answer) if self._answer else b"",
        )
        yield Kept(key, call, [(k, "context") for k in self._waiting])
        self._waiting = []
        self._turn()

    def _usage(self, info: Fields) -> Usage | None:
        last, total = info.inner("last_token_usage"), info.inner("total_token_usage")
        now = {name: total.integer(name) or 0 for name in COUNTS} if total else None
        before, self._before = self._before, now or self._before
        if now is not None and now == before:
            return None
        if last:
            counts = {name: last.integer(name) or 0 for name in COUNTS}
        elif now is not None:
            start = before or dict.fromkeys(COUNTS, 0)
            counts = {name: max(now[name] - start[name], 0) for name in COUNTS}
        else:
            return None
        return Usage(
            "codex",
            input=counts["input_tokens"],
            output=counts["output_tokens"],
            cache_read=min(counts["cached_input_tokens"], counts["input_tokens"]),
            cache_write_other=last.integer("cache_write_input_tokens") or 0,
            reasoning=counts["reasoning_output_tokens"],
        )

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for key in self._waiting:
            yield key, Skip("not-a-call", "No count of tokens follows it in the file.")
