"""Build a log with waste of known size: each call has a mended twin, and both are priced here.

The true waste of a plant is the cost of its calls minus the cost of the mended calls, at the prices
below, with tokens counted by tiktoken's encoding from the texts that are sent. None of costaudit's
analysis is used.
"""

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from costaudit.ingest.content.tokenizer import Tokenizer

DEAR = "o1-pro"
LARGE, SMALL, VECTORS = "gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "text-embedding-3-small"
PRICES = {  # USD per million tokens: input, output
    (LARGE, ""): ("2.50", "10"),
    (LARGE, "batch"): ("1.25", "5"),
    (LARGE, "priority"): ("4.25", "17"),
    (SMALL, ""): ("0.15", "0.60"),
    (VECTORS, ""): ("0.02", "0"),
    (VECTORS, "batch"): ("0.01", "0"),
    (DEAR, ""): ("150", "600"),
}
MACHINE_USD = Decimal("0.0363") * 730  # a month, of the machine that a small model runs on
DAYS = 20
START = datetime(2026, 10, 1, tzinfo=UTC)
_COUNT = Tokenizer().count_text
_WORDS = """
parcel invoice refund voucher cable monitor kettle lamp carpet battery
charger printer drawer mirror ladder helmet jacket blanket speaker camera
arrive break leak fade stop burn bend crack jam smell rattle freeze
"""
_NOUNS, _VERBS = _WORDS.split()[:20], _WORDS.split()[20:]


@dataclass
class Call:
    """One call, and the call that the mended application would have sent instead."""

    endpoint: str
    at: datetime
    request: dict[str, Any]
    answer: dict[str, Any]  # the message
    mended: "Call | None" = None  # None: the same call
    gone: bool = False  # the mended application does not send it
    plant: str = ""  # the waste that it is part of
    tier: str = ""
    wrapper: dict[str, Any] = field(default_factory=dict)
    finish: str = "stop"

    @property
    def tokens(self) -> tuple[int, int]:
        """Return the tokens sent and received."""
        if "input" in self.request:
            return _COUNT(self.request["input"]), 0
        sent = sum(3 + _COUNT(_text(one)) for one in self.request["messages"])
        sent += sum(_COUNT(json.dumps(one["function"])) for one in self.request.get("tools", ()))
        return sent, _COUNT(_text(self.answer))

    @property
    def usd(self) -> Decimal:
        """Return the call's price at PRICES."""
        sent, received = self.tokens
        paid = [Decimal(price) for price in PRICES[self.request["model"], self.tier]]
        return (sent * paid[0] + received * paid[1]) / 1_000_000

    @property
    def wasted(self) -> Decimal:
        """Return the dollars that the mended application saves on this call."""
        if self.gone:
            return self.usd
        return self.usd - self.mended.usd if self.mended else Decimal(0)

    def record(self, number: int) -> dict[str, Any]:
        """Return the call as a log record."""
        sent, received = self.tokens
        usage = {"prompt_tokens": sent, "total_tokens": sent + received}
        response: dict[str, Any] = {"model": self.request["model"], "usage": usage}
        if "input" in self.request:
            response |= {"object": "list", "data": [{"object": "embedding", "index": 0}]}
        else:
            usage["completion_tokens"] = received
            response |= {
                "id": f"chatcmpl-{number:06d}",
                "object": "chat.completion",
                "choices": [{"index": 0, "finish_reason": self.finish, "message": self.answer}],
            }
        if self.tier == "priority":
            response["service_tier"] = "priority"
        stamp = self.at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        told = {"timestamp": stamp, "endpoint": self.endpoint, "latency_ms": 900.0, **self.wrapper}
        return {**told, "request": self.request, "response": response}


def _text(message: dict[str, Any]) -> str:
    calls = [one["function"] for one in message.get("tool_calls", ())]
    return (message.get("content") or "") + "".join(json.dumps(one) for one in calls)


class Writer:
    """Build calls with words drawn from a seeded generator."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.number = 0

    def words(self, many: int) -> str:
        return " ".join(self.draw.choice(_NOUNS + _VERBS) for _ in range(many))

    def question(self) -> str:
        """Return a unique question of more than 30 tokens."""
        self.number += 1
        return (
            f"Case {self.number * 7919 % 100_003}: my {self.draw.choice(_NOUNS)} began to "
            f"{self.draw.choice(_VERBS)} after {self.draw.randint(2, 90)} days, and the notes of "
            f"the last visit say {self.words(14)}; what should I tell the customer now?"
        )

    def reply(self, many: int = 40) -> dict[str, Any]:
        return {"role": "assistant", "content": f"Tell them this: {self.words(many)}."}

    def waking(self) -> datetime:
        """Return a random time in the log's period when people are awake."""
        day, second = self.draw.randrange(DAYS), self.draw.randrange(7 * 3600, 22 * 3600)
        return START + timedelta(days=day, seconds=second, milliseconds=self.draw.randrange(1000))

    def chat(self, endpoint: str, text: str, at: datetime | None = None, **more: Any) -> Call:
        request = {
            "model": more.pop("model", LARGE),
            "messages": [
                {"role": "system", "content": f"You help the staff of a shop with {endpoint[1:]}."},
                {"role": "user", "content": text},
            ],
        }
        request |= more.pop("extra", {})
        self.number += 1
        wrapper = {"user": f"u{self.number % 997}", **more.pop("wrapper", {})}
        answer = more.pop("answer", None) or self.reply()
        return Call(endpoint, at or self.waking(), request, answer, wrapper=wrapper, **more)

    def mended(self, call: Call, text: str | None = None, **more: Any) -> Call:
        """Set and return a call with the twin that a mended application would send."""
        request = dict(call.request)
        if text is not None:
            request["messages"] = [request["messages"][0], {"role": "user", "content": text}]
        request |= more.pop("extra", {})
        told = {"tier": call.tier, **more}
        call.mended = Call(call.endpoint, call.at, request, told.pop("answer", call.answer), **told)
        return call


def clean(w: Writer) -> Iterator[Call]:
    """Yield ordinary traffic: different questions, sent by people, each answered once."""
    for _ in range(900):
        yield w.chat("/support", w.question())


def unused_tools(w: Writer) -> Iterator[Call]:
    names = ("find_order", "refund", "export_ledger", "rotate_keys", "map_route", "book_room")
    every = [
        {"type": "function", "function": {"name": name, "description": w.words(40),
         "parameters": {"type": "object", "properties": {"id": {"type": "string"}}}}}
        for name in names
    ]  # fmt: skip
    for i in range(400):
        asked = {"name": names[i % 2], "arguments": json.dumps({"id": str(i)})}
        tool = {"id": f"c{i}", "type": "function", "function": asked}
        answer = {"role": "assistant", "content": None, "tool_calls": [tool]}
        call = w.chat("/tools", w.question(), answer=answer, finish="tool_calls",
                      extra={"tools": every}, plant="tools")  # fmt: skip
        yield w.mended(call, extra={"tools": every[:2]})
    for _ in range(200):  # an endpoint that carries them all and calls none
        call = w.chat("/idle", w.question(), extra={"tools": every}, plant="tools")
        yield w.mended(call, extra={"tools": []})


def indented_json(w: Writer) -> Iterator[Call]:
    for _ in range(300):
        rows = [{"item": w.draw.choice(_NOUNS), "count": w.draw.randint(1, 99), "note": w.words(2)}
                for _ in range(12)]  # fmt: skip
        said = w.question()
        call = w.chat("/orders", f"{said}\n{json.dumps(rows, indent=4)}", plant="serialisation")
        yield w.mended(call, f"{said}\n{json.dumps(rows, separators=(',', ':'))}")


def padding(w: Writer) -> Iterator[Call]:
    for _ in range(300):
        said = w.question()
        lines = [w.words(6) for _ in range(20)]
        scraped = "\n".join(f"{line}   \t \n \t\t  \n\t  \n   \t\n" for line in lines)
        call = w.chat("/tables", f"{said}\n{scraped}", plant="padding")
        yield w.mended(call, said + "\n" + "\n\n".join(lines) + "\n")


def encoded(w: Writer) -> Iterator[Call]:
    for _ in range(200):
        said = w.question()
        data = base64.b64encode(w.draw.randbytes(600)).decode()
        call = w.chat("/scans", f"{said}\nAttachment: {data}", plant="encoded")
        yield w.mended(call, f"{said}\nAttachment: ")


def twice(w: Writer) -> Iterator[Call]:
    for _ in range(200):
        page, said = w.words(220), w.question()
        call = w.chat("/docs", said, plant="repeated_blocks")
        first = call.request["messages"][0]
        body = [{"role": "user", "content": page}, {"role": "user", "content": said}]
        call.request["messages"] = [first, body[0], body[1], body[0]]
        yield w.mended(call, extra={"messages": [first, *body]})


def indented_answers(w: Writer) -> Iterator[Call]:
    for _ in range(300):
        found = [{"item": w.draw.choice(_NOUNS), "fault": w.draw.choice(_VERBS), "days": i}
                 for i in range(8)]  # fmt: skip
        answer = {"role": "assistant", "content": json.dumps(found, indent=2)}
        short = {"role": "assistant", "content": json.dumps(found, separators=(",", ":"))}
        call = w.chat("/fields", w.question(), answer=answer, plant="indented_answers")
        yield w.mended(call, answer=short)


def nightly(w: Writer) -> Iterator[Call]:
    for day in range(DAYS):
        for i in range(40):
            at = START + timedelta(days=day, hours=3, seconds=3 * i)
            call = w.chat("/grading", w.question(), at, plant="batch")
            yield w.mended(call, tier="batch")


def priority(w: Writer) -> Iterator[Call]:
    for i in range(600):
        many = w.draw.randint(30, 50)
        answer = w.reply(many)
        took = {"latency_ms": round(20.0 * many * w.draw.lognormvariate(0, 0.1), 1)}
        call = w.chat("/desk", w.question(), answer=answer, wrapper=took,
                      tier="priority" if i % 2 else "", plant="tiers")  # fmt: skip
        yield w.mended(call, tier="") if i % 2 else call


def _polling(w: Writer, name: str, noun: str, told: Callable[[int], str]) -> Iterator[Call]:
    """Yield agents that call one tool five times; `told` is its result at each step."""
    for i in range(60):
        asked = {"name": name, "arguments": json.dumps({noun: f"{noun[0]}{i}"})}
        tool = {"type": "function", "function": {"name": name, "description": w.words(10),
                "parameters": {"type": "object"}}}  # fmt: skip
        history = list(w.chat(f"/{name}", w.question()).request["messages"])
        start = w.waking()
        for step in range(6):
            used = {"id": f"t{i}-{step}", "type": "function", "function": asked}
            done = {"role": "assistant", "content": w.words(30)}
            turn = {"role": "assistant", "content": None, "tool_calls": [used]}
            yield Call(
                f"/{name}", start + timedelta(seconds=20 * step),
                {"model": LARGE, "messages": list(history), "tools": [tool]},
                done if step == 5 else turn,
                gone=2 <= step <= 4, plant="loops",
                finish="stop" if step == 5 else "tool_calls",
                wrapper={"conversation_id": f"{name}-{i}", "user": f"robot-{name}-{i}"},
            )  # fmt: skip
            result = {"role": "tool", "tool_call_id": used["id"], "content": told(step)}
            history += [turn, result]


def agent_loops(w: Writer) -> Iterator[Call]:
    yield from _polling(w, "status", "job", lambda step: "queued, wait")


def error_loops(w: Writer) -> Iterator[Call]:
    """Yield agents that repeat a tool call whose failures differ in their wording."""
    yield from _polling(w, "query", "table", lambda step: f"Error: {w.words(4)}, try {step}")


def no_json(w: Writer) -> Iterator[Call]:
    """Yield answers that were to be JSON, and the same question with a complaint."""
    for i in range(80):
        at, who = w.waking(), {"wrapper": {"user": f"form-{i}"}, "plant": "invalid_json"}
        form = {"extra": {"response_format": {"type": "json_object"}}}
        bad = w.reply(30)
        first = w.chat("/forms", w.question(), at, answer=bad, **who, **form)
        first.gone = True
        good = {"role": "assistant", "content": json.dumps({"advice": w.words(30)})}
        again = w.chat("/forms", "", at + timedelta(seconds=20), answer=good, **who, **form)
        complaint = {"role": "user", "content": "This is no JSON. Answer in JSON."}
        again.request["messages"] = [*first.request["messages"], bad, complaint]
        yield first
        yield again


def nightly_vectors(w: Writer) -> Iterator[Call]:
    """Yield nights in which different texts are embedded, one after the other."""
    for day in range(DAYS):
        for i in range(40):
            at = START + timedelta(days=day, hours=2, seconds=3 * i)
            request = {"model": VECTORS, "input": w.words(300)}
            call = Call("/reindex", at, request, {}, plant="batch")
            call.mended = Call(call.endpoint, at, request, {}, tier="batch")
            yield call


def useless(w: Writer) -> Iterator[Call]:
    """Yield four kinds of useless calls."""
    for i in range(80):
        for kind, after in (("retried", 40), ("cut-off", 300), ("double", 2), ("failed", 0)):
            at, who = w.waking(), {"user": f"{kind}-{i}"}
            told = {"wrapper": who, "plant": f"waste: {kind}"}
            first = w.chat("/useless", w.question(), at, **told)
            again = Call("/useless", at + timedelta(seconds=after), first.request, w.reply(),
                         wrapper=dict(who), plant=first.plant)  # fmt: skip
            (again if kind == "double" else first).gone = True
            if kind == "failed":
                first.wrapper |= {"status": "error", "error": "timeout"}
            if kind == "cut-off":
                first.finish = "length"
            if kind == "retried":
                first.wrapper["attempt"], again.wrapper["attempt"] = 0, 1
            yield first
            if kind != "failed":
                yield again


def vectors(w: Writer) -> Iterator[Call]:
    pages = [w.words(300) for _ in range(150)]
    for again in range(4):
        for page in pages:
            request = {"model": VECTORS, "input": page}
            at = w.waking() if again else START + timedelta(minutes=w.draw.randrange(600))
            yield Call("/shelf", at, request, {}, plant="embeddings")


def twins(w: Writer) -> Iterator[Call]:
    for i in range(400):
        said, told = w.question(), w.words(60)
        first = w.chat("/faq", said, answer={"role": "assistant", "content": f"{told}."},
                       plant="routing")  # fmt: skip
        yield w.mended(first, extra={"model": SMALL})
        other = {"role": "assistant", "content": f"{told}, {w.words(1)}."}
        yield w.chat("/faq", said, answer=other, model=SMALL)
        if i % 4 == 0:  # the large model's own repeats, too random to be cacheable
            third = {"role": "assistant", "content": f"{told}, {w.words(1)}."}
            again = w.chat("/faq", said, answer=third, extra={"temperature": 2}, plant="routing")
            yield w.mended(again, extra={"model": SMALL})


def labelled(w: Writer) -> Iterator[Call]:
    """Yield questions whose answer is the one of four words that their parts belong to."""
    kinds = {"billing": _NOUNS[:5], "delivery": _NOUNS[5:10], "repair": _NOUNS[10:15],
             "sales": _NOUNS[15:]}  # fmt: skip
    for i in range(1_600):
        name = w.draw.choice(list(kinds))
        about = " and the ".join(w.draw.sample(kinds[name], 3))
        told = " ".join(w.draw.choices(_VERBS, k=60))
        text = f"Case {i * 7919 % 100_003} is about the {about}; {told}"
        answer = {"role": "assistant", "content": name}
        call = w.chat("/triage", text, answer=answer, model=DEAR, plant="small_model")
        call.gone = True
        yield call


PLANTS = (
    unused_tools, indented_json, padding, encoded, twice, indented_answers, nightly, priority,
    agent_loops, error_loops, no_json, useless, vectors, twins, labelled,
)  # fmt: skip


def calls(*parts: Any, seed: int = 5) -> list[Call]:
    """Return the traffic of some parts in order of time."""
    w = Writer(seed)
    made = [call for part in parts for call in part(w)]
    made.sort(key=lambda call: call.at)
    seen: set[str] = set()
    for call in made:  # of equal embedded texts, only the first is needed
        text = call.request.get("input")
        call.gone = call.gone or text in seen
        if text:
            seen.add(text)
    return made


def truth(made: list[Call]) -> dict[str, Decimal]:
    """Return the dollars that each plant wastes over the log's period."""
    wasted: dict[str, Decimal] = {}
    for call in made:
        if call.plant:
            wasted[call.plant] = wasted.get(call.plant, Decimal(0)) + call.wasted
    return wasted


def write(path: Path, made: list[Call]) -> Path:
    """Write calls as a log; return its path."""
    lines = (json.dumps(call.record(i)) for i, call in enumerate(made))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
