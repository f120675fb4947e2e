"""Conversations of customers with the assistant, as calls with their attempts."""

import datetime as dt
import json
import random
from dataclasses import dataclass, field
from typing import Any

from sample_generator import corpus
from sample_generator.exchange import Exchange, Scene, first_question, follow_up
from sample_generator.world import TENANTS, Clock, Order, User, make_users, pick_user

CHAT = "/v1/support/chat"
WIDGET = "/v1/support/widget"
ORDERS = "/v1/support/orders-assistant"
EMAIL = "/v1/support/email-draft"
ENDPOINTS = {CHAT: 0.50, WIDGET: 0.23, ORDERS: 0.21, EMAIL: 0.06}
TEMPERATURES = {CHAT: 0.2, WIDGET: 0.2, ORDERS: 0.0, EMAIL: 0.7}
ORDER_TOOLS = {"track_shipment", "cancel_order", "create_return", "hand_over_to_agent"}
FAILURES = [(429, 0.45), (500, 0.25), (504, 0.30)]  # HTTP status and its share
FAILURE_SHARE = 0.0155


@dataclass
class Attempt:
    """One try of a call."""

    moment: dt.datetime
    status: int  # HTTP


@dataclass
class Call:
    """One call of the model: what was sent, what came back, and what is true about it."""

    user: User
    endpoint: str
    model: str
    temperature: float
    conversation: str
    turn: int
    messages: list[dict[str, Any]]  # after the system message
    reply: dict[str, Any]  # the assistant's message, as later turns carry it
    tool_call: dict[str, Any] | None
    exchange: Exchange
    moment: dt.datetime
    attempts: list[Attempt] = field(default_factory=list)


def pick_model(endpoint: str, user: User) -> str:
    """Return the model that a shop uses at an endpoint."""
    if endpoint == EMAIL or (endpoint == CHAT and user.tenant.id == "larkspur"):
        return "gpt-4.1"
    if endpoint == WIDGET and user.tenant.id in ("norvane", "bibliomar", "trotamundi"):
        return "gpt-4o-mini"
    return "gpt-4o"


def base62(rng: random.Random, length: int) -> str:
    """Draw an identifier of letters and digits."""
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join(rng.choices(letters, k=length))


def tools_of(endpoint: str) -> list[dict[str, Any]]:
    """Return the tools an endpoint offers: four at the order page, else all eight."""
    if endpoint == ORDERS:
        return [tool for tool in corpus.tools() if tool["function"]["name"] in ORDER_TOOLS]
    return corpus.tools()


def system_prompt(endpoint: str, user: User, moment: dt.datetime) -> str:
    """Write the system message; only the orders endpoint has a moving part near its top."""
    tenant = user.tenant
    text = corpus.system_template(endpoint)
    text = text.replace("{now}", moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
    text += f"\nShop: {tenant.name} ({tenant.return_days} days for returns, {tenant.email})."
    if endpoint in (CHAT, EMAIL):
        text += f"\nToday: {moment:%Y-%m-%d}"
    return text


def _letter(exchange: Exchange, user: User, rng: random.Random) -> None:
    """Put the question into the form of an e-mail."""
    if user.language == "en":
        head, foot = rng.choice(["Hello,", "Dear team,"]), rng.choice(["Regards", "Best regards"])
    else:
        head, foot = rng.choice(["Hola:", "Buenos días:"]), rng.choice(["Un saludo", "Saludos"])
    exchange.text = f"{head}\n\n{exchange.text}\n\n{foot},\n{user.name}"


def _attempts(moment: dt.datetime, rng: random.Random) -> list[Attempt]:
    """Let a call fail now and then; most failures are tried again."""
    attempts: list[Attempt] = []
    while rng.random() < (FAILURE_SHARE if not attempts else 0.12) and len(attempts) < 2:
        status = rng.choices([s for s, _ in FAILURES], [share for _, share in FAILURES])[0]
        attempts.append(Attempt(moment, status))
        if rng.random() < 0.14:
            return attempts
        wait = 30.0 if status == 504 else 0.0
        moment += dt.timedelta(seconds=wait + rng.uniform(1.0, 6.0))
    attempts.append(Attempt(moment, 200))
    return attempts


class Conversation:
    """Builds the calls of one conversation, turn by turn."""

    def __init__(self, user: User, endpoint: str, moment: dt.datetime, rng: random.Random) -> None:
        self.user, self.endpoint, self.moment, self._rng = user, endpoint, moment, rng
        self.id = f"conv_{base62(rng, 14)}"
        self.temperature = TEMPERATURES[endpoint]
        if endpoint == CHAT and rng.random() < 0.04:
            self.temperature = 0.9  # a running experiment
        self.history: list[dict[str, Any]] = []
        self.calls: list[Call] = []

    def run(self) -> list[Call]:
        """Play the conversation to its end."""
        exchange = first_question(self._scene(), self._rng)
        alive = self._turn(exchange)
        while alive and len(self.calls) < 8 and self._goes_on(exchange):
            self.moment += dt.timedelta(seconds=self._rng.uniform(12, 110))
            exchange = follow_up(exchange, self._scene(), self._rng)
            alive = self._turn(exchange)
        return self.calls

    def _scene(self) -> Scene:
        return Scene(self.user, self.endpoint, self.moment, self.temperature == 0.0)

    def _goes_on(self, exchange: Exchange) -> bool:
        if self.endpoint == EMAIL or exchange.intent == "thanks":
            return False
        if exchange.answer_id == "track_order:ask_number":
            return self._rng.random() < 0.7
        return self._rng.random() < 0.185

    def _turn(self, exchange: Exchange) -> bool:
        if self.endpoint == EMAIL:
            _letter(exchange, self.user, self._rng)
        self.history.append({"role": "user", "content": exchange.text})
        if exchange.order is not None:
            call_id = f"call_{base62(self._rng, 24)}"
            arguments = json.dumps(
                {"order_id": exchange.order.id, "language": self.user.language},
                separators=(",", ":"),
            )
            tool_call = {
                "id": call_id,
                "type": "function",
                "function": {"name": "track_shipment", "arguments": arguments},
            }
            reply = {"role": "assistant", "content": None, "tool_calls": [tool_call]}
            if not self._call(exchange, reply, tool_call):
                return False
            result = self._tool_result(exchange.order)
            self.history.append({"role": "tool", "tool_call_id": call_id, "content": result})
        return self._call(exchange, {"role": "assistant", "content": exchange.answer}, None)

    def _tool_result(self, order: Order) -> str:
        state = order.state(self.moment)
        result = {"order_id": order.id, "status": state, "carrier": order.carrier, "parcels": 1}
        if state != "preparing":
            result["date"] = f"{order.delivered:%Y-%m-%d}"
        return json.dumps(result, separators=(",", ":"))

    def _call(
        self, exchange: Exchange, reply: dict[str, Any], tool_call: dict[str, Any] | None
    ) -> bool:
        attempts = _attempts(self.moment, self._rng)
        self.calls.append(
            Call(
                user=self.user,
                endpoint=self.endpoint,
                model=pick_model(self.endpoint, self.user),
                temperature=self.temperature,
                conversation=self.id,
                turn=sum(message["role"] == "user" for message in self.history),
                messages=list(self.history),
                reply=reply,
                tool_call=tool_call,
                exchange=exchange,
                moment=self.moment,
                attempts=attempts,
            )
        )
        self.history.append(reply)
        self.moment = attempts[-1].moment + dt.timedelta(seconds=self._rng.uniform(1.2, 3.5))
        return attempts[-1].status == 200


def make_calls(rng: random.Random, lines: int) -> list[Call]:
    """Play conversations until their attempts fill exactly so many log lines."""
    users, clock = make_users(rng), Clock()
    plans = []
    for _ in range(lines):  # more than enough; every conversation has at least one line
        tenant = rng.choices(TENANTS, [t.weight for t in TENANTS])[0]
        endpoint = rng.choices(list(ENDPOINTS), list(ENDPOINTS.values()))[0]
        plans.append((clock.draw(rng), pick_user(users[tenant.id], rng), endpoint))
    calls: list[Call] = []
    left = lines
    for moment, user, endpoint in plans:
        for call in Conversation(user, endpoint, moment, rng).run():
            call.attempts = call.attempts[:left]
            if call.attempts:
                calls.append(call)
                left -= len(call.attempts)
        if left == 0:
            return calls
    raise AssertionError("too few conversations for the lines asked for")
