"""What agents' sessions cost, by cause and by lifetime of the cache: a part of the audit."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from costaudit.contracts.grades import Grade

CAUSES = (
    "first_write",
    "growth",
    "read",
    "idle",
    "compaction",
    "rewritten",
    "thinking_stripped",
    "model",
    "tools",
    "system",
    "version",
    "settings",
    "place",
    "cache_key",
    "parallel",
    "markers",
    "short",
    "not_cached",
    "untold",
    "provider",
    "output",
    "units",
    "logged",
)  # why money was spent; these causes split the whole cost of a call
MISSES = CAUSES[3:20]
CAUSE_NAMES = {
    "first_write": "First prompt of a thread",
    "growth": "New text of the turns",
    "read": "Text read from the cache",
    "idle": "Idle for longer than the cache lives",
    "compaction": "Compaction",
    "rewritten": "History rewritten",
    "thinking_stripped": "Thinking blocks left out",
    "model": "Model switched",
    "tools": "Set or order of tools changed",
    "system": "System prompt changed",
    "version": "Program updated",
    "settings": "Settings changed (tool choice, thinking, format)",
    "place": "Other region or account",
    "cache_key": "Other cache key",
    "parallel": "Sent before the prefix was written",
    "markers": "No marker where the prefix ends",
    "short": "Below the provider's minimum",
    "not_cached": "No caching asked for, or none there",
    "untold": "Sent again; the log does not say what was cached",
    "provider": "Evicted early or routed elsewhere",
    "output": "Output",
    "units": "Searches and other units",
    "logged": "Logged cost beyond list prices",
}
CAUSE_MENDS = {
    "idle": "Ask for the longer lifetime, or keep the prefix alive, where the table below says so.",
    "compaction": "Compact seldom and by much, at a pause that outlives the cache anyway.",
    "rewritten": "Append to the history, and leave what was sent as it is.",
    "thinking_stripped": "Send earlier thinking blocks back unchanged.",
    "model": "Stay with one model within a session, or hand over to a subagent.",
    "tools": "Send the same tools in the same order all session; restrict them by tool_choice.",
    "system": "Move what changes in the system prompt into the last message.",
    "version": "Update the program between sessions.",
    "settings": "Keep tool choice, thinking and format the same within a session.",
    "place": "Pin a session to one region, deployment and account.",
    "cache_key": "Send the same prompt_cache_key all session.",
    "parallel": "Start parallel calls after the first one's first token.",
    "markers": "Mark the end of the last message; automatic caching does it.",
    "short": "None: the prefix is too short to be cached.",
    "not_cached": "Turn prompt caching on.",
    "untold": "Log the provider's cache counters.",
    "provider": "None: the provider evicted the entry early or routed the call elsewhere.",
}


@dataclass(frozen=True)
class CauseRow:
    """One cause of cost."""

    cause: str  # of CAUSES
    calls: int
    tokens: int
    usd: Decimal
    extra_usd: Decimal  # of misses: above what reading the same tokens would have cost


@dataclass(frozen=True)
class CallRow:
    """One call within a turn."""

    request_id: str
    ts: str
    model: str
    input_tokens: int
    read_tokens: int
    missed_tokens: int
    cause: str  # of the miss; "" without one
    gap_s: float | None  # since its prefix was used last
    output_tokens: int
    usd: Decimal


@dataclass(frozen=True)
class TurnRow:
    """A turn of a session: what a user asked, and the calls until the next question."""

    agent: str  # "" for the session's own agent
    turn: int
    usd: Decimal
    calls: tuple[CallRow, ...]


Policy = str  # none | 5m | 1h | 30m | 12h | 5m kept alive N times | ...


@dataclass(frozen=True)
class PolicyCost:
    """What a session would cost under one lifetime; output and units are the same under all."""

    policy: Policy
    usd: Decimal  # input, pings included
    ping_usd: Decimal
    pings: int
    read_share: float  # of the input


@dataclass(frozen=True)
class SessionRow:
    """One session."""

    session: str
    agents: int  # subagents beside the session's own
    models: tuple[str, ...]
    started: str  # ISO time; "" where the log has none
    minutes: float
    turns: int
    calls: int
    input_tokens: int
    usd: Decimal
    causes: tuple[CauseRow, ...]  # they add up to `usd`
    read_share: float | None  # of the input, as billed; None where the log does not say
    simulated_read_share: float | None  # under the lifetime in use; None without prompts
    policy: Policy  # in use; "" where the log does not say
    best: Policy
    policies: tuple[PolicyCost, ...]
    saving_usd: Decimal  # of the best policy over the one in use, as far as the bill supports it
    claim: Literal["simulated", "estimated", "none"]


@dataclass(frozen=True)
class IdleRow:
    """Misses after pauses of one length."""

    pause: str  # such as 5 to 15 min
    calls: int
    tokens: int
    usd: Decimal
    read_usd: Decimal  # what a read of the same tokens would have cost


@dataclass(frozen=True)
class CompactionRow:
    """One compaction, with its cost and its saving."""

    session: str
    ts: str
    before_tokens: int
    after_tokens: int
    later_calls: int  # calls without the removed text, until the next compaction
    cost_usd: Decimal  # to send the remainder again, beyond reading it, and to write the summary
    saved_usd: Decimal  # on the later calls, at the price that their prefix was billed at
    net_usd: Decimal  # saved less cost


@dataclass(frozen=True)
class ToolRow:
    """The definition of one tool in the sessions' prompts."""

    tool: str
    sessions: int  # that carry it
    calling_sessions: int
    calls: int  # of models that carry it
    uses: int  # calls of the tool
    tokens: int  # of one definition, on average
    usd: Decimal  # what carrying it was billed
    unused_usd: Decimal  # of that, in sessions that never called it
    break_even: float | None  # loads in a session up to which deferred loading is cheaper


@dataclass(frozen=True)
class LoopRow:
    """A tool call that a session repeated with an equal result."""

    session: str
    tool: str
    repeats: int  # beyond the second
    usd: Decimal  # of the calls that asked for them


LifetimeName = Literal["5 min", "1 h", "no limit"]


@dataclass(frozen=True)
class LifetimeRow:
    """What all sessions would read under one lifetime, with one cache for each session."""

    lifetime: LifetimeName
    read_share: float  # of the input
    units: float | None  # input tokens that cost as much: reads 0.1, writes 1.25 or 2
    sessions_best: int | None  # in which it is the cheaper one


@dataclass(frozen=True)
class SessionsSection:
    """The sessions of a log."""

    sessions: tuple[SessionRow, ...]  # dearest first; those beyond the first are not listed
    count: int
    calls: int
    total_usd: Decimal  # of all sessions
    causes: tuple[CauseRow, ...]  # of all sessions
    idle: tuple[IdleRow, ...]
    lifetimes: tuple[LifetimeRow, ...]
    better_units: float | None  # with the cheaper of both lifetimes for each session
    saving_usd: Decimal  # of the best policy of each session
    saving_grade: Grade
    compactions: tuple[CompactionRow, ...]
    tools: tuple[ToolRow, ...]
    loops: tuple[LoopRow, ...]
    simulated_causes: tuple[CauseRow, ...] = ()  # where no call says what was read: as if each
    # had asked for the lifetime below; they do not add up to the spend
    simulated_policy: Policy = ""
    turns: tuple[TurnRow, ...] = ()  # of the one session that was asked for
    notes: tuple[str, ...] = ()
