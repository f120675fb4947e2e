"""Questions that nobody asks twice, composed from hand-written parts."""

import random
import string
from typing import Any

from sample_generator import corpus
from sample_generator.noise import noisy
from sample_generator.world import User

FRAMES = {
    "problem": {
        "en": [
            "My {p} {x} {c}. {a}",
            "The {p} I bought {x} {c}. {a}",
            "{s} The {p} {x} {c}.",
            "{a} The {p} {x} {c}.",
            "So the {p} {x}, {c}. {a} {s}",
        ],
        "es": [
            "{P} {x} {c}. {a}",
            "Compré {p} y {x} {c}. {a}",
            "{s} {P} {x} {c}.",
            "{a} {P} {x} {c}.",
            "Resulta que {p} {x}, {c}. {s}",
        ],
    },
    "feature": {
        "en": [
            "Can the {p} {x}? {s}",
            "{s} Could the {p} {x}?",
            "Would the {p} {x}, or is the {q} better for {u}?",
            "I'm looking at the {p} for {u}: can it {x}?",
        ],
        "es": [
            "¿Se puede {x} {p}? {s}",
            "{s} ¿Podría {x} {p}?",
            "¿Se puede {x} {p}, o es mejor {q} para {u}?",
            "Estoy mirando {p} para {u}: ¿lo puedo {x}?",
        ],
    },
    "complication": {
        "en": [
            "Order {o} had the {p} and the {q}, but {x}. {a}",
            "I bought the {p} for {u} and {x}. {s}",
            "{s} I ordered the {p}, {x}. {a}",
        ],
        "es": [
            "El pedido {o} llevaba {p} y {q}, pero {x}. {a}",
            "Compré {p} para {u} y {x}. {s}",
            "{s} Pedí {p}, {x}. {a}",
        ],
    },
}


def _sentence(text: str) -> str:
    text = text.replace(" de el ", " del ").replace(" a el ", " al ")
    return text[0].upper() + text[1:]


def _pick(value: str | list[str], rng: random.Random) -> str:
    return value if isinstance(value, str) else rng.choice(value)


def _parts(user: User, row: dict[str, Any], rng: random.Random) -> dict[str, str]:
    tail, language = corpus.tail(), user.language
    side = 0 if language == "en" else 1
    products = tail["products"][user.tenant.id]
    suiting = [product for product in products if product[2] in row.get("suits", product[2])]
    first = rng.choice(suiting)
    second = rng.choice([product for product in products if product is not first])
    return {
        "p": first[side],
        "P": first[side][0].upper() + first[side][1:],
        "q": second[side],
        "x": _pick(row[language], rng),
        "c": rng.choice(tail["contexts"][language]),
        "a": rng.choice(tail["asks"][language]),
        "s": rng.choice(tail["situations"][language]),
        "u": rng.choice(tail["uses"][language]),
        "o": f"{user.tenant.prefix}-{rng.randrange(100_000, 999_999)}",
    }


def _reply(
    kind: str, row: dict[str, Any], parts: dict[str, str], user: User, rng: random.Random
) -> str:
    tail, language = corpus.tail(), user.language
    body: str = row[f"advice_{language}" if kind == "problem" else f"reply_{language}"]
    ack = rng.choice(tail["acks"][language]).format(p=parts["p"])
    closer = rng.choice(tail["closers"][language])
    start = f"{ack} " if rng.random() < 0.45 else ""
    return _sentence(f"{start}{body} {closer}".strip())


def compose(user: User, rng: random.Random) -> tuple[str, str, str]:
    """Return a question, its answer and the name of its topic."""
    tail, language = corpus.tail(), user.language
    if rng.random() < 0.004:
        return _secret(user, rng)
    kind = rng.choices(["problem", "feature", "complication"], [0.55, 0.25, 0.20])[0]
    kinds = {product[2] for product in tail["products"][user.tenant.id]}
    suiting = [
        number
        for number, row in enumerate(tail[kind])
        if not kinds.isdisjoint(row.get("suits", kinds))
    ]
    number = rng.choice(suiting)
    row = tail[kind][number]
    parts = _parts(user, row, rng)
    text = _sentence(rng.choice(FRAMES[kind][language]).format(**parts))
    reply = _reply(kind, row, parts, user, rng)
    return noisy(text, language, rng, share=0.2), reply, f"tail.{kind}.{number:02d}"


def _secret(user: User, rng: random.Random) -> tuple[str, str, str]:
    """Compose a message in which somebody pastes something private, all of it invented."""
    rows = corpus.tail()["secret"]
    number = rng.randrange(len(rows))
    values = {
        "key": "sk-proj-" + "".join(rng.choices(string.ascii_letters + string.digits, k=40)),
        "card": "4111 1111 1111 1111",
        "mail": f"{user.name.lower()}.{rng.randrange(100)}@example.com",
        "pin": str(rng.randrange(1_000, 9_999)),
    }
    row = rows[number]
    text = row[user.language].format(**values)
    return text, row[f"reply_{user.language}"], f"tail.secret.{number:02d}"
