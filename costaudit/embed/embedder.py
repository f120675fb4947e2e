"""The Protocol of embedders, which turn texts into unit vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from costaudit.errors import BackendError


@dataclass(frozen=True)
class EmbedderSpec:
    """The properties of an embedder."""

    name: str  # short, as written on the command line
    revision: str  # digest or version of the weights; name and revision identify a model
    dimensions: int  # width of a vector
    max_tokens: int  # longer texts are cut here
    concurrency: int = 1  # batches that may be encoded simultaneously, each by a thread
    batch_tokens: int = 2_048  # tokens of a batch, including padding


class Embedder(Protocol):
    """Encodes texts as unit vectors."""

    @property
    def spec(self) -> EmbedderSpec:
        """The vectors' name, and how texts are cut and batched."""

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Return each text's tokens before cutting; an estimate if the model's own are unknown.

        Return int32 (n,). Batches are sorted by it, and it shows which texts are cut.
        """

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode texts, each cut at max_tokens, as float32 (n, dimensions) of unit length."""


class _Described(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def concurrency(self) -> int: ...
    @property
    def batch_tokens(self) -> int: ...


def spec_of(embedder: _Described) -> EmbedderSpec:
    """Return the attributes of an embedder as its spec."""
    return EmbedderSpec(
        name=embedder.name,
        revision=embedder.revision,
        dimensions=embedder.dimensions,
        max_tokens=embedder.max_tokens,
        concurrency=embedder.concurrency,
        batch_tokens=embedder.batch_tokens,
    )


def unit_rows(vectors: np.ndarray, what: str) -> np.ndarray:
    """Return rows of unit length, as float32; raises BackendError if a row has no direction."""
    wide = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    if not (np.isfinite(norms) & (norms > 0)).all():
        raise BackendError(
            f"{what} returned a vector that is zero or not finite.",
            hint="Check the model, or choose another embedder.",
        )
    unit: np.ndarray = (wide / norms).astype(np.float32)
    return unit
