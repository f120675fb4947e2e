"""A cheap embedding: the weighted mean of a model's word vectors, without its layers."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from costaudit.embed.minilm import packaged_model

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SMOOTHING = 1e-3  # Arora et al. 2017, "A simple but tough-to-beat baseline": a / (a + frequency)
_SAMPLE = 20_000  # texts that the common direction is taken from


def word_vectors(texts: Sequence[str]) -> np.ndarray:
    """Embed texts by MiniLM's input vectors: rare words weigh more, the common direction is gone.

    Returns float32 (n, 384) of unit length, zero for a text without words. Thousands of texts a
    second: good enough to tell which texts might be near each other, not how near.
    """
    table = WordTable()
    ids = table.ids(texts)
    lengths = np.array([len(row) for row in ids])
    flat = np.concatenate([*ids, np.empty(0, dtype=np.int64)]).astype(np.int64)
    frequency = np.bincount(flat, minlength=len(table.vectors)) / max(1, len(flat))
    weight = _SMOOTHING / (_SMOOTHING + frequency)
    weighted = table.vectors[flat] * weight[flat, None].astype(np.float32)
    sums = np.zeros((len(ids), table.vectors.shape[1]), dtype=np.float32)
    worded = np.flatnonzero(lengths)
    if len(worded):
        sums[worded] = np.add.reduceat(weighted, (np.cumsum(lengths) - lengths)[worded])
    means = sums / np.maximum(lengths, 1)[:, None]
    sample = means[np.linspace(0, len(means) - 1, min(len(means), _SAMPLE)).astype(np.int64)]
    wide = sample.astype(np.float64)
    common = np.linalg.eigh(wide.T @ wide)[1][:, -1]
    means = means - np.outer(means @ common, common)
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    unit: np.ndarray = (means / np.where(norms > 0, norms, 1.0)).astype(np.float32)
    return unit


class WordTable:
    """The tokenizer and the input vectors of MiniLM."""

    @cached_property
    def vectors(self) -> np.ndarray:
        """Give float32 (words, 384)."""
        from safetensors import safe_open

        with safe_open(packaged_model() / "model.safetensors", framework="numpy") as weights:
            table: np.ndarray = weights.get_tensor("embeddings.word_embeddings.weight")
        return table

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Give each text's word ids, without the special ones."""
        rows = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [row.ids for row in rows]

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(packaged_model() / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer
