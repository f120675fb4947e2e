"""Build an agent's log with one planted cause of lost reads per endpoint, and its mended twin.

The counters come from a separate simulation of Anthropic's cache below, which shares no code with
the product. Prefixes are tuples of blocks. An entry is written at each marker, expires one lifetime
after its last use and is readable once the answer has started. A read ends at most LOOKBACK blocks
before a marker.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
MODEL, OTHER_MODEL = "claude-sonnet-4-5-20250929", "claude-sonnet-4-20250514"
MINIMUM = {MODEL: 1024, OTHER_MODEL: 1024}
LOOKBACK = 20
FIRST_TOKEN_S = 1.0
PRICE = (3.0, 0.3, 3.75, 6.0)  # USD per million tokens: input, read, 5m and 1h write
_WORDS = (
    "order parcel return invoice store address price window garden colour paper river stone "
    "table lamp summer winter morning evening harbour bridge market letter number basket"
)
WORDS = _WORDS.split()
SESSIONS, TURNS = 25, 5
CALLS = SESSIONS * TURNS

Block = dict[str, Any]


NAMES: list[str] = [f"{first}.{last}" for first in ("ann", "bob", "cy", "dee", "eve")
         for last in ("hill", "moss", "reed", "stone", "west")]  # fmt: skip


def words(count: int, seed: str) -> str:
    """Return a text of `count` words from a list; each word is one token."""
    chosen = random.Random(seed)
    return " ".join(chosen.choice(WORDS) for _ in range(count))


@dataclass
class Prompt:
    """One request before it is sent."""

    at: float  # seconds from the start
    session: str
    system: list[Block]
    messages: list[Block]
    tools: list[Block]
    model: str = MODEL
    settings: dict[str, Any] = field(default_factory=dict)


def tool(name: str, seed: str) -> Block:
    """Return the definition of a tool with about 450 tokens."""
    return {
        "name": name,
        "description": words(400, f"tool {seed}"),
        "input_schema": {
            "type": "object",
            "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
        },
    }


NAMED = ("search", "read_file", "list_orders", "run_tests")
MARK = {"type": "ephemeral"}


def text(content: str, **more: Any) -> Block:
    return {"type": "text", "text": content, **more}


def base(cause: str) -> list[Prompt]:
    """Return the calls of an agent without any cause of lost reads."""
    made = []
    for number in range(SESSIONS):
        for turn in range(TURNS):
            name = f"{cause}-{number}"
            messages: list[Block] = []
            for before in range(turn + 1):
                asked = f"{words(500, f'{name} ask {before}')}"
                messages.append({"role": "user", "content": [text(asked)]})
                if before < turn:
                    said = words(400, f"{name} say {before}")
                    messages.append({"role": "assistant", "content": [text(said)]})
            made.append(
                Prompt(
                    at=number * 150.0 + turn * 20.0,
                    session=name,
                    system=[text(words(2_000, f"system {cause}"))],
                    messages=messages,
                    tools=[tool(each, f"{cause} {each}") for each in NAMED],
                )
            )
    return made


def marked(prompt: Prompt) -> Prompt:
    """Return the prompt with a careful client's markers: after the system prompt and last block."""
    system = [dict(block) for block in prompt.system]
    system[-1]["cache_control"] = MARK
    messages = [dict(m, content=[dict(b) for b in m["content"]]) for m in prompt.messages]
    messages[-1]["content"][-1]["cache_control"] = MARK
    return replace(prompt, system=system, messages=messages)


def blocks_of(prompt: Prompt) -> list[tuple[str, int, str]]:
    """Return the identity, tokens and marker of each block in the provider's order."""
    settings = json.dumps(prompt.settings, sort_keys=True)
    found = []
    for each in prompt.tools:
        bare = {k: v for k, v in each.items() if k != "cache_control"}
        found.append((json.dumps(bare), 450, each.get("cache_control")))
    found += [(b["text"], tokens_of(b["text"]), b.get("cache_control")) for b in prompt.system]
    hop = settings  # a changed tool_choice or thinking invalidates the messages only
    for message in prompt.messages:
        for block in message["content"]:
            body = json.dumps({k: v for k, v in block.items() if k != "cache_control"})
            size = tokens_of(block.get("text") or body)
            found.append((hop + message["role"] + body, size, block.get("cache_control")))
            hop = ""
    return [
        (identity, size, (mark or {}).get("ttl", "5m") if mark else "")
        for identity, size, mark in found
    ]


def tokens_of(content: str) -> int:
    return len(content.split()) + 4


def billed(prompts: list[Prompt]) -> list[dict[str, int]]:
    """Return the counters of each call: input, read, 5-minute and 1-hour writes."""
    entries: dict[tuple[str, tuple[str, ...]], list[float]] = {}  # readable, expires, lifetime
    lives = {"5m": 300.0, "1h": 3600.0}
    counters = []
    for prompt in sorted(prompts, key=lambda one: one.at):
        blocks = blocks_of(prompt)
        path = tuple(identity for identity, _, _ in blocks)
        ends = [sum(size for _, size, _ in blocks[: n + 1]) for n in range(len(blocks))]
        marks = [n for n, (_, _, mark) in enumerate(blocks) if mark]
        marks = [n for n in marks if ends[n] >= MINIMUM[prompt.model]][-4:]
        looked = {n - back for n in marks for back in range(LOOKBACK) if n - back >= 0}
        hit = -1
        for n in sorted(looked, reverse=True):
            entry = entries.get((prompt.model, path[: n + 1]))
            if entry and entry[0] <= prompt.at < entry[1]:
                entry[1] = prompt.at + entry[2]
                hit = n
                break
        read = ends[hit] if hit >= 0 else 0
        written = {"5m": 0, "1h": 0}
        reach = read
        for kind in ("1h", "5m"):
            last = max((ends[n] for n in marks if blocks[n][2] == kind), default=0)
            if last > reach:
                written[kind], reach = last - reach, last
        for n in marks:
            if ends[n] > read:
                life = lives[blocks[n][2]]
                key = (prompt.model, path[: n + 1])
                old = entries.get(key)
                seen = prompt.at + FIRST_TOKEN_S
                if old and old[1] > prompt.at:
                    seen = min(seen, old[0])
                entries[key] = [seen, prompt.at + life, life]
        counters.append(
            {"input": ends[-1] - reach, "read": read, "5m": written["5m"], "1h": written["1h"]}
        )
    return counters


def usd(prompts: list[Prompt]) -> float:
    """Return the cost of the calls' input in dollars."""
    total = 0.0
    ordered = sorted(prompts, key=lambda one: one.at)
    for one in billed(ordered):
        counts = (one["input"], one["read"], one["5m"], one["1h"])
        total += sum(count * price for count, price in zip(counts, PRICE, strict=True)) / 1e6
    return total


def records(prompts: list[Prompt], endpoint: str) -> list[dict[str, Any]]:
    """Return the calls as log records of an Anthropic Messages client."""
    ordered = sorted(prompts, key=lambda one: one.at)
    made = []
    for n, (prompt, one) in enumerate(zip(ordered, billed(ordered), strict=True)):
        request = {
            "model": prompt.model, "max_tokens": 4000, "tools": prompt.tools,
            "system": prompt.system, "messages": prompt.messages, **prompt.settings,
        }  # fmt: skip
        usage = {
            "input_tokens": one["input"], "output_tokens": 200,
            "cache_read_input_tokens": one["read"],
            "cache_creation_input_tokens": one["5m"] + one["1h"],
            "cache_creation": {
                "ephemeral_5m_input_tokens": one["5m"],
                "ephemeral_1h_input_tokens": one["1h"],
            },
        }  # fmt: skip
        at = START + timedelta(seconds=prompt.at)
        made.append(
            {
                "timestamp": at.isoformat().replace("+00:00", "Z"),
                "endpoint": endpoint, "conversation_id": prompt.session,
                "latency_ms": 3000, "ttft_ms": FIRST_TOKEN_S * 1000,
                "request": request,
                "response": {
                    "id": f"msg_{endpoint[1:]}_{n}", "type": "message", "role": "assistant",
                    "model": prompt.model, "stop_reason": "end_turn",
                    "content": [text(f"answer {n}")], "usage": usage,
                },
            }
        )  # fmt: skip
    return made


Plant = Callable[[int, Prompt], Prompt]


def _system(change: Callable[[int, Prompt], str]) -> Plant:
    return lambda n, one: replace(one, system=[text(f"{change(n, one)} {one.system[0]['text']}")])


def _first_message(n: int, one: Prompt) -> Prompt:
    messages = [dict(m) for m in one.messages]
    uid = uuid_of(f"{one.session} {n}")
    first = f"Request {uid}\n{words(900, 'manual')}\n" + messages[0]["content"][0]["text"]
    messages[0] = {"role": "user", "content": [text(first)]}
    return replace(one, messages=messages)


def uuid_of(seed: str) -> str:
    digits = f"{random.Random(seed).getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _tools_shuffled(n: int, one: Prompt) -> Prompt:
    tools = list(one.tools)
    random.Random(n).shuffle(tools)
    return replace(one, tools=tools)


def _tools_come_and_go(n: int, one: Prompt) -> Prompt:
    return replace(one, tools=one.tools[: 3 + n % 2])


def _keys_turn(n: int, one: Prompt) -> Prompt:
    first = dict(one.tools[0])
    properties = first["input_schema"]["properties"]
    order = list(properties.items())[:: 1 if n % 2 else -1]
    first["input_schema"] = {"type": "object", "properties": dict(order)}
    return replace(one, tools=[first, *one.tools[1:]])


def _tool_says_when(n: int, one: Prompt) -> Prompt:
    first = dict(one.tools[0])
    first["description"] = f"{n} files are open. " + first["description"]
    return replace(one, tools=[first, *one.tools[1:]])


def _line_ends(n: int, one: Prompt) -> Prompt:
    lines = one.system[0]["text"].replace("parcel", "parcel\n")
    return replace(one, system=[text(lines.replace("\n", "\r\n") if n % 2 else lines)])


def _lines(one: Prompt) -> Prompt:
    return replace(one, system=[text(one.system[0]["text"].replace("parcel", "parcel\n"))])


def _many_blocks(one: Prompt) -> Prompt:
    """Split each message into about 26 blocks, more than the lookback from a marker covers."""
    messages = []
    for message in one.messages:
        whole = message["content"][0]["text"].split()
        step = max(len(whole) // 26, 1)
        parts = [" ".join(whole[at : at + step]) for at in range(0, len(whole), step)]
        messages.append({**message, "content": [text(part) for part in parts]})
    return replace(one, messages=messages)


def _middle_mark(one: Prompt) -> Prompt:
    """Add markers in the middle of the last two messages."""
    messages = [dict(m, content=[dict(b) for b in m["content"]]) for m in one.messages]
    for message in messages[-2:]:
        message["content"][len(message["content"]) // 2]["cache_control"] = MARK
    return replace(one, messages=messages)


def _rewritten(n: int, one: Prompt) -> Prompt:
    messages = [dict(m) for m in one.messages]
    for place, message in enumerate(messages[:-1]):
        if message["role"] == "assistant":
            said = message["content"][0]["text"].split()
            cut = " ".join(said[: 200 + 10 * (len(messages) - place)])
            messages[place] = {**message, "content": [text(cut)]}
    return replace(one, messages=messages)


def _stretched(gap: float) -> Plant:
    def change(n: int, one: Prompt) -> Prompt:
        session, turn = divmod(n, TURNS)
        return replace(one, at=session * TURNS * gap + turn * gap)

    return change


def _at_once(n: int, one: Prompt) -> Prompt:
    session, _ = divmod(n, TURNS)
    messages = [*one.messages[:1]]
    own = {"role": "user", "content": [text(words(60, f"own {n}"))]}
    document = {"role": "user", "content": [text(words(5_000, f"document {session}"))]}
    return replace(
        one, at=session * 400.0 + (n % TURNS) * 0.05, messages=[document, *messages[:0], own]
    )


def _one_by_one(n: int, one: Prompt) -> Prompt:
    planted = _at_once(n, one)
    return replace(planted, at=(n // TURNS) * 400.0 + (n % TURNS) * 5.0)


@dataclass(frozen=True)
class Cause:
    """One planted cause and the expected finding."""

    kind: str  # a breaker's kind
    where: str  # words in the reported place
    plant: Plant
    twin: Plant = lambda n, one: one
    mark: Callable[[Prompt], Prompt] = marked
    mark_twin: Callable[[Prompt], Prompt] = marked


def _only_tools_marked(one: Prompt) -> Prompt:
    tools = [dict(each) for each in one.tools]
    tools[-1]["cache_control"] = MARK
    return replace(one, tools=tools)


def _system_marked(one: Prompt) -> Prompt:
    system = [dict(block) for block in one.system]
    system[-1]["cache_control"] = MARK
    return replace(one, system=system)


def _hour(one: Prompt) -> Prompt:
    done = marked(one)
    long = {**MARK, "ttl": "1h"}
    done.system[-1]["cache_control"] = long
    done.messages[-1]["content"][-1]["cache_control"] = long
    return done


def _stamp(n: int, one: Prompt) -> str:
    return f"It is {(START + timedelta(seconds=one.at)).isoformat()}."


CAUSES: dict[str, Cause] = {
    "timestamp": Cause("timestamp", "system", _system(_stamp)),
    "uuid": Cause("uuid", "message", _first_message),
    "counter": Cause("counter", "system", _system(lambda n, one: f"Call {n + 1000}.")),
    "user": Cause(
        "user", "system",
        _system(lambda n, one: f"The user is {NAMES[n % 25]}@example.com."),
    ),
    "tool_order": Cause("tool_order", "tools", _tools_shuffled),
    "tool_set": Cause("tool_set", "tools", _tools_come_and_go),
    "json_key_order": Cause("json_key_order", "tools", _keys_turn),
    "tool_changed": Cause("tool_changed", "tools", _tool_says_when),
    "whitespace": Cause("whitespace", "system", _line_ends, lambda n, one: _lines(one)),
    "tool_choice": Cause(
        "tool_choice", "settings",
        lambda n, one: replace(
            one, settings={"tool_choice": {"type": "any"}} if n % 2 else {}
        ),
    ),
    "thinking": Cause(
        "thinking", "settings",
        lambda n, one: replace(
            one, settings={"thinking": {"type": "enabled", "budget_tokens": 1024 * (1 + n % 2)}}
        ),
        lambda n, one: replace(
            one, settings={"thinking": {"type": "enabled", "budget_tokens": 1024}}
        ),
    ),
    "ttl_gap": Cause("ttl_gap", "pause", _stretched(1200.0), _stretched(1200.0), marked, _hour),
    "no_markers": Cause(
        "no_markers", "marker", lambda n, one: one, mark=lambda one: one, mark_twin=marked
    ),
    "marker_placement": Cause(
        "marker_placement", "marker", lambda n, one: one, mark=_only_tools_marked
    ),
    "history_rewritten": Cause("history_rewritten", "history", _rewritten),
    "model_switch": Cause(
        "model_switch", "model",
        lambda n, one: replace(one, model=OTHER_MODEL if n % TURNS >= 3 else MODEL),
    ),
}  # fmt: skip


def planted(cause: str) -> list[Prompt]:
    """Return the calls with a planted cause."""
    one = CAUSES[cause]
    return [one.mark(one.plant(n, prompt)) for n, prompt in enumerate(base(cause))]


def twin(cause: str) -> list[Prompt]:
    """Return the same calls without the cause."""
    one = CAUSES[cause]
    return [one.mark_twin(one.twin(n, prompt)) for n, prompt in enumerate(base(cause))]
