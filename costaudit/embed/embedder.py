"""What turns texts into unit vectors."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from costaudit.errors import BackendError


class Embedder(Protocol):
    """Encode texts; vectors are stored under name and revision, so both must tell models apart."""

    @property
    def name(self) -> str:
        """Short name, as given on the command line."""

    @property
    def revision(self) -> str:
        """Digest or version of the weights."""

    @property
    def dimensions(self) -> int:
        """Width of a vector."""

    @property
    def max_tokens(self) -> int:
        """Longer texts are cut here."""

    @property
    def concurrency(self) -> int:
        """How many batches may be encoded at the same time, each by a thread."""

    @property
    def batch_tokens(self) -> int:
        """How many tokens a batch should have, padding included."""

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Count each text's tokens before cutting; an estimate where the model's own are unknown.

        Returns int32 (n,). Batches are sorted by it, and it tells which texts are cut.
        """

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts, each cut at max_tokens, as float32 (n, dimensions) of unit length."""


def unit_rows(vectors: np.ndarray, what: str) -> np.ndarray:
    """Scale rows to unit length, as float32; raises BackendError where a row has no direction."""
    wide = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise BackendError(
            f"{what} gave a vector that is zero or not finite.",
            hint="Check the model, or choose another embedder.",
        )
    unit: np.ndarray = (wide / norms).astype(np.float32)
    return unit
