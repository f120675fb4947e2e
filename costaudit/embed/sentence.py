"""Load any sentence-transformers model, from a folder or from the Hugging Face hub."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from costaudit.embed.embedder import EmbedderSpec, spec_of, unit_rows
from costaudit.engine.device import accelerator, computing_on
from costaudit.engine.hub import ModelNotFoundError, model_folder
from costaudit.errors import BackendError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_WEIGHTS = "model.safetensors"


class SentenceModel:
    """A sentence-transformers model, loaded at first use: stored vectors need only its revision."""

    concurrency = 1  # torch uses all processors for one batch

    def __init__(self, name: str, model: str) -> None:
        self.name = name
        self._model_name = model

    @cached_property
    def revision(self) -> str:
        """Digest of the weights' file."""
        path = self._folder / _WEIGHTS
        if not path.is_file():
            raise self._unloadable(f"it has no {_WEIGHTS}, and other formats can run code")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]

    @property
    def batch_tokens(self) -> int:
        """More tokens on an accelerator, to keep it busy."""
        return 2_048 if self._on == "cpu" else 16_384

    @property
    def dimensions(self) -> int:
        """Width of the model's vectors."""
        return int(self._model.get_embedding_dimension() or 0)

    @property
    def max_tokens(self) -> int:
        """The model's own limit."""
        return int(self._model.max_seq_length or 512)

    @property
    def spec(self) -> EmbedderSpec:
        """Name, weights, width and limits."""
        return spec_of(self)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Return token counts, including special tokens."""
        if not texts:
            return np.empty(0, dtype=np.int32)
        rows = self._model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return np.array([len(ids) for ids in rows], dtype=np.int32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode one batch."""
        model = self._model
        with computing_on(self._on):
            made = model.encode(list(texts), batch_size=len(texts), show_progress_bar=False)
        return unit_rows(made, self.name)

    @cached_property
    def _folder(self) -> Path:
        try:
            return model_folder(self._model_name)
        except ModelNotFoundError as error:
            raise self._unloadable(str(error)) from None

    @cached_property
    def _on(self) -> str:
        return accelerator() or "cpu"

    @cached_property
    def _model(self) -> "SentenceTransformer":
        folder = self._folder
        from sentence_transformers import SentenceTransformer

        try:
            return SentenceTransformer(
                str(folder), device=self._on, local_files_only=True, trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )  # fmt: skip
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise self._unloadable(str(error).splitlines()[0]) from None

    def _unloadable(self, why: str) -> BackendError:
        return BackendError(
            f"The embedding model {self._model_name!r} can't be loaded: {why.rstrip('.')}.",
            hint="Name a sentence-transformers folder, download the model with a network, "
            "or use the built-in minilm.",
        )
