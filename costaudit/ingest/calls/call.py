"""The one noun that every log source yields: a call of a model, before it becomes a row."""

from collections.abc import Sequence
from typing import Literal

import msgspec

Buffer = bytes | msgspec.Raw  # JSON text, not yet decoded

NOTHING = b""


class Usage(msgspec.Struct, gc=False):
    """Token counts as the log states them, before they are normalised."""

    convention: str  # what the source claims; see normalise.CLAIMS
    input: int | None = None
    output: int | None = None
    cache_read: int | None = 0  # None: the log can't tell
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_write_other: int = 0
    reasoning: int = 0
    total: int | None = None  # only where the provider itself reported it
    source: str = "provider"  # provider | gateway | estimated


class Prompt(msgspec.Struct, gc=False):
    """What was sent, as JSON in any of the dialects that `content` reads."""

    tools: Buffer = NOTHING
    system: Buffer = NOTHING
    messages: Sequence[Buffer] = ()
    hashes: Sequence[tuple[str, int]] = ()  # blocks known only by hash, with their tokens
    auto_marker: str | None = None  # a cache write is asked for after the last segment


class Call(msgspec.Struct, kw_only=True, gc=False):
    """One call of a model; fields are named and meant as in REQUESTS unless a comment says so."""

    source: str = ""  # where the records of a file come from several sources
    native_id: str | None = None
    same_as: str | None = None  # rows with equal `same_as` are one call; default native_id
    join_key: str | None = None  # halves of one call with the same key are joined
    half: Literal["request", "response"] | None = None
    ts_us: int | None = None  # microseconds since 1970, UTC
    provider: str | None = None
    model: str | None = None
    service_tier: str | None = None
    is_batch: bool = False
    region: str | None = None
    kind: str = "chat"
    endpoint: str | None = None
    tenant: str | None = None
    user: str | None = None
    conversation: str | None = None
    prompt: Prompt | None = None
    answer: Buffer = NOTHING  # JSON in any of the dialects that `content` reads
    usage: Usage | None = None
    temperature: float | None = None
    stream: bool | None = None
    logged_cost: str | None = None
    cost_unit: str | None = None
    latency_ms: float | None = None
    ttft_ms: float | None = None
    status: Literal["ok", "error"] = "ok"
    http_status: int | None = None
    error: str | None = None
    finish_reason: str | None = None
    attempt: int | None = None  # None: worked out from its neighbours
    served_by: Literal["provider", "gateway_cache"] = "provider"
    truncated: bool = False
    updated_us: int | None = None  # of two copies, the later one wins a tie


class Record(msgspec.Struct, gc=False):
    """One record of a file: a line, a row, or an element of a list within them."""

    offset: int  # byte offset in the decompressed file; row number of a table
    index: int  # place among the records at that offset
    data: Buffer  # JSON text


class Skip(msgspec.Struct, gc=False):
    """Why a record gives no row."""

    reason: str  # a short class, such as bad-json
    detail: str  # one sentence without content from the log


Key = tuple[int, int]  # offset and index of a record in its file


class Kept(msgspec.Struct, gc=False):
    """A call, the record it stands for, and the records it took in."""

    key: Key
    call: Call
    merged: list[tuple[Key, str]] = []  # records that are part of it, each with a reason
