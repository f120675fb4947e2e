"""OpenAI's own client against a local server."""

from typing import Any

import numpy as np
import pytest

from costaudit.embed.hosted import OpenAIEmbedder
from costaudit.errors import BackendError
from tests.embed.conftest import Vendor


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch, vendor: Vendor) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{vendor.url}/v1")


def lengths(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Answer out of order with unnormalised vectors that encode each text's length."""
    rows = [
        {"object": "embedding", "index": place, "embedding": [3.0, float(len(text))]}
        for place, text in enumerate(body["input"])
    ]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return 200, {"object": "list", "data": rows[::-1], "model": body["model"], "usage": usage}


def test_vectors_follow_the_texts_and_have_unit_length(vendor: Vendor) -> None:
    vendor.answer = lengths
    embedder = OpenAIEmbedder("made-up-model")
    assert embedder.dimensions == 2
    vectors = embedder.encode(["four", "", "x" * 9])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[0], [0.6, 0.8])  # 3-4-5
    np.testing.assert_allclose(vectors[1], np.array([3, 1]) / np.sqrt(10), rtol=1e-6)
    path, body = vendor.asked[-1]
    assert path == "/v1/embeddings"
    assert body["input"] == ["four", " ", "x" * 9]
    assert body["model"] == "made-up-model"


def test_long_texts_are_cut_at_the_limit(vendor: Vendor) -> None:
    vendor.answer = lengths
    embedder = OpenAIEmbedder("text-embedding-3-small")
    long = "hello " * 9_000
    assert embedder.token_counts([long, "hello"]).tolist() == [9_001, 1]
    embedder.encode([long])
    sent = vendor.asked[-1][1]["input"][0]
    assert long.startswith(sent)
    assert embedder.token_counts([sent]).tolist() == [embedder.max_tokens]


def test_known_models_need_no_question_about_their_width(vendor: Vendor) -> None:
    assert OpenAIEmbedder("text-embedding-3-large").dimensions == 3072
    assert vendor.asked == []


def test_a_refusal_says_what_to_check(vendor: Vendor) -> None:
    vendor.answer = lambda path, body: (401, {"error": {"message": "wrong key"}})
    with pytest.raises(BackendError, match="wrong key") as caught:
        OpenAIEmbedder("text-embedding-3-small").encode(["a"])
    assert "OPENAI_API_KEY" in caught.value.hint


def test_without_a_key_nothing_is_sent(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(BackendError):
        OpenAIEmbedder("text-embedding-3-small").encode(["a"])
    assert vendor.asked == []
