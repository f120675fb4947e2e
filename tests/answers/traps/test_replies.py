"""Short answers that say yes or no."""

import pytest

from costaudit.answers.traps.detectors import Reading
from costaudit.answers.traps.replies import is_bare, reply_of


@pytest.mark.parametrize(
    ("text", "reply", "bare"),
    [
        ("Yes.", 1, True),
        ("Yes, you can.", 1, True),
        ("Sí, se puede.", 1, True),
        ("Of course.", 1, True),
        ("Claro que sí.", 1, True),
        ("Yes, on Monday.", 1, False),
        ("Yes, no problem.", 1, False),
        ("No.", 0, True),
        ("Nope", 0, True),
        ("No, gracias.", 0, True),
        ("No se puede.", 0, True),  # without a comma, it denies
        ("Lo siento, no.", 0, True),
        # a yes before a no
        ("Of course not.", 0, True),
        ("Absolutely not.", 0, True),
        ("Claro que no.", 0, True),
        ("Por supuesto que no.", 0, True),
        ("I'm afraid not.", 0, True),
        ("Unfortunately, no.", 0, True),
        ("Unfortunately, you can't.", 0, True),
        # the rest of the text denies
        ("No, it isn't.", 0, True),
        ("No, you can't.", 0, True),
        ("No, no se puede.", 0, True),
        # the rest of the text takes it back, or could be about a question that denies
        ("No, it is.", -1, False),
        ("No, you can.", -1, False),
        ("No, se puede.", -1, False),
        ("Yes, you can't.", -1, False),
        ("Sí, no se puede.", -1, False),
        ("I'm afraid so.", -1, False),
        ("Unfortunately, it is.", -1, False),
        ("No problem.", -1, False),
        ("Yes, if you ask for it in time.", -1, False),  # too long
        ("", -1, False),
    ],
)
def test_replies(text: str, reply: int, bare: bool) -> None:
    assert (reply_of(text), is_bare(text)) == (reply, bare)


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("No se puede devolver", True),
        ("Se puede devolver", False),
        ("No sé si se puede devolver", False),
        ("No sé cómo devolverlo", False),
    ],
)
def test_not_knowing_is_no_denial_but_no_se_is(text: str, negated: bool) -> None:
    assert (f"negated={'yes' if negated else 'no'}") in Reading(text).polarity
