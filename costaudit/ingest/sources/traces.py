"""Public traces of serving systems and agents: times, lengths and block hashes, but no text."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from costaudit.ingest.calls.call import Call, Prompt, Skip, Usage
from costaudit.ingest.calls.exchange import FINISH
from costaudit.ingest.calls.fields import EARLIEST_US, LATEST_US, MOST_TOKENS, Fields
from costaudit.ingest.calls.names import provider_of_model
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.calls.usage import plausible, unread_columns
from costaudit.ingest.sources.source import PerRecord

MOONCAKE_BLOCK = 512  # tokens per hash
START_US = 1_704_067_200_000_000  # 2024-01-01; relative times are added to it
assert START_US > EARLIEST_US


def _lengths(sent: int | None, received: int | None) -> Usage | None:
    return plausible(Usage("openai", input=sent, output=received, cache_read=None))


def _moment(offset: float | None, unit_us: int, start_us: int = START_US) -> int | None:
    """Return the time `offset` units after the trace's start; None if unknown or implausible.

    `unit_us` is the length of a unit in microseconds.
    """
    moment = None if offset is None else start_us + round(offset * unit_us)
    return moment if moment is not None and EARLIEST_US <= moment < LATEST_US else None


IMPOSSIBLE = Skip("impossible-count", "Its count of tokens is no count that a call can have.")


class Mooncake(PerRecord):
    """Read Mooncake's traces; each hash identifies a block and everything before it."""

    name: ClassVar[str] = "mooncake"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = ("input_length", "output_length", "hash_ids")
        return ", ".join(keys) if all(key in record for key in keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one request; its timestamp is in milliseconds since the start of the trace."""
        sent, offset = record.integer("input_length"), record.number("timestamp")
        if sent is None:
            return NOT_A_CALL
        if not 0 <= sent < MOST_TOKENS:
            return IMPOSSIBLE
        hashes = []
        left = sent
        for block in record.items("hash_ids"):
            hashes.append((str(block), min(left, MOONCAKE_BLOCK), "user"))
            left = max(left - MOONCAKE_BLOCK, 0)
        return Call(
            ts_us=_moment(offset, 1_000),
            endpoint="trace",
            prompt=Prompt(hashes=hashes),
            usage=_lengths(sent, record.integer("output_length")),
            unread=unread_columns(record.values),
        )


class BurstGPT(PerRecord):
    """Read BurstGPT's tables.

    Timestamps are in seconds since midnight of the first day. A call with 0 response tokens failed.
    """

    name: ClassVar[str] = "burstgpt"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        lowered = {key.lower() for key in record}
        keys = ("request tokens", "response tokens", "log type")
        return ", ".join(keys) if lowered.issuperset(keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        row = Fields({key.lower(): value for key, value in record.values.items()})
        sent, received = row.integer("request tokens"), row.integer("response tokens")
        if sent is None:
            return NOT_A_CALL
        if not 0 <= sent < MOST_TOKENS:
            return IMPOSSIBLE
        offset, elapsed = row.number("timestamp"), row.number("elapsed time")
        call = Call(
            ts_us=_moment(offset, 1_000_000),
            provider="openai",
            model=row.text("model"),
            endpoint=row.text("log type"),
            conversation=row.text("session id"),
            latency_ms=None if elapsed is None else elapsed * 1_000,
            usage=_lengths(sent, received),
            unread=unread_columns(row.values, "request tokens", "response tokens", "total tokens"),
        )
        if received == 0:
            call.status, call.error = "error", "no_response"
        return call


class AzureTrace(PerRecord):
    """Read Azure's inference traces."""

    name: ClassVar[str] = "azure_trace"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = {"timestamp", "contexttokens", "generatedtokens"}
        found = {key.lower() for key in record}
        return ", ".join(sorted(keys)) if keys <= found else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one row."""
        row = Fields({key.lower(): value for key, value in record.values.items()})
        sent = row.integer("contexttokens")
        if sent is None:
            return NOT_A_CALL
        if not 0 <= sent < MOST_TOKENS:
            return IMPOSSIBLE
        return Call(
            ts_us=row.time_us("timestamp"),
            endpoint="trace",
            usage=_lengths(sent, row.integer("generatedtokens")),
            unread=unread_columns(row.values, "contexttokens", "generatedtokens"),
        )


SESSIONS_START_US = 1_767_225_600_000_000  # 2026-01-01; a session's relative times are added to it
_SESSION = ("id", "requests", "block_size")
_SUBAGENT = "subagent"


def is_session(value: dict[str, Any]) -> bool:
    """Return whether a record is a whole session in kv-cache-tester's format."""
    requests = value.get("requests")
    return (
        all(name in value for name in _SESSION)
        and isinstance(requests, list)
        and all(isinstance(one, dict) for one in requests)
        and any("hash_ids" in one or one.get("type") == _SUBAGENT for one in requests)
    )


def divided(session: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a session's requests; blocks that always occur together are merged into one.

    Each request keeps its fields except `hash_ids`, and gets `session`, `number`, `agent`, `kind`
    and `blocks` (name, tokens, role). Blocks are not merged if their ids are global in the trace.
    """
    size = session["block_size"]
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        size = 1
    runs = _Runs()
    calls = list(_calls(session))
    ends = [runs.add(_hashes(call)) for call, _ in calls]
    apart = session.get("hash_id_scope") == "global"
    found = []
    for number, ((call, owner), end) in enumerate(zip(calls, ends, strict=True)):
        if apart:
            named = [(str(one), 1) for one in _hashes(call)]
        else:
            named = [(f"{session['id']}:{name}", count) for name, count in runs.path(end)]
        told = {name: value for name, value in call.items() if name != "hash_ids"}
        blocks = _blocks(named, size, call.get("in"), owner, f"{session['id']}:{number}")
        found.append(
            {
                **told,
                "session": str(session["id"]),
                "number": number,
                "agent": owner.get("agent_id"),
                "kind": owner.get("subagent_type"),
                "blocks": blocks,
            }
        )
    return found


def _calls(session: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each request, and the session or subagent that sent it.

    Times of a subagent's requests are made relative to the session's start.
    """
    for one in session["requests"]:
        if one.get("type") != _SUBAGENT:
            yield one, session
            continue
        inner = one.get("requests")
        for call in inner if isinstance(inner, list) else ():
            if isinstance(call, dict):
                yield {**call, "t": _moved(call.get("t"), one.get("t"))}, one


def _moved(at: object, start: object) -> object:
    if isinstance(at, int | float) and isinstance(start, int | float):
        return at + start
    return at


def _hashes(call: dict[str, Any]) -> list[Any]:
    ids = call.get("hash_ids")
    if not isinstance(ids, list):
        return []
    return [one if isinstance(one, int | str) else repr(one) for one in ids]


def _blocks(
    named: list[tuple[str, int]], size: int, sent: object, owner: dict[str, Any], tail: str
) -> list[tuple[str, int, str]]:
    """Return the name, tokens and role of each block of a request with `sent` input tokens.

    `named` holds runs as (name, number of hash blocks), and `size` is the tokens per hash block.
    `owner`, the session or subagent, says how many tokens are tools and system prompt. Tokens
    that no run covers form a block of their own, whose name begins with `tail`.
    """
    left = sent if isinstance(sent, int) and not isinstance(sent, bool) else 0
    borders = [("tools", _number(owner.get("tool_tokens")))]
    borders.append(("system", borders[0][1] + _number(owner.get("system_tokens"))))
    found = []
    at = 0
    for name, count in named:
        end = at + min(count * size, left)
        left -= end - at
        for role, border in borders:
            if at < border < end:
                found.append((f"{name}:{role}", border - at, role))
                at = border
            elif end <= border and at < end:
                found.append((f"{name}:{role}", end - at, role))
                at = end
        if at < end:
            found.append((name, end - at, "user"))
            at = end
    if left > 0:
        found.append((f"{tail}:tail", left, "user"))
    return found


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


@dataclass
class _Run:
    """A node of the tree: consecutive blocks that occur together in every prompt."""

    number: int
    ids: list[Any]
    parent: "_Run | None"
    next: dict[Any, "_Run"] = field(default_factory=dict)  # child runs by their first block


class _Runs:
    """A radix tree of one session's prompts; runs are split where a prompt ends or diverges."""

    def __init__(self) -> None:
        self._root = _Run(0, [], None)
        self._count = 1

    def add(self, ids: list[Any]) -> _Run:
        """Add a prompt; return its last run."""
        here, at = self._root, 0
        while at < len(ids):
            run = here.next.get(ids[at])
            if run is None:
                run = here.next[ids[at]] = self._new(ids[at:], here)
                return run
            rest = ids[at : at + len(run.ids)]
            shared = len(rest) if rest == run.ids[: len(rest)] else _common(rest, run.ids)
            if shared < len(run.ids):
                run = self._cut(run, shared)
            at += shared
            here = run
        return here

    def path(self, end: _Run) -> list[tuple[str, int]]:
        """Return the name and number of blocks of each run from the root to `end`."""
        found = []
        run: _Run | None = end
        while run is not None and run.parent is not None:
            found.append((str(run.number), len(run.ids)))
            run = run.parent
        return found[::-1]

    def _new(self, ids: list[Any], parent: _Run) -> _Run:
        run = _Run(self._count, ids, parent)
        self._count += 1
        return run

    def _cut(self, run: _Run, at: int) -> _Run:
        """Split a run: move its first `at` blocks to a new parent run, and return that."""
        assert run.parent is not None
        head = self._new(run.ids[:at], run.parent)
        run.parent.next[run.ids[0]] = head
        run.ids, run.parent = run.ids[at:], head
        head.next[run.ids[0]] = run
        return head


def _common(left: list[Any], right: list[Any]) -> int:
    """Return the length of the common prefix of two lists, by bisection."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


class KVTrace(PerRecord):
    """Read requests of kv-cache-tester's sessions; times are seconds since the session's start."""

    name: ClassVar[str] = "kv_trace"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        keys = ("session", "number", "blocks", "in", "out")
        return "block_size, requests, hash_ids" if all(key in record for key in keys) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read one request."""
        sent, offset = record.integer("in"), record.number("t")
        if sent is None:
            return NOT_A_CALL
        model, kind = record.text("model"), record.text("kind")
        seconds, first = record.number("api_time"), record.number("ttft")
        session = record.text("session")
        usage = Usage("openai", input=sent, output=record.integer("out"), cache_read=None)
        return Call(
            native_id=f"{session}:{record.integer('number')}",
            ts_us=_moment(offset, 1_000_000, SESSIONS_START_US),
            provider=provider_of_model(model or ""),
            model=model,
            endpoint=f"subagent {kind}" if kind else "agent",
            conversation=session,
            session=session,
            agent=record.text("agent"),
            prompt=Prompt(hashes=[(str(n), int(t), str(r)) for n, t, r in record.items("blocks")]),
            usage=plausible(usage),
            latency_ms=None if seconds is None else seconds * 1_000,
            ttft_ms=None if first is None else first * 1_000,
            finish_reason=FINISH.get(record.text("stop") or "", record.text("stop")),
            unread=unread_columns(record.values),
        )
