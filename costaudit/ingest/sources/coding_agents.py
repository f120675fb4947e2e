"""Coding agents other than Claude Code and Codex: conversations, or token counts only."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from costaudit.ingest.calls.call import Call, Kept, Key, Prompt, Record, Skip, Usage
from costaudit.ingest.calls.exchange import FINISH, add_counts
from costaudit.ingest.calls.fields import Fields, span_ms
from costaudit.ingest.calls.json_repair import parse_lenient
from costaudit.ingest.calls.money import log_cost
from costaudit.ingest.calls.names import provider_of_model, split_model
from costaudit.ingest.calls.untyped import answer_from, encoded
from costaudit.ingest.calls.usage import counts_among, plausible, unread_columns
from costaudit.ingest.sources.claude_code import NO_CALL
from costaudit.ingest.sources.source import UNREADABLE_COUNTS, Outcome, PerRecord
from costaudit.providers.names import provider_named


class GeminiCLI:
    """Read Gemini CLI's sessions; the last version of a message replaces earlier ones."""

    name: ClassVar[str] = "gemini_cli"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._session: str | None = None
        self._lines: dict[str, list[tuple[Key, Fields]]] = {}

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if "projectHash" in record and "sessionId" in record:
            return "sessionId, projectHash"
        if record.get("type") == "gemini" and isinstance(record.get("tokens"), dict):
            return "type = 'gemini', tokens"
        if set(record) == {"$set"}:
            return "$set"
        keys = {"id", "timestamp", "type", "content"}
        is_message = record.keys() - {"sessionId"} == keys and record["type"] == "user"
        return ", ".join(sorted(keys)) if is_message else ""

    def parse(self, record: Record) -> Iterator[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        line = Fields(value if isinstance(value, dict) else {})
        self._session = line.text("sessionId") or self._session
        if line.text("type") not in ("user", "gemini"):
            yield key, NO_CALL
            return
        self._lines.setdefault(line.text("id") or f"line {key}", []).append((key, line))

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        history: list[bytes] = []
        waiting: list[Key] = []
        for states in self._lines.values():
            (key, line), earlier = states[-1], [each for each, _ in states[:-1]]
            if line.text("type") == "gemini" and line.inner("tokens"):
                call = self._call(line, history)
                if call.usage is None:
                    yield key, UNREADABLE_COUNTS
                    yield from ((each, NO_CALL) for each in earlier)
                else:
                    merged = [(each, "part-of-stream") for each in earlier]
                    yield Kept(key, call, [*((each, "context") for each in waiting), *merged])
                    waiting = []
            else:
                waiting += [*earlier, key]
            role = "model" if line.text("type") == "gemini" else "user"
            content = line.value("content")
            parts = content if isinstance(content, list) else [{"text": content}]
            history.append(encoded({"role": role, "parts": parts}))
        for key in waiting:
            yield key, Skip("not-a-call", "No answer to it is in the file.")

    def _call(self, line: Fields, history: list[bytes]) -> Call:
        call = Call(
            native_id=line.text("id"),
            ts_us=line.time_us("timestamp"),
            provider="google",
            model=line.text("model"),
            endpoint="gemini-cli",
            conversation=self._session,
            session=self._session,
            prompt=Prompt(messages=list(history)),
            answer=answer_from(line.value("content")),
        )
        add_counts(call, line.inner("tokens").values, "gemini")
        return call


class OpenCode(PerRecord):
    """Read opencode's messages; output excludes reasoning, and input excludes cached tokens."""

    name: ClassVar[str] = "opencode"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        inner = record.get("info")
        info: dict[str, Any] = inner if isinstance(inner, dict) else record
        if "sessionID" not in info or info.get("role") not in ("user", "assistant"):
            return ""
        return "sessionID, role"

    def read(self, record: Fields) -> Call | Skip:
        """Read one message."""
        line = record.inner("info") or record
        if line.text("role") != "assistant":
            return NO_CALL
        tokens, times = line.inner("tokens"), line.inner("time")
        provider, start = line.text("providerID"), times.time_us("created")
        finish = line.text("finish")
        call = Call(
            native_id=line.text("id"),
            ts_us=start,
            provider=provider_named(provider) if provider else None,
            model=line.text("modelID"),
            endpoint=f"opencode {line.text('mode') or ''}".strip(),
            conversation=line.text("sessionID"),
            session=line.text("sessionID"),
            agent=line.text("agent"),
            tenant=line.inner("path").text("root"),
            latency_ms=span_ms(start, times.time_us("completed")),
            finish_reason=FINISH.get(finish or "", finish),
        )
        add_counts(call, tokens.values, "exclusive, reasoning apart", trust_total=False)
        log_cost(call, line.values.get("cost"), line.values)
        if line.inner("error"):
            call.status, call.error = "error", line.inner("error").text("name") or "error"
        elif call.usage is None:
            return UNREADABLE_COUNTS
        return call


SWAPPED = re.compile(r"^claude-(\d)(?:\.(\d))?-(sonnet|opus|haiku)")
POINTED = re.compile(r"^(claude-(?:sonnet|opus|haiku)-\d)\.(\d)")


def agent_model(name: str | None) -> str | None:
    """Return the provider's name of a model; Cursor and Copilot spell Claude models differently."""
    if not name:
        return None
    swapped = SWAPPED.match(name)
    if swapped:
        minor = f"-{swapped[2]}" if swapped[2] else ""
        return f"claude-{swapped[3]}-{swapped[1]}{minor}{name[swapped.end() :]}"
    return POINTED.sub(r"\1-\2", name)


class CopilotCLI(PerRecord):
    """Read Copilot CLI's sessions, which log only totals per model."""

    name: ClassVar[str] = "copilot_cli"
    KINDS = ("session.", "user.", "assistant.", "tool.", "hook.", "subagent.", "abort")

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        kind = str(record.get("type"))
        keys = {"type", "id", "timestamp", "data"}
        if kind.startswith(self.KINDS) and keys <= record.keys() and "parentId" in record:
            return f"type = {kind!r}, parentId; only the sum of a session is logged"
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one event; `unwrap` has split the event that ends a session by model."""
        sums = record.inner("data").inner("modelSum")
        if not sums:
            return Skip("not-a-call", "Its tokens are in the session's sum only.")
        usage, requests = sums.inner("usage"), sums.inner("requests").integer("count") or 0
        model = agent_model(sums.text("model"))
        call = Call(
            ts_us=record.time_us("timestamp"),
            provider=provider_of_model(model) if model else None,
            model=model,
            endpoint="copilot-cli",
            tags=(f"sum of {requests} requests",),
        )
        add_counts(call, usage.values, "inclusive")
        return call if call.usage is not None else UNREADABLE_COUNTS


class Cline(PerRecord):
    """Read ui_messages.json of Cline, Roo Code and Kilo Code."""

    name: ClassVar[str] = "cline"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if record.get("type") in ("say", "ask") and record["type"] in record and "ts" in record:
            return f"type = {record['type']!r}, ts"
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one message."""
        if record.text("say") not in ("api_req_started", "deleted_api_reqs"):
            return NO_CALL
        told, info = record.inner("text"), record.inner("modelInfo")
        if not told.has("tokensIn") and not told.has("tokensOut"):
            return Skip("not-a-call", "It is a request without an answer.")
        prefix, model = split_model(info.text("modelId") or told.text("model") or "")
        provider = info.text("providerId") or told.text("apiProtocol")
        call = Call(
            ts_us=record.time_us("ts"),
            provider=prefix or (provider_named(provider) if provider else None),
            model=model or None,
            endpoint="cline",
        )
        add_counts(call, counts_among(told.values), "exclusive")
        if call.usage is None:
            return UNREADABLE_COUNTS
        log_cost(call, told.values.get("cost"), told.values)
        return call


class Aider(PerRecord):
    """Read Aider's analytics; prompt_tokens is all input, and cached tokens are not logged."""

    name: ClassVar[str] = "aider"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        told = record.get("properties")
        if not isinstance(record.get("event"), str) or not isinstance(told, dict):
            return ""
        if "main_model" in told or (record["event"] == "message_send" and "edit_format" in told):
            return "event, properties.main_model"
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one event."""
        told = record.inner("properties")
        if record.text("event") != "message_send":
            return NO_CALL
        prefix, model = split_model(told.text("main_model") or "")
        call = Call(
            ts_us=record.time_us("time"),
            provider=prefix or provider_of_model(model),
            model=model or None,
            endpoint="aider",
            user=record.text("user_id"),
        )
        counts = counts_among(told.values)
        add_counts(call, counts, "inclusive", trust_total=False)
        if call.usage is None:
            return UNREADABLE_COUNTS
        log_cost(call, told.values.get("cost"), told.values)
        return call


CURSOR_COUNTS = (
    *("Input (w/ Cache Write)", "Input (w/o Cache Write)", "Cache Read"),
    *("Output Tokens", "Total Tokens", "Cost"),
)


class Cursor(PerRecord):
    """Read Cursor's usage export; its column `Input (w/ Cache Write)` holds cache writes."""

    name: ClassVar[str] = "cursor"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = CURSOR_COUNTS[:3]
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        model = agent_model(record.text("Model"))
        kind = record.text("Kind") or ""
        call = Call(
            ts_us=record.time_us("Date"),
            provider=provider_of_model(model) if model else None,
            model=model,
            endpoint="cursor",
            user=record.text("User"),
            tags=(kind,) if kind else (),
            usage=plausible(
                Usage(
                    "exclusive",
                    input=record.integer("Input (w/o Cache Write)"),
                    output=record.integer("Output Tokens"),
                    cache_read=record.part("Cache Read"),
                    cache_write_other=record.part("Input (w/ Cache Write)"),
                )
            ),
            unread=unread_columns(record.values, *CURSOR_COUNTS),
        )
        log_cost(call, record.values.get("Cost"), record.values)
        if "error" in kind.lower() or "aborted" in kind.lower():
            call.status, call.error = "error", "error"
        elif call.usage is None:
            return UNREADABLE_COUNTS
        return call
