"""Topics by words: the topics planted by a text generator are recovered."""

import random

import numpy as np

from costaudit.levers.topics import topics_of

WORDS = {
    "delivery": ["parcel", "courier", "tracking", "address", "delay", "customs", "depot", "driver"],
    "billing": ["invoice", "refund", "charge", "card", "receipt", "tax", "voucher", "discount"],
    "account": ["password", "login", "email", "profile", "username", "security", "reset", "lock"],
}


def test_planted_topics_are_found_and_named_by_their_words() -> None:
    draw = random.Random(1)
    planted = [draw.choice(list(WORDS)) for _ in range(600)]
    texts = [f"please help with the {' '.join(draw.sample(WORDS[p], 4))}" for p in planted]
    found = topics_of(texts, 3)
    pure = 0
    for topic, name in enumerate(found.names):
        mine = [planted[i] for i in np.flatnonzero(found.of == topic)]
        usual = max(set(mine), key=mine.count)
        pure += mine.count(usual)
        assert set(name.split()) <= set(WORDS[usual])
    assert pure / len(texts) > 0.95
    again = topics_of(texts, 3)
    assert (again.of == found.of).all() and again.names == found.names


def test_few_texts_empty_texts_and_none_are_one_topic() -> None:
    for texts in ([], [""], ["", "one"], ["the of a"] * 5):
        found = topics_of(texts, 4)
        assert len(found.of) == len(texts) and len(found.names) >= 1
