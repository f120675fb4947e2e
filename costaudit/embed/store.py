"""Store vectors by text, and embed texts without one."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import xxhash

from costaudit.contracts.run_dir import atomic_write
from costaudit.embed.embedder import Embedder, EmbedderSpec
from costaudit.engine.pool import return_memory
from costaudit.errors import BackendError, RunDirError
from costaudit.progress import Progress, SilentProgress
from costaudit.untrusted import check_rows

_SLICE = 200_000  # texts that are named at once


def named(texts: pl.DataFrame) -> pl.DataFrame:
    """Return texts (text) with the digests by which their vectors are stored (text_id)."""
    ids = [pl.Series("text_id", [], pl.String)]
    for part in texts["text"].to_frame().iter_slices(_SLICE):
        made = [xxhash.xxh3_128_hexdigest(one.encode()) for one in part["text"]]
        ids.append(pl.Series("text_id", made, pl.String))
    return texts.select(pl.concat(ids), "text")


class VectorStore:
    """Append-only parts, each written completely or not at all, so that a killed run resumes."""

    def __init__(self, root: Path, embedder: str, revision: str, dimensions: int) -> None:
        safe = "".join(c if c.isalnum() or c in "._" else "-" for c in f"{embedder}-{revision}")
        self.folder = root / safe
        self._dimensions = dimensions

    def load(self, text_ids: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """Return the stored vectors of `text_ids`: bool (n,) found, and float32 (n, dimensions).

        Rows that are not found are zero. Raises RunDirError if a part can't be read.
        """
        vectors = np.zeros((len(text_ids), self._dimensions), dtype=np.float32)
        found = np.zeros(len(text_ids), dtype=bool)
        wanted = pl.DataFrame({"text_id": text_ids}).with_row_index("place")
        for path in self._parts():
            part = self._read(path, ["text_id", "vector"])
            rows = part.with_row_index("row").join(wanted, on="text_id", how="inner")
            places = rows["place"].to_numpy()
            vectors[places] = self._matrix(part, path)[rows["row"].to_numpy()]
            found[places] = True
        return found, vectors

    def known(self, text_ids: pl.Series) -> np.ndarray:
        """Return which of `text_ids` have a stored vector, bool (n,), without reading vectors."""
        stored = [self._read(path, ["text_id"])["text_id"] for path in self._parts()]
        none = pl.Series("text_id", [], dtype=text_ids.dtype)
        return text_ids.is_in(pl.concat([none, *stored]).implode()).to_numpy()

    def append(self, text_ids: pl.Series, vectors: np.ndarray) -> None:
        """Write a new part, named after its texts: another process may write parts too."""
        name = f"part-{xxhash.xxh3_64_hexdigest(chr(10).join(text_ids).encode())}.parquet"
        frame = pl.DataFrame(
            {
                "text_id": text_ids,
                "vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, self._dimensions)),
            }
        )
        with atomic_write(self.folder / name) as path:
            frame.write_parquet(path, compression="uncompressed", statistics=False)

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _read(self, path: Path, columns: list[str]) -> pl.DataFrame:
        try:
            check_rows(path)
            return pl.read_parquet(path, columns=columns)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise RunDirError(
                f"The stored vectors in {path} can't be read: {error}.",
                hint="Delete the file: its texts are then embedded again.",
            ) from None

    def _matrix(self, part: pl.DataFrame, path: Path) -> np.ndarray:
        matrix = part["vector"].to_numpy()
        if matrix.shape != (len(part), self._dimensions):
            raise RunDirError(
                f"The stored vectors in {path} are not {self._dimensions} wide.",
                hint="Delete the file: its texts are then embedded again.",
            )
        return matrix


_BATCH_TEXTS = 2_048  # OpenAI's limit for one call
_PART_TEXTS = 2_048  # in a stored part, which an interruption can lose
_TRIED_BATCHES = 16  # in a part that measures the speed; enough for as many workers


@dataclass(frozen=True)
class Long:
    """The size from which a task says how long it will take."""

    tokens: int = 100_000
    seconds: float = 300.0


LONG = Long()
FEWER = ": see --sample, --budget"


@dataclass(frozen=True)
class Embedded:
    """Vectors of distinct texts, and the effort of making them."""

    vectors: np.ndarray  # float32 (n, dimensions) of unit length, aligned with the texts
    embedded_now: int  # all others were stored
    cut_texts: int  # new texts longer than the embedder's limit
    tokens_now: int  # read by the embedder
    seconds: float  # spent embedding


def embed_texts(
    texts: pl.DataFrame,
    embedder: Embedder,
    store: VectorStore,
    progress: Progress | None = None,
    *,
    unit: str = "texts",
    long: Long = LONG,
) -> Embedded:
    """Return a vector for each row of `texts` (text_id, text; distinct), embedding only new ones.

    Texts of similar length are embedded together; each finished part is stored immediately. `unit`
    names the texts in progress messages.
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
        cut = int((counts > embedder.spec.max_tokens).sum())
        counts = np.minimum(counts, embedder.spec.max_tokens)
        tokens = int(counts.sum())
        order = np.argsort(counts, kind="stable")
        is_long = tokens >= long.tokens
        ahead = _Ahead(len(order), unit, tokens, progress) if is_long else None
        for part in _parts(order, counts, embedder.spec if is_long else None):
            batches = _batches(part, counts, embedder.spec.batch_tokens)
            for batch, made in zip(batches, _encoded(embedder, wanted, batches), strict=True):
                vectors[missing[batch]] = made
                progress.advance(len(batch))
            store.append(texts["text_id"].gather(missing[part]), vectors[missing[part]])
            if ahead is not None:
                ahead.after(len(part), int(counts[part].sum()), long.seconds)
            return_memory()
    progress.finish()
    return Embedded(vectors, len(missing), cut, tokens, time.monotonic() - started)


def _parts(
    order: np.ndarray, counts: np.ndarray, tried_by: EmbedderSpec | None
) -> Iterator[np.ndarray]:
    """Yield the parts to embed; of a long task, the first two are for measuring its speed.

    They have texts of middling length, and the first one also loads the model. The parts don't
    depend on the number of workers, because the last bits of a vector depend on its batch.
    """
    first, tried = 0, 0
    if tried_by is not None:
        first = len(order) // 2
        tokens = _TRIED_BATCHES * tried_by.batch_tokens
        tried = max(1, tokens // max(1, int(counts[order[first]])))
        tried = min(tried, _PART_TEXTS, max(1, (len(order) - first) // 3))
        yield order[first : first + tried]
        yield order[first + tried : first + 2 * tried]
    rest = np.concatenate([order[:first], order[first + 2 * tried :]])
    for start in range(0, len(rest), _PART_TEXTS):
        yield rest[start : start + _PART_TEXTS]


def seconds_per_token(
    texts: pl.DataFrame, tokens: np.ndarray, embedder: Embedder, store: VectorStore
) -> float:
    """Embed a few texts of middling length, and return the seconds per token.

    `texts` (text_id, text) are in order of their `tokens` (n,). A first part loads the model, and
    isn't timed unless there is no other. Both are stored, as any other vectors.
    """
    middle = len(texts) // 2
    many = embedder.spec.concurrency * embedder.spec.batch_tokens // max(1, int(tokens[middle]))
    many = max(1, min(many, (len(texts) - middle) // 2))
    first = embed_texts(texts[middle : middle + many], embedder, store)
    tried = embed_texts(texts[middle + many : middle + 2 * many], embedder, store)
    timed = tried if tried.tokens_now else first
    return timed.seconds / max(1, timed.tokens_now)


class _Ahead:
    """Says how long embedding will take, once two parts show the speed."""

    def __init__(self, texts: int, unit: str, tokens: int, progress: Progress) -> None:
        self._texts, self._unit, self._progress = texts, unit, progress
        self._parts, self._done, self._left = 0, 0, tokens
        self._since = time.monotonic()

    def after(self, texts: int, tokens: int, least_s: float) -> None:
        """Take note of a finished part; after the second, say if the rest takes `least_s`."""
        self._parts, self._done, self._left = (
            self._parts + 1,
            self._done + texts,
            self._left - tokens,
        )
        spent, self._since = time.monotonic() - self._since, time.monotonic()
        left_s = spent / tokens * self._left
        if self._parts != 2 or left_s < least_s:
            return
        minutes = max(1.0, left_s / 60)
        said = f"{self._texts:,} {self._unit} take about {minutes:,.0f} min"
        self._progress.finish(said + (FEWER if self._unit == "questions" else ""))
        self._progress.start("embed", self._texts, self._unit)
        self._progress.advance(self._done)


def _encoded(
    embedder: Embedder, texts: list[str], batches: list[np.ndarray]
) -> Iterator[np.ndarray]:
    def encode(batch: np.ndarray) -> np.ndarray:
        made = embedder.encode([texts[place] for place in batch])
        if made.shape != (len(batch), embedder.spec.dimensions):
            raise BackendError(
                f"{embedder.spec.name} made vectors of shape {made.shape} for {len(batch)} texts, "
                f"not {embedder.spec.dimensions} wide.",
                hint="Check the embedder's dimensions.",
            )
        return made

    pool = ThreadPoolExecutor(embedder.spec.concurrency)
    try:
        yield from pool.map(encode, batches)
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(order: np.ndarray, counts: np.ndarray, most_tokens: int) -> list[np.ndarray]:
    """Return batches of about `most_tokens`, including padding, of texts in order of length."""
    batches, start = [], 0
    for place in range(1, len(order) + 1):
        longer = place < len(order) and counts[order[place]] * (place + 1 - start) <= most_tokens
        if not longer or place - start == _BATCH_TEXTS:
            batches.append(order[start:place])
            start = place
    return batches
