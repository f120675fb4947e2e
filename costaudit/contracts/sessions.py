"""The audit's section on what agents' sessions cost, by cause and by cache lifetime."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from costaudit.contracts.grades import Grade
from costaudit.contracts.prefix import Claim

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

    cause: str  # one of CAUSES
    calls: int
    tokens: int
    usd: Decimal
    extra_usd: Decimal  # for misses: beyond what reading the same tokens would have cost


@dataclass(frozen=True)
class CallRow:
    """One call within a turn."""

    request_id: str
    ts: str
    model: str
    input_tokens: int
    read_tokens: int
    missed_tokens: int
    cause: str  # cause of the miss; "" without a miss
    gap_s: float | None  # seconds since its prefix was last used
    output_tokens: int
    usd: Decimal


@dataclass(frozen=True)
class TurnRow:
    """A turn of a session: a user's question, and the calls until the next question."""

    agent: str  # "" for the session's main agent
    turn: int
    usd: Decimal
    calls: tuple[CallRow, ...]


Policy = str  # a cache lifetime: none | 5m | 1h | 30m | 12h | 5m kept alive N times | ...


@dataclass(frozen=True)
class PolicyCost:
    """What a session's input would cost under one policy; output and units don't depend on it."""

    policy: Policy
    usd: Decimal  # input, including keep-alive pings
    ping_usd: Decimal
    pings: int
    read_share: float  # share of the input that is read from the cache


@dataclass(frozen=True)
class SessionRow:
    """One session."""

    session: str
    agents: int  # subagents, without the session's main agent
    models: tuple[str, ...]
    started: str  # ISO time; "" if the log has no times
    minutes: float
    turns: int
    calls: int
    input_tokens: int
    usd: Decimal
    causes: tuple[CauseRow, ...]  # they add up to `usd`
    read_share: float | None  # of the input, as billed; None if the log doesn't tell
    simulated_read_share: float | None  # under the policy in use; None without prompts
    policy: Policy  # in use; "" if the log doesn't tell
    best: Policy
    policies: tuple[PolicyCost, ...]
    saving_usd: Decimal  # by the best policy over the one in use, as far as the bill supports it
    claim: Claim


@dataclass(frozen=True)
class IdleRow:
    """Misses after pauses of similar length."""

    pause: str  # for example 5 to 15 min
    calls: int
    tokens: int
    usd: Decimal
    read_usd: Decimal  # what a read of the same tokens would have cost


@dataclass(frozen=True)
class CompactionRow:
    """One compaction of a session's history, with its cost and savings."""

    session: str
    ts: str
    before_tokens: int
    after_tokens: int
    later_calls: int  # calls without the removed text, until the next compaction
    cost_usd: Decimal  # extra cost of sending the rest again over reading it, and of the summary
    saved_usd: Decimal  # on the later calls, at the price that their prefix was billed at
    net_usd: Decimal  # saved_usd minus cost_usd


@dataclass(frozen=True)
class ToolRow:
    """The cost of one tool's definition in the sessions' prompts."""

    tool: str
    sessions: int  # sessions whose prompts have the definition
    calling_sessions: int  # sessions that called the tool
    calls: int  # model calls whose prompts have the definition
    uses: int  # calls of the tool
    tokens: int  # mean size of the definition
    usd: Decimal  # billed for the definition
    unused_usd: Decimal  # of that, billed in sessions that never called the tool
    break_even: float | None  # loads per session up to which deferred loading is cheaper


@dataclass(frozen=True)
class LoopRow:
    """A tool call that a session repeated with the same result."""

    session: str
    tool: str
    repeats: int  # after the second one
    usd: Decimal  # cost of the model calls that requested them


LifetimeName = Literal["5 min", "1 h", "no limit"]


@dataclass(frozen=True)
class LifetimeRow:
    """What all sessions would read under one cache lifetime, with one cache per session."""

    lifetime: LifetimeName
    read_share: float  # share of the input that is read from the cache
    units: float | None  # cost in uncached input tokens: a read counts 0.1, a write 1.25 or 2
    sessions_best: int | None  # number of sessions for which it is the cheaper one


@dataclass(frozen=True)
class SessionsSection:
    """The sessions of a log."""

    sessions: tuple[SessionRow, ...]  # most expensive first; an audit lists only the first ones
    count: int
    calls: int
    total_usd: Decimal  # of all sessions
    causes: tuple[CauseRow, ...]  # of all sessions
    idle: tuple[IdleRow, ...]
    lifetimes: tuple[LifetimeRow, ...]
    better_units: float | None  # like `units`, with the cheaper lifetime for each session
    saving_usd: Decimal  # with the best policy for each session
    saving_grade: Grade
    compactions: tuple[CompactionRow, ...]
    tools: tuple[ToolRow, ...]
    loops: tuple[LoopRow, ...]
    # If no call says what was read: the causes if each call had asked for `simulated_policy`. They
    # don't add up to the spend.
    simulated_causes: tuple[CauseRow, ...] = ()
    simulated_policy: Policy = ""
    turns: tuple[TurnRow, ...] = ()  # of the requested session
    notes: tuple[str, ...] = ()
