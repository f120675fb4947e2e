"""One question of a customer and the answer the assistant gives."""

import datetime as dt
import random
from dataclasses import dataclass

from sample_generator import corpus, oneoffs
from sample_generator.corpus import Intent
from sample_generator.noise import noisy
from sample_generator.world import Order, User, in_incident, spoken_date

OPENERS = {
    "en": ["Hi! ", "Thanks for your message. "],
    "es": ["¡Hola! ", "Gracias por escribirnos. "],
}
CLOSERS = {
    "en": [" Anything else I can help with?", " Let me know if you need anything else."],
    "es": [" ¿Puedo ayudarte en algo más?", " Aquí estoy si necesitas otra cosa."],
}
POINTER = {"en": " Step by step: Help > {}.", "es": " Paso a paso: Ayuda > {}."}
SECTIONS = {
    "orders": {"en": "Orders and changes", "es": "Pedidos y cambios"},
    "delivery": {"en": "Delivery and tracking", "es": "Envíos y seguimiento"},
    "returns": {"en": "Returns and refunds", "es": "Devoluciones y reembolsos"},
    "payment": {"en": "Payment and invoices", "es": "Pagos y facturas"},
    "club": {"en": "Club and points", "es": "Club y puntos"},
    "account": {"en": "Account and privacy", "es": "Cuenta y privacidad"},
}
TOPICS = {
    "orders": "cancel_order cancel_within_24h cancel_after_48h cancel_before_shipping "
    "cancel_after_shipping add_item_to_order remove_item_from_order missing_item wrong_item",
    "delivery": "change_address address_after_shipping address_before_shipping delivery_time "
    "shipping_cost international_shipping ship_portugal ship_switzerland ship_brazil ship_mexico "
    "ship_uk ship_canaries free_shipping_30 free_shipping_80 express_price standard_price "
    "pickup_point missed_delivery delivered_not_received customs_fees",
    "returns": "return_item refund_time exchange_size damaged_item warranty return_after_90_days "
    "return_after_9_days return_opened return_unopened warranty_water warranty_battery",
    "payment": "payment_methods payment_declined invoice_download installments_3 installments_12 "
    "charged_twice not_charged change_card gift_card_balance gift_card_expired gift_card_cash",
    "club": "cancel_membership upgrade_plan downgrade_plan membership_pause monthly_refund "
    "annual_refund plan_plus_price plan_pro_price plan_basic_price reward_points points_missing",
    "account": "reset_password change_email delete_account deactivate_account enable_2fa "
    "disable_2fa login_problem login_howto create_account data_export change_phone",
}
SECTION_OF = {name: section for section, names in TOPICS.items() for name in names.split()}
TAIL_SHARE = 0.20
FAQ_SHARE = 0.52
ORDER_TOPICS = {
    *["track_order", "cancel_order", "return_item", "change_address", "missing_item"],
    *["damaged_item", "refund_time", "exchange_size", "delivery_time"],
}


@dataclass(frozen=True)
class Scene:
    """Who asks, when, and at which endpoint."""

    user: User
    endpoint: str
    moment: dt.datetime
    settled: bool  # temperature 0: the same question nearly always gets the same wording


@dataclass
class Exchange:
    """A question with its answer and what is true about both."""

    text: str
    answer: str
    intent: str
    kind: str  # faq | mid | tail | more | secret
    answer_id: str
    trap_group: str = ""
    order: Order | None = None  # set when a tool must look the order up first
    next_question: tuple[str, str] | None = None


def _ranked(count: int, exponent: float) -> list[float]:
    return [1 / (rank + 1) ** exponent for rank in range(count)]


FAQ_ORDER = [
    *["track_order", "return_item", "refund_time", "cancel_order", "delivery_time"],
    *["shipping_cost", "discount_code", "reset_password", "change_address", "contact_human"],
    *["damaged_item", "exchange_size", "payment_declined", "invoice_download", "missing_item"],
    *["cancel_membership", "opening_hours", "payment_methods", "international_shipping"],
    *["warranty", "gift_card_balance", "service_status", "upgrade_plan", "change_email"],
    "delete_account",
]


def pick_faq(scene: Scene, rng: random.Random) -> Intent:
    """Draw a frequent intent: Zipf by rank, bent by the endpoint and by outages."""
    by_id = {intent.id: intent for intent in corpus.faqs()}
    weights = []
    for name, weight in zip(FAQ_ORDER, _ranked(len(FAQ_ORDER), 0.95), strict=True):
        if name == "track_order":
            weight *= 0.55  # its tool calls double it
        elif name == "service_status":
            weight *= 25 if in_incident(scene.moment) else 0.6
        if scene.endpoint.endswith("orders-assistant") and name not in ORDER_TOPICS:
            weight *= 0.15
        weights.append(weight)
    return by_id[rng.choices(FAQ_ORDER, weights)[0]]


def pick_mid(rng: random.Random) -> Intent:
    """Draw a less frequent intent."""
    intents = [intent for intent in corpus.mids() if intent.id != "thanks"]
    return rng.choices(intents, _ranked(len(intents), 0.35))[0]


def _slots(scene: Scene, language: str, rng: random.Random) -> dict[str, str]:
    tenant = scene.user.tenant
    product, product_es, _ = rng.choice(corpus.tail()["products"][tenant.id])
    return {
        "return_days": str(tenant.return_days),
        "email": tenant.email,
        "mail": f"{scene.user.name.lower()}{rng.randrange(10, 99)}@example.com",
        "product": product,
        "product_es": product_es,
        "language": language,
    }


def _fill(text: str, slots: dict[str, str]) -> str:
    for name, value in slots.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _wording(wordings: list[str], rng: random.Random) -> str:
    return corpus.expand(rng.choices(wordings, _ranked(len(wordings), 0.6))[0], rng)


def _dress(text: str, scene: Scene, intent: str, rng: random.Random) -> str:
    language = scene.user.language
    opener = rng.choice(OPENERS[language]) if rng.random() < 0.10 else ""
    closer = rng.choice(CLOSERS[language]) if rng.random() < 0.12 else ""
    section = SECTION_OF.get(intent)
    pointer = ""
    if section is not None and scene.endpoint.endswith(("chat", "email-draft")):
        pointer = POINTER[language].format(SECTIONS[section][language])
    return f"{opener}{text}{pointer}{closer}"


def voice(scene: Scene, key: str, rng: random.Random) -> random.Random:
    """Return the source of wording choices: fixed per question where the model is settled."""
    if scene.settled and rng.random() < 0.85:
        return random.Random(f"{key}|{scene.user.tenant.id}")
    return rng


def _question(intent: Intent, scene: Scene, order_id: str, rng: random.Random) -> str:
    language = scene.user.language
    wordings = intent.questions[language]
    quick = scene.endpoint.endswith("widget") and rng.random() < 0.6  # taps a suggestion
    if quick:
        wordings = wordings[:2]
    text = rng.choices(wordings, _ranked(len(wordings), 0.5))[0]
    named = "{order}" in text
    text = _fill(text, _slots(scene, language, rng)).replace("{order}", order_id)
    if quick:
        return text
    if intent.id in ORDER_TOPICS and not named and rng.random() < 0.04:
        text += f" ({order_id})"
    return noisy(text, language, rng, share=0.31)


def _live_fact(intent: Intent, scene: Scene) -> corpus.Fact:
    if scene.endpoint.endswith("widget"):
        return corpus.undated_fact(intent.live)
    return corpus.fact_at(intent.live, scene.moment)


def ask(intent: Intent, scene: Scene, rng: random.Random) -> Exchange:
    """Make one exchange about a known intent."""
    language = scene.user.language
    order = scene.user.order(scene.moment, rng)
    text = _question(intent, scene, order.id, rng)
    exchange = Exchange(text, "", intent.id, intent.kind, intent.fact, intent.trap_group)
    exchange.next_question = intent.more.get(language)
    if intent.live == "order_status":
        _order_answer(exchange, scene, order, rng)
        return exchange
    wordings = intent.answers[language]
    if intent.live:
        fact = _live_fact(intent, scene)
        wordings = fact.wordings[language]
        exchange.answer_id = f"{intent.fact}:{fact.version}"
    chooser = voice(scene, text, rng)
    slots = _slots(scene, language, rng)
    exchange.answer = _dress(_fill(_wording(wordings, chooser), slots), scene, intent.id, chooser)
    for slot in corpus.slots_of(wordings):
        exchange.answer_id += f":{slots[slot]}"
    return exchange


def _order_answer(exchange: Exchange, scene: Scene, order: Order, rng: random.Random) -> None:
    known = order.id in exchange.text or scene.endpoint.endswith("orders-assistant")
    if known:
        exchange.order = order
        exchange.answer, exchange.answer_id = order_report(order, scene, rng)
        return
    chooser = voice(scene, exchange.text, rng)
    language = scene.user.language
    wordings = corpus.order_state("ask_number").wordings[language]
    exchange.answer = _dress(_wording(wordings, chooser), scene, exchange.intent, chooser)
    exchange.answer_id = "track_order:ask_number"


def order_report(order: Order, scene: Scene, rng: random.Random) -> tuple[str, str]:
    """Tell the state of an order at this moment, and its answer id."""
    language = scene.user.language
    state = order.state(scene.moment)
    slots = {
        "order": order.id,
        "carrier": order.carrier,
        "eta": spoken_date(order.delivered, language),
    }
    chooser = voice(scene, f"{order.id}{state}", rng)
    wording = _wording(corpus.order_state(state).wordings[language], chooser)
    return _fill(wording, slots), f"track_order:{order.id}:{state}"


def follow_up(previous: Exchange, scene: Scene, rng: random.Random) -> Exchange:
    """Make the next turn of a conversation."""
    language = scene.user.language
    if previous.answer_id == "track_order:ask_number":
        order = scene.user.order(scene.moment, rng)
        answer, answer_id = order_report(order, scene, rng)
        spoken = f"it's {order.id}" if language == "en" else f"es el {order.id}"
        text = rng.choice([order.id, order.id, spoken])
        return Exchange(text, answer, "track_order.number", "more", answer_id, order=order)
    draw = rng.random()
    if previous.next_question is not None and draw < 0.42:
        question, wording = previous.next_question
        text = noisy(question, language, rng, share=0.3)
        slots = _slots(scene, language, rng)
        name = f"{previous.intent}.more"
        answer_id = ":".join([name, *(slots[slot] for slot in corpus.slots_of([wording]))])
        answer = _fill(corpus.expand(wording, rng), slots)
        return Exchange(text, answer, name, "more", answer_id)
    if draw < 0.56:
        thanks = next(intent for intent in corpus.mids() if intent.id == "thanks")
        return ask(thanks, scene, rng)
    return first_question(scene, rng)


def first_question(scene: Scene, rng: random.Random) -> Exchange:
    """Make an exchange about whatever brings this customer here."""
    draw = rng.random()
    if draw < FAQ_SHARE:
        return ask(pick_faq(scene, rng), scene, rng)
    if draw < 1 - TAIL_SHARE:
        return ask(pick_mid(rng), scene, rng)
    text, answer, intent = oneoffs.compose(scene.user, rng)
    return Exchange(text, answer, intent, "tail", intent)
