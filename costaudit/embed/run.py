"""Embed the texts that have no stored vector yet."""

import ctypes
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import polars as pl

from costaudit.embed.embedder import Embedder
from costaudit.embed.store import VectorStore
from costaudit.errors import BackendError
from costaudit.progress import Progress, SilentProgress

_BATCH_TEXTS = 2_048  # the most that OpenAI takes in one call
_PART_TEXTS = 2_048  # of a stored part: what an interruption can lose


@dataclass(frozen=True)
class Embedded:
    """Vectors of distinct texts, and what making them took."""

    vectors: np.ndarray  # float32 (n, dimensions) of unit length, aligned with the texts
    embedded_now: int  # the others were stored
    cut_texts: int  # of the new ones, longer than the embedder's limit
    tokens_now: int  # read by the embedder
    seconds: float  # spent embedding


def embed_texts(
    texts: pl.DataFrame,
    embedder: Embedder,
    store: VectorStore,
    progress: Progress | None = None,
    *,
    unit: str = "texts",
) -> Embedded:
    """Give a vector for each row of `texts` (text_id, text; distinct), embedding only new ones.

    Texts of similar length are embedded together; each part is stored as soon as it is done.
    `unit` is what the reader calls them.
    """
    progress = progress or SilentProgress()
    found, vectors = store.load(texts["text_id"])
    missing = np.flatnonzero(~found)
    progress.start("embed", len(missing), unit)
    cut = tokens = 0
    started = time.monotonic()
    if len(missing):
        wanted = texts["text"].gather(missing).to_list()
        counts = embedder.token_counts(wanted)
        cut = int((counts > embedder.max_tokens).sum())
        counts = np.minimum(counts, embedder.max_tokens)
        tokens = int(counts.sum())
        order = np.argsort(counts, kind="stable")
        for start in range(0, len(order), _PART_TEXTS):
            part = order[start : start + _PART_TEXTS]
            batches = _batches(part, counts, embedder.batch_tokens)
            for batch, made in zip(batches, _encoded(embedder, wanted, batches), strict=True):
                vectors[missing[batch]] = made
                progress.advance(len(batch))
            store.append(texts["text_id"].gather(missing[part]), vectors[missing[part]])
            _return_memory()
    progress.finish()
    return Embedded(vectors, len(missing), cut, tokens, time.monotonic() - started)


def _encoded(
    embedder: Embedder, texts: list[str], batches: list[np.ndarray]
) -> Iterator[np.ndarray]:
    def encode(batch: np.ndarray) -> np.ndarray:
        made = embedder.encode([texts[place] for place in batch])
        if made.shape != (len(batch), embedder.dimensions):
            raise BackendError(
                f"{embedder.name} gave vectors of shape {made.shape} for {len(batch)} texts, "
                f"not {embedder.dimensions} wide.",
                hint="Check the embedder's dimensions.",
            )
        return made

    pool = ThreadPoolExecutor(embedder.concurrency)
    try:
        yield from pool.map(encode, batches)
    finally:
        pool.shutdown(cancel_futures=True)


def _return_memory() -> None:
    """Hand freed memory back to the system: batches of many sizes leave the heap full of holes."""
    with suppress(AttributeError, OSError, TypeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def _batches(order: np.ndarray, counts: np.ndarray, most_tokens: int) -> list[np.ndarray]:
    """Cut texts of rising length into batches of about `most_tokens`, padding included."""
    batches, start = [], 0
    for place in range(1, len(order) + 1):
        longer = place < len(order) and counts[order[place]] * (place + 1 - start) <= most_tokens
        if not longer or place - start == _BATCH_TEXTS:
            batches.append(order[start:place])
            start = place
    return batches
