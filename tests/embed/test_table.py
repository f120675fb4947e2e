"""Which embedder each name selects."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from costaudit.embed.embedders import embedder_named
from costaudit.embed.minilm import MiniLM, packaged_model
from costaudit.errors import BackendError, UsageError


@pytest.mark.parametrize(
    ("name", "known_as"),
    [
        ("minilm", "minilm"),
        ("mpnet", "mpnet"),
        ("multilingual", "multilingual"),
        ("openai", "openai:text-embedding-3-small"),
        ("openai:text-embedding-3-large", "openai:text-embedding-3-large"),
        ("bedrock", "bedrock:amazon.titan-embed-text-v2:0"),
        ("bedrock:cohere.embed-english-v3", "bedrock:cohere.embed-english-v3"),
        ("org/model", "org/model"),
        ("vectors.parquet", "precomputed"),
    ],
)
def test_names(name: str, known_as: str) -> None:
    embedder: Any = embedder_named(name)  # has its name before weights are loaded
    assert embedder.name == known_as


@pytest.mark.parametrize("name", ["", "gpt", "minilm:large", "a/b/c"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        embedder_named(name)
    assert caught.value.hint


def test_a_folder_is_loaded_as_sentence_transformers_does() -> None:
    folder: Any = embedder_named(str(packaged_model()))
    built_in = MiniLM()
    texts = ["How do I reset my password?", "word " * 400]
    assert folder.revision == built_in.revision
    assert (folder.dimensions, folder.max_tokens) == (384, 256)
    assert folder.token_counts(texts).tolist() == built_in.token_counts(texts).tolist()
    similarity = (folder.encode(texts) * built_in.encode(texts)).sum(axis=1)
    np.testing.assert_allclose(similarity, 1.0, atol=1e-5)


def test_a_model_that_is_not_there_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BackendError, match="org/none") as caught:
        _ = embedder_named("org/none").spec
    assert "minilm" in caught.value.hint
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(BackendError, match="can't be loaded"):
        embedder_named(str(tmp_path)).encode(["a"])
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(BackendError, match=r"no model\.safetensors"):
        _ = embedder_named(str(tmp_path)).spec
