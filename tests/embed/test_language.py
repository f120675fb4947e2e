"""Detecting languages by their most frequent words, and when to warn about them."""

import pytest

from costaudit.embed.words import language_of, language_warning


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I reset my password?", "English"),
        ("What is the status of my order?", "English"),
        ("¿Dónde está mi paquete?", "Spanish"),
        ("¿Cómo puedo cambiar la contraseña de los usuarios?", "Spanish"),
        ("Où est mon colis ? Je ne le trouve pas.", "French"),
        ("Wie kann ich mein Passwort ändern?", "German"),
        ("Onde está o meu pedido? Não recebi.", "Portuguese"),
        ("Dove è il mio pacco?", "Italian"),
        ("私の荷物はどこですか", "Chinese or Japanese"),
        ("Где моя посылка?", "Cyrillic script"),
        ("12345", None),
        ("", None),
    ],
)
def test_languages(text: str, language: str | None) -> None:
    assert language_of(text) == language


def test_a_log_in_another_language_is_warned_about() -> None:
    mixed = ["¿Dónde está mi paquete?"] * 30 + ["Where is my order and what can I do?"] * 70
    warning = language_warning(mixed, "minilm")
    assert warning is not None
    assert warning.startswith("30% of the texts are not in English (most of these: Spanish)")
    assert language_warning(mixed, "multilingual") is None
    assert language_warning(mixed[25:], "minilm") is None  # 5 of 75
    assert language_warning([], "minilm") is None
