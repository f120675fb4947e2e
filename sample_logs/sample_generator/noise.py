"""How people really type: politeness, typing slips, missing accents, hurry."""

import random
import unicodedata

BEFORE = {
    "en": ["Hi, ", "Hello, ", "hi! ", "Good morning, ", "hey, ", "Excuse me, ", "Quick question: "],
    "es": ["Hola, ", "Buenas, ", "hola! ", "Buenos días, ", "Perdona, ", "Una pregunta: "],
}
AFTER = {
    "en": [" Thanks", " thanks!", " please", " Thank you.", " asap", " It's urgent.", " 🙏"],
    "es": [" Gracias", " gracias!", " por favor", " Muchas gracias.", " es urgente", " 🙏"],
}


def without_accents(text: str) -> str:
    """Drop accents and opening marks, as on a hurried phone keyboard."""
    plain = unicodedata.normalize("NFD", text)
    return "".join(c for c in plain if not unicodedata.combining(c) and c not in "¿¡")


def slip(text: str, rng: random.Random) -> str:
    """Swap, drop or double one letter inside a longer word."""
    words = text.split(" ")
    places = [i for i, word in enumerate(words) if len(word) > 4 and word.isalpha()]
    if not places:
        return text
    place = rng.choice(places)
    word = words[place]
    at = rng.randrange(1, len(word) - 2)
    words[place] = rng.choice(
        [
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at + 1 :],
            word[: at + 1] + word[at:],
        ]
    )
    return " ".join(words)


def _soften(text: str, language: str, rng: random.Random) -> str:
    if rng.random() < 0.5:
        first = text if text[:2].isupper() else text[0].lower() + text[1:]
        return rng.choice(BEFORE[language]) + first
    return text + rng.choice(AFTER[language])


def noisy(text: str, language: str, rng: random.Random, share: float) -> str:
    """Return the text with surface noise in about the given share of cases."""
    if rng.random() >= share:
        return text
    kind = rng.random()
    if kind < 0.28:
        return without_accents(text.lower()).rstrip("?.!")
    if kind < 0.36:
        return text.rstrip("?.!") + rng.choice(["??", "?!", "...", " ?"])
    if kind < 0.38:
        return text.upper()
    if kind < 0.60:
        return slip(text, rng)
    if kind < 0.90:
        return _soften(text, language, rng)
    return _soften(slip(text.lower(), rng), language, rng)
