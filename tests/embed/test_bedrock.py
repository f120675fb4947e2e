"""The real boto3 client against a local server."""

from pathlib import Path

import numpy as np
import pytest

from costaudit.embed.hosted import BedrockEmbedder
from costaudit.errors import BackendError, UsageError
from tests.embed.conftest import Vendor


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch, vendor: Vendor) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", vendor.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def vector(text: str) -> list[float]:
    return [3.0, float(len(text)), *[0.0] * 1022]


def test_titan_is_asked_text_by_text(vendor: Vendor) -> None:
    vendor.answer = lambda path, body: (
        200,
        {"embedding": vector(body["inputText"]), "inputTextTokenCount": 1},
    )
    vectors = BedrockEmbedder("amazon.titan-embed-text-v2:0").encode(["four", ""])
    np.testing.assert_allclose(vectors[0, :2], [0.6, 0.8])  # 3-4-5
    assert vectors.shape == (2, 1024)
    assert [body["inputText"] for _, body in vendor.asked] == ["four", " "]
    assert vendor.asked[0][0].startswith("/model/amazon.titan-embed-text-v2%3A0/invoke")


def test_cohere_takes_many_texts_at_once(vendor: Vendor) -> None:
    vendor.answer = lambda path, body: (200, {"embeddings": [vector(t) for t in body["texts"]]})
    texts = ["x" * length for length in range(1, 101)]
    vectors = BedrockEmbedder("eu.cohere.embed-multilingual-v3").encode(texts)
    assert [len(body["texts"]) for _, body in vendor.asked] == [96, 4]
    np.testing.assert_allclose(vectors[:, 1] / vectors[:, 0] * 3, range(1, 101), rtol=1e-5)


def test_long_texts_are_cut(vendor: Vendor) -> None:
    vendor.answer = lambda path, body: (200, {"embedding": vector("x")})
    embedder = BedrockEmbedder("amazon.titan-embed-text-v2:0")
    assert (embedder.token_counts(["x" * 40_000]) > embedder.max_tokens).all()
    embedder.encode(["x" * 40_000])
    assert len(vendor.asked[0][1]["inputText"]) == 4 * 8_192


def test_a_refusal_says_what_to_check(vendor: Vendor) -> None:
    vendor.answer = lambda path, body: (403, {"message": "no access to the model"})
    with pytest.raises(BackendError, match="no access") as caught:
        BedrockEmbedder("amazon.titan-embed-text-v2:0").encode(["a"])
    assert "credentials" in caught.value.hint


def test_without_a_region_there_is_a_next_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(BackendError) as caught:
        BedrockEmbedder("amazon.titan-embed-text-v2:0").encode(["a"])
    assert "AWS_REGION" in caught.value.hint


def test_other_models_are_refused() -> None:
    with pytest.raises(UsageError, match="anthropic"):
        BedrockEmbedder("anthropic.claude")
