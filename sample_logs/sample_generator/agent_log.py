"""The catalogue agent's log: Anthropic Messages pairs with tools, markers and growing history."""

import datetime as dt
import json
import random
import tomllib
from collections.abc import Iterator
from typing import Any

from sample_generator.agent_output import invent
from sample_generator.conversations import base62
from sample_generator.corpus import CONTENT
from sample_generator.marked_cache import MarkedCache, Use, block_tokens
from sample_generator.world import START

SEED = 20261002
SESSIONS = 32
SNAPSHOTS = {
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
}
USD_PER_MTOK = {"claude-sonnet-4-5": (3.0, 15.0), "claude-haiku-4-5": (1.0, 5.0)}  # input, output
OVERLOADED_SHARE = 0.012


def _content() -> dict[str, Any]:
    return tomllib.loads((CONTENT / "agent.toml").read_text(encoding="utf-8"))


def _fill(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace(f"{{{name}}}", text)
        return value
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    return value


def cost_usd(model: str, use: Use, output: int) -> float:
    """Price one call: reads at 0.1, 5-minute writes at 1.25 and 1-hour writes at 2 times input."""
    price, output_price = USD_PER_MTOK[model]
    units = use.fresh + 0.1 * use.read + 1.25 * use.write_5m + 2 * use.write_1h
    return round((units * price + output * output_price) / 1_000_000, 9)


class Session:
    """Plays one engineer's session with the agent."""

    def __init__(self, number: int, start: dt.datetime, rng: random.Random) -> None:
        self._rng = rng
        self.id = f"sess_{base62(rng, 12)}"
        self.user = f"eng-{rng.randrange(1, 7)}"
        self.model = "claude-haiku-4-5" if number % 5 == 3 else "claude-sonnet-4-5"
        self.marked = number % 8 != 6  # an old client sends no markers
        self.now = start
        self.messages: list[dict[str, Any]] = []
        self.system: list[dict[str, Any]] = [
            {"type": "text", "text": (CONTENT / "system" / "agent.md").read_text("utf-8")}
        ]
        if number % 6 == 1:  # a client that opens with the start of the session
            opened = f"Session {self.id} opened {start:%Y-%m-%dT%H:%M:%SZ} by {self.user}."
            self.system.insert(0, {"type": "text", "text": opened})
        self.tools = json.loads((CONTENT / "agent_tools.json").read_text("utf-8"))

    def plan(self) -> Iterator[tuple[dt.datetime, dict[str, Any], list[dict[str, Any]]]]:
        """Yield start, request and answer blocks of every call; `now` moves on between them."""
        content = _content()
        jobs = self._rng.sample(content["job"], self._rng.choice([1, 2, 2]))
        for place, job in enumerate(jobs):
            if place:
                self._pause()
            yield from self._job(job, content["values"])
            if self._rng.random() < 0.6:
                self._pause()
                yield from self._question(content["more"])

    def _pause(self) -> None:
        minutes = self._rng.choice([0.6, 1.5, 2.5, 4.0, 7.0, 12.0, 75.0])
        self.now += dt.timedelta(minutes=minutes, seconds=self._rng.uniform(0, 40))

    def _job(self, job: dict[str, Any], lists: dict[str, list[str]]) -> Iterator[Any]:
        values = {name: self._rng.choice(options) for name, options in lists.items()}
        values |= {
            "ticket": f"CAT-{self._rng.randrange(1200, 1990)}",
            "n": str(self._rng.randrange(14, 380)),
            "day": f"2026-10-{self.now.day:02d}",
        }
        self._say_user([{"type": "text", "text": _fill(job["ask"], values)}])
        for step in job["steps"]:
            calls = [
                (call["tool"], _fill(call["input"], values), _fill(call["result"], values))
                for call in step["calls"]
            ]
            yield from self._tools(_fill(step["say"], values), calls)
        yield self._answer([{"type": "text", "text": _fill(job["done"], values)}])

    def _question(self, more: dict[str, list[str]]) -> Iterator[Any]:
        at = self._rng.randrange(len(more["ask"]))
        key = {"run_command": "command", "search_files": "pattern", "query_database": "sql"}
        tool = more["tool"][at]
        self._say_user([{"type": "text", "text": more["ask"][at]}])
        call = (tool, {key[tool]: more["input"][at]}, more["result"][at])
        yield from self._tools("Let me look.", [call])
        yield self._answer([{"type": "text", "text": more["answer"][at]}])

    def _tools(self, say: str, calls: list[tuple[str, Any, str]]) -> Iterator[Any]:
        uses = [
            {"type": "tool_use", "id": f"toolu_01{base62(self._rng, 22)}", "name": n, "input": i}
            for n, i, _ in calls
        ]
        yield self._answer([{"type": "text", "text": say}, *uses])
        self._say_user(
            [
                {
                    "type": "tool_result",
                    "tool_use_id": use["id"],
                    "content": invent(result, self._rng),
                }
                for use, (_, _, result) in zip(uses, calls, strict=True)
            ]
        )

    def _say_user(self, blocks: list[dict[str, Any]]) -> None:
        self.messages.append({"role": "user", "content": blocks})

    def _answer(self, blocks: list[dict[str, Any]]) -> tuple[Any, ...]:
        request = self._request()
        self.messages.append({"role": "assistant", "content": blocks})
        return self.now, request, blocks

    def _request(self) -> dict[str, Any]:
        system: list[dict[str, Any]] = [dict(block) for block in self.system]
        messages = [
            {"role": m["role"], "content": [dict(b) for b in m["content"]]} for m in self.messages
        ]
        if self.marked:
            system[-1]["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
            messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
        return {
            "model": self.model,
            "max_tokens": 4_096,
            "stream": False,
            "system": system,
            "tools": self.tools,
            "metadata": {"user_id": self.user},
            "messages": messages,
        }


class AgentLog:
    """Plays all sessions, interleaved by time, against one prompt cache."""

    def __init__(self, seed: int = SEED) -> None:
        self._rng = random.Random(seed)
        self._cache = MarkedCache()

    def _starts(self) -> list[dt.datetime]:
        days = [d for d in range(30) if (START + dt.timedelta(days=d)).weekday() < 5]
        return sorted(
            START
            + dt.timedelta(
                days=self._rng.choice(days), hours=7, seconds=self._rng.randrange(32_000)
            )
            for _ in range(SESSIONS)
        )

    def records(self) -> list[dict[str, Any]]:
        """Return the log in the order in which the calls began."""
        sessions = [
            Session(number, start, self._rng) for number, start in enumerate(self._starts())
        ]
        plans = [session.plan() for session in sessions]
        waiting = [(*next(plan), number) for number, plan in enumerate(plans)]
        records: list[dict[str, Any]] = []
        while waiting:
            waiting.sort(key=lambda step: (step[0], step[3]))
            start, request, blocks, number = waiting.pop(0)
            records += self._call(sessions[number], start, request, blocks)
            following = next(plans[number], None)
            if following is not None:
                waiting.append((*following, number))
        records.sort(key=lambda record: str(record["ts"]))
        return records

    def _call(
        self,
        session: Session,
        start: dt.datetime,
        request: dict[str, Any],
        blocks: list[dict[str, Any]],
    ) -> Iterator[dict[str, Any]]:
        attempt = 1
        if self._rng.random() < OVERLOADED_SHARE:
            yield self._wrap(session, start, request, attempt) | {
                "status": 529,
                "latency_ms": self._rng.randrange(90, 700),
                "cost_usd": 0.0,
                "response": {
                    "type": "error",
                    "error": {"type": "overloaded_error", "message": "Overloaded"},
                },
            }
            attempt, start = 2, start + dt.timedelta(seconds=self._rng.uniform(2, 6))
        first_ms = round(self._rng.lognormvariate(6.9, 0.3))
        output = sum(block_tokens(block) for block in blocks)
        latency_ms = first_ms + round(output * self._rng.uniform(11, 19))
        now = (start - START).total_seconds()
        use = self._cache.serve(request, now, now + first_ms / 1_000)
        tools_called = any(block["type"] == "tool_use" for block in blocks)
        yield self._wrap(session, start, request, attempt) | {
            "status": 200,
            "latency_ms": latency_ms,
            "ttft_ms": first_ms,
            "cost_usd": cost_usd(session.model, use, output),
            "response": {
                "id": f"msg_01{base62(self._rng, 22)}",
                "type": "message",
                "role": "assistant",
                "model": SNAPSHOTS[session.model],
                "content": blocks,
                "stop_reason": "tool_use" if tools_called else "end_turn",
                "stop_sequence": None,
                "usage": {
                    "input_tokens": use.fresh,
                    "cache_creation_input_tokens": use.write_5m + use.write_1h,
                    "cache_read_input_tokens": use.read,
                    "cache_creation": {
                        "ephemeral_5m_input_tokens": use.write_5m,
                        "ephemeral_1h_input_tokens": use.write_1h,
                    },
                    "output_tokens": output,
                    "service_tier": "standard",
                },
            },
        }
        ran = self._rng.uniform(0.2, 6.0)  # s, the tool's own time
        session.now = start + dt.timedelta(seconds=latency_ms / 1_000 + ran)

    def _wrap(
        self, session: Session, start: dt.datetime, request: dict[str, Any], attempt: int
    ) -> dict[str, Any]:
        return {
            "ts": start.strftime("%Y-%m-%dT%H:%M:%S.") + f"{start.microsecond // 1000:03d}Z",
            "request_id": f"req_011C{base62(self._rng, 20)}",
            "endpoint": "/v1/agents/catalogue",
            "tenant": "catalogue-team",
            "user": session.user,
            "session_id": session.id,
            "attempt": attempt,
            "request": request,
        }
