"""The type that every log source yields: a call of a model, before it becomes a row."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import msgspec

from costaudit.contracts.requests import CallKind, UnitName

Buffer = bytes | msgspec.Raw  # JSON text, not yet decoded

NOTHING = b""

Convention = Literal[
    "openai",
    "anthropic",
    "bedrock_converse",
    "bedrock_log",
    "gemini",
    "xai",
    "otel_semconv",
    "openinference",
    "langfuse",
    "helicone",
    "litellm",
    "langsmith",
    "portkey",
    "openrouter",
    "vercel",
    "codex",
    "inclusive",
    "exclusive",
    "inclusive, reasoning apart",
    "exclusive, reasoning apart",
    "inclusive as stated",
    "exclusive as stated",
]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)


class Shape(NamedTuple):
    """What a convention's numbers include."""

    input_includes_cache: bool
    output_includes_reasoning: bool


CLAIMS: dict[Convention, Shape] = {
    "openai": Shape(True, True),
    "anthropic": Shape(False, True),
    "bedrock_converse": Shape(False, True),
    "bedrock_log": Shape(False, True),
    "gemini": Shape(True, False),
    "xai": Shape(True, False),
    "otel_semconv": Shape(True, True),
    "openinference": Shape(True, True),
    "langfuse": Shape(False, False),
    "helicone": Shape(False, True),
    "litellm": Shape(True, True),
    "langsmith": Shape(True, True),
    "portkey": Shape(True, True),
    "openrouter": Shape(True, True),
    "vercel": Shape(True, True),
    "codex": Shape(True, True),
    "inclusive": Shape(True, True),
    "exclusive": Shape(False, True),
    "inclusive, reasoning apart": Shape(True, False),
    "exclusive, reasoning apart": Shape(False, False),
    "inclusive as stated": Shape(True, True),
    "exclusive as stated": Shape(False, True),
}
UsageSource = Literal["provider", "gateway", "estimated", "missing"]


class Usage(msgspec.Struct, gc=False):
    """Token counts as the log states them, before they are normalised."""

    convention: Convention  # what the source claims; see CLAIMS
    input: int | None = None
    output: int | None = None
    cache_read: int | None = 0  # None: the log never shows cache reads
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_write_other: int = 0
    other_ttl: str | None = None  # the TTL of `cache_write_other`, if known
    unstated_writes: int = 0  # writes above for which the counts state no TTL
    reasoning: int = 0
    total: int | None = None  # only where the provider itself reported it
    unreadable: tuple[str, ...] = ()  # fields above whose stated count can't be read
    source: UsageSource = "provider"


BRIDGE = "bridge "  # how `same_as` begins where one call passed through several parts of a gateway


class Prompt(msgspec.Struct, gc=False):
    """What was sent, as JSON in any of the dialects that `content` reads."""

    tools: Buffer = NOTHING
    system: Buffer = NOTHING
    messages: Sequence[Buffer] = ()
    hashes: Sequence[tuple[str, int, str]] = ()  # blocks known only by hash: name, tokens, role
    auto_marker: str | None = None  # a cache write is asked for after the last segment


class BilledUnit(msgspec.Struct, frozen=True, gc=False):
    """What a call is billed for besides its text tokens; see BILLED_UNIT."""

    unit: UnitName
    quantity: float | None  # None: the log states it, but it can't be read
    model: str | None = None


class Settings(msgspec.Struct, frozen=True, gc=False):
    """The request settings that are part of a provider's cached prefix; as in REQUESTS."""

    tool_choice: str | None = None
    thinking: str | None = None
    response_format: str | None = None
    cache_options: str | None = None
    cache_key: str | None = None
    auto_cache_ttl: str | None = None


NO_SETTINGS = Settings()


class Call(msgspec.Struct, kw_only=True, gc=False):
    """One call of a model; fields have the meaning they have in REQUESTS, or as commented here."""

    source: str = ""  # set if the records of a file come from several sources
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
    kind: CallKind = "chat"
    endpoint: str | None = None
    tenant: str | None = None
    user: str | None = None
    conversation: str | None = None
    prompt: Prompt | None = None
    account: str | None = None
    session: str | None = None
    agent: str | None = None
    parent_call: str | None = None
    forked_from: str | None = None  # the session whose history starts this session
    span: str | None = None  # key of its span in a trace; child spans name it in `within`
    within: str | None = None  # key of the parent span
    skill: str | None = None
    branch: str | None = None
    client_version: str | None = None
    tags: tuple[str, ...] = ()
    answer: Buffer = NOTHING  # JSON in any of the dialects that `content` reads
    usage: Usage | None = None
    units: tuple[BilledUnit, ...] = ()
    settings: Settings = NO_SETTINGS
    unread: tuple[tuple[str, float], ...] = ()  # numbers in its usage that we don't use
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
    attempt: int | None = None  # None: derived from neighbouring calls
    served_by: Literal["provider", "gateway_cache"] = "provider"
    truncated: bool = False
    updated_us: int | None = None  # if two copies are equally good, the later wins


class Record(msgspec.Struct, gc=False):
    """One record of a file: a line, a row, or an element of a list within them."""

    offset: int  # byte offset in the decompressed file; row number of a table
    index: int  # place among the records at that offset
    data: Buffer  # JSON text


class Skip(msgspec.Struct, gc=False):
    """Why a record makes no row, and its span, which links child spans to their parents."""

    reason: str  # a short class, such as bad-json
    detail: str  # one sentence without content from the log
    span: str | None = None  # as in Call
    within: str | None = None


Key = tuple[int, int]  # offset and index of a record in its file


class Kept(msgspec.Struct, gc=False):
    """A call, the record it was made from, and the records it absorbed."""

    key: Key
    call: Call
    merged: list[tuple[Key, str]] = []  # records that are part of it, each with a reason
