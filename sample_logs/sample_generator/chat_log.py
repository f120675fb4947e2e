"""The support chatbot's log: OpenAI chat-completions request/response pairs, and its truth."""

import datetime as dt
import random
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from sample_generator import corpus
from sample_generator.automatic_cache import AutomaticCache
from sample_generator.conversations import (
    CHAT,
    EMAIL,
    WIDGET,
    Attempt,
    Call,
    base62,
    make_calls,
    system_prompt,
    tools_of,
)
from sample_generator.failures import error_body, failed_latency_ms
from sample_generator.noise import without_accents
from sample_generator.tokens import count, encoding, render_tools, token_ids, token_ids_by_line
from sample_generator.world import START

SEED = 20261001
LINES = 12_000
SNAPSHOTS = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
}
USD_PER_MTOK = {  # uncached input, cached input, output
    "gpt-4o": (2.50, 1.25, 10.00),
    "gpt-4o-mini": (0.15, 0.075, 0.60),
    "gpt-4.1": (2.00, 0.50, 8.00),
}
FINGERPRINTS = {
    "gpt-4o": ["fp_7a1c04e9b2", "fp_d28e61f530"],
    "gpt-4o-mini": ["fp_30b9f8274c", "fp_91ce5a07d6"],
    "gpt-4.1": ["fp_c4417be2a8", "fp_5f02d93b1e"],
}
MAX_TOKENS = {CHAT: 300, WIDGET: 50, EMAIL: 260}
GATEWAY_TTL_S = 172_800.0
PER_MESSAGE = array("q", [-1, -2, -3])  # the framing tokens around each message
TRUTH_COLUMNS = [
    *["request_id", "response_id", "conversation", "turn", "kind", "intent", "language"],
    *["answer_id", "is_trap", "trap_group", "outcome"],
]


@dataclass
class Line:
    """One log line and the row of truth that belongs to it."""

    record: dict[str, Any]
    truth: dict[str, Any]


def _message_text(message: dict[str, Any]) -> str:
    calls = "".join(
        call["function"]["name"] + call["function"]["arguments"]
        for call in message.get("tool_calls", [])
    )
    return (message["content"] or "") + calls


@cache
def _rendered(names: tuple[str, ...]) -> str:
    return render_tools([tool for tool in corpus.tools() if tool["function"]["name"] in names])


def prompt_ids(tools: list[dict[str, Any]], messages: list[dict[str, Any]]) -> "array[int]":
    """Render a prompt as token ids: the tools first, then every message with its framing."""
    ids = token_ids(_rendered(tuple(tool["function"]["name"] for tool in tools)))[:]
    for message in messages:
        ids.extend(PER_MESSAGE)
        ids.extend(token_ids(message["role"]))
        text = _message_text(message)
        moving = message["role"] == "system" and "Current time:" in text
        ids.extend(token_ids_by_line(text) if moving else token_ids(text))
    ids.extend(PER_MESSAGE)  # the answer's opening
    return ids


def gateway_text(text: str) -> str:
    """Return what the gateway compares: letters and digits only, without case and accents."""
    return re.sub(r"[\W_]+", " ", without_accents(text.lower())).strip()


def cost_usd(model: str, prompt: int, cached: int, completion: int) -> float:
    """Price one call at the list prices of October 2026."""
    uncached_price, cached_price, output_price = USD_PER_MTOK[model]
    micro = (prompt - cached) * uncached_price + cached * cached_price + completion * output_price
    return round(micro / 1_000_000, 9)


def _stamp(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class ChatLog:
    """Renders calls in time order, with caches and clocks of its own."""

    def __init__(self, seed: int = SEED, lines: int = LINES) -> None:
        self._rng = random.Random(seed)
        self._calls = make_calls(random.Random(seed + 1), lines)
        self._prompt_cache = AutomaticCache(random.Random(seed + 2))
        self._gateway: dict[tuple[str, ...], tuple[float, Call]] = {}
        self._roots: dict[int, str] = {}

    def lines(self) -> Iterator[Line]:
        """Yield the log's lines in the order of their time stamps."""
        tries = [
            (attempt.moment, number, place, call)
            for number, call in enumerate(self._calls)
            for place, attempt in enumerate(call.attempts)
        ]
        tries.sort(key=lambda row: row[:3])
        for _, number, place, call in tries:
            yield self._line(number, place, call)

    def _line(self, number: int, place: int, call: Call) -> Line:
        attempt = call.attempts[place]
        request_id = f"req_{self._rng.getrandbits(96):024x}"
        root = self._roots.setdefault(number, request_id)
        request = self._request(call)
        record: dict[str, Any] = {
            "request_id": request_id,
            "timestamp": _stamp(attempt.moment),
            "endpoint": call.endpoint,
            "tenant": call.user.tenant.id,
            "user": call.user.id,
            "conversation_id": call.conversation,
            "attempt": place + 1,
        }
        if place:
            record["root_request_id"] = root
        outcome = self._answer(record, request, call, attempt)
        exchange = call.exchange
        response = record["response"] or {}
        truth = {
            "request_id": request_id,
            "response_id": response.get("id", ""),
            "conversation": call.conversation,
            "turn": call.turn,
            "kind": exchange.kind,
            "intent": exchange.intent,
            "language": call.user.language,
            "answer_id": f"{exchange.intent}:tool" if call.tool_call else exchange.answer_id,
            "is_trap": int(bool(exchange.trap_group)),
            "trap_group": exchange.trap_group,
            "outcome": outcome,
        }
        return Line(record, truth)

    def _request(self, call: Call) -> dict[str, Any]:
        system = system_prompt(call.endpoint, call.user, call.moment)
        request: dict[str, Any] = {
            "model": call.model,
            "messages": [{"role": "system", "content": system}, *call.messages],
            "tools": tools_of(call.endpoint),
            "temperature": call.temperature,
            "max_tokens": MAX_TOKENS.get(call.endpoint, 300),
            "user": call.user.id,
        }
        if call.endpoint in (CHAT, WIDGET):
            request |= {"stream": True, "stream_options": {"include_usage": True}}
        return request

    def _answer(
        self, record: dict[str, Any], request: dict[str, Any], call: Call, attempt: Attempt
    ) -> str:
        """Complete the record with a response; return how the attempt ended."""
        if attempt.status != 200:
            self._failure(record, request, call, attempt)
            return "failed"
        ids = prompt_ids(request["tools"], request["messages"])
        now = (attempt.moment - START).total_seconds()
        stored = self._stored(call, now)
        answer = (stored or call).reply["content"] or ""
        finish, answer = self._finish(answer, call, request["max_tokens"])
        call.reply["content"] = answer or None
        completion = count(answer) + 1 if call.tool_call is None else self._tool_tokens(call)
        served = stored is not None
        cached = 0 if served else self._prompt_cache.lookup(call.model, ids, now)
        self._timing(record, request, len(ids) - cached, completion, served)
        record["status"] = 200
        record["cache_status"] = "HIT" if served else "MISS"
        record["cost_usd"] = 0.0 if served else cost_usd(call.model, len(ids), cached, completion)
        record["request"] = request
        record["response"] = self._response(call, attempt, answer, finish)
        record["response"]["usage"] = {
            "prompt_tokens": len(ids),
            "completion_tokens": completion,
            "total_tokens": len(ids) + completion,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
        if stored is not None:
            call.exchange.answer_id = stored.exchange.answer_id
            return "gateway_hit"
        return {"stop": "ok", "tool_calls": "tool_call", "length": "truncated"}[finish]

    def _stored(self, call: Call, now: float) -> Call | None:
        """Return the call whose answer the gateway serves to the same first question, if any."""
        if call.endpoint not in (CHAT, WIDGET) or len(call.messages) > 1 or call.tool_call:
            return None
        key = (call.endpoint, call.user.tenant.id, call.model, gateway_text(call.exchange.text))
        found = self._gateway.get(key)
        if found is not None and now - found[0] <= GATEWAY_TTL_S:
            return found[1]
        self._gateway[key] = (now, call)
        return None

    @staticmethod
    def _finish(answer: str, call: Call, limit: int) -> tuple[str, str]:
        if call.tool_call is not None:
            return "tool_calls", ""
        if count(answer) < limit:
            return "stop", answer
        return "length", encoding().decode(list(token_ids(answer)[: limit - 1]), errors="ignore")

    @staticmethod
    def _tool_tokens(call: Call) -> int:
        assert call.tool_call is not None
        function = call.tool_call["function"]
        return count(function["name"]) + count(function["arguments"]) + 7

    def _timing(
        self,
        record: dict[str, Any],
        request: dict[str, Any],
        fresh: int,
        completion: int,
        served: bool,
    ) -> None:
        if served:
            record["latency_ms"] = self._rng.randrange(9, 60)
            return
        small = request["model"] == "gpt-4o-mini"
        first = self._rng.lognormvariate(5.75 if small else 6.05, 0.38) + fresh * 0.05
        each = self._rng.lognormvariate(2.3 if small else 2.75, 0.22)
        record["latency_ms"] = round(first + completion * each)
        if request.get("stream"):
            record["ttft_ms"] = round(first)

    def _response(self, call: Call, attempt: Attempt, answer: str, finish: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": answer or None, "refusal": None}
        if call.tool_call is not None:
            message["tool_calls"] = [call.tool_call]
        late = (attempt.moment - START).days >= 17
        return {
            "id": f"chatcmpl-{base62(self._rng, 29)}",
            "object": "chat.completion",
            "created": int(attempt.moment.timestamp()),
            "model": SNAPSHOTS[call.model],
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
            ],
            "service_tier": "default",
            "system_fingerprint": FINGERPRINTS[call.model][late],
        }

    def _failure(
        self, record: dict[str, Any], request: dict[str, Any], call: Call, attempt: Attempt
    ) -> None:
        record["latency_ms"] = failed_latency_ms(attempt.status, self._rng)
        record["status"] = attempt.status
        record["cache_status"] = "MISS"
        record["cost_usd"] = 0.0
        record["request"] = request
        record["response"] = error_body(attempt.status, call.model, self._rng)
        if record["response"] is None:
            record["error"] = "upstream request timeout after 30000 ms"
