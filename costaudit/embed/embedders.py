"""Find embedders by their names on the command line; read vectors from a file."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import xxhash

from costaudit.contracts.plugins import made
from costaudit.embed.embedder import Embedder, EmbedderSpec, spec_of, unit_rows
from costaudit.engine.engine import Engine, engine_named, is_on_ray
from costaudit.engine.pool import default_workers
from costaudit.errors import BackendError, InputError, UsageError

if TYPE_CHECKING:
    from costaudit.embed.hosted import BedrockEmbedder, HostedEmbedder, OpenAIEmbedder

HOSTED = ("openai", "bedrock")  # embedders that need a network
_ON_PROCESSORS = ("fast", "multilingual")  # embedders that never use an accelerator
_ID_COLUMNS = ("text_id", "text")
_VECTOR_COLUMNS = ("vector", "embedding")


class Precomputed:
    """Vectors from a file, by a column text or text_id and a column vector or embedding."""

    name = "precomputed"
    max_tokens = 2**31 - 1  # the texts were cut when the vectors were made
    concurrency = 1
    batch_tokens = 1 << 20

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def revision(self) -> str:
        """Digest of the file."""
        try:
            with self._path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()[:12]
        except OSError as error:
            raise self._unusable(str(error)) from None

    @property
    def dimensions(self) -> int:
        """Width of the file's vectors."""
        return int(self._table[1].shape[1])

    @property
    def spec(self) -> EmbedderSpec:
        """Name, weights, width and limits."""
        return spec_of(self)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Estimate four characters a token."""
        return np.array([len(text) // 4 + 1 for text in texts], dtype=np.int32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return the file's vectors; raises InputError with the number of missing texts."""
        rows, vectors = self._table
        ids = [xxhash.xxh3_128_hexdigest(text.encode()) for text in texts]
        missing = sum(one not in rows for one in ids)
        if missing:
            raise InputError(
                f"{self._path} has no vector for {missing:,} of {len(ids):,} texts looked up.",
                hint="Embed all of the log's texts, or name an embedder.",
            )
        return unit_rows(vectors[[rows[one] for one in ids]], str(self._path))

    @cached_property
    def _table(self) -> tuple[dict[str, int], np.ndarray]:
        try:
            frame = pl.read_parquet(self._path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise self._unusable(str(error)) from None
        identity = next((name for name in _ID_COLUMNS if name in frame.columns), None)
        vector = next((name for name in _VECTOR_COLUMNS if name in frame.columns), None)
        if identity is None or vector is None:
            raise self._unusable(f"its columns are {', '.join(frame.columns)}")
        if not isinstance(frame.schema[vector], pl.List | pl.Array):
            raise self._unusable(f"column {vector} holds {frame.schema[vector]}, not lists")
        widths = frame[vector].cast(pl.List(pl.Float32)).list.len().unique()
        if len(widths) != 1 or not widths[0]:
            raise self._unusable(f"column {vector} holds vectors of {len(widths)} different widths")
        matrix = frame[vector].cast(pl.Array(pl.Float32, int(widths[0]))).to_numpy()
        ids = frame[identity].to_list()
        if identity == "text":
            ids = [xxhash.xxh3_128_hexdigest(text.encode()) for text in ids]
        return {one: row for row, one in enumerate(ids)}, matrix

    def _unusable(self, why: str) -> InputError:
        return InputError(
            f"The vectors in {self._path} can't be used: {why}.",
            hint="Use a Parquet file with a column text or text_id, and a column vector of lists "
            "of equal length.",
        )


def embedder_named(name: str) -> Embedder:
    """Return an embedder by name; raises UsageError for an unknown one.

    Names are minilm, fast, mpnet, multilingual, openai[:MODEL], bedrock[:MODEL], a Hugging Face
    name with a slash, a sentence-transformers folder, a .parquet file of vectors, or a plug-in:
    the name that a package registers, module:Class or file.py:Class.
    """
    kind, _, model = name.partition(":")
    if kind in _MAKERS:
        return _MAKERS[kind](model)
    if is_table(name):
        return Precomputed(Path(name))
    own: Embedder | None = made("embedders", name, ("spec", "token_counts", "encode"))
    if own is not None:
        return own
    if name and (Path(name).is_dir() or name.count("/") == 1):
        return _sentence(name, name)
    raise UsageError(
        f"Unknown embedder {name!r}.",
        hint=f"Choose from {', '.join(sorted(_MAKERS))}, a Hugging Face name such as org/model, "
        "a model's folder, a .parquet file of vectors, or your own class: file.py:Class.",
    )


def hosted_named(name: str) -> "HostedEmbedder | None":
    """Return a hosted embedder by name, which calls nothing yet; None for any other embedder."""
    kind, _, model = name.partition(":")
    return _HOSTED[kind](model) if kind in HOSTED else None


class Distributed:
    """An embedder whose texts are encoded by an engine's workers, a batch at a time."""

    def __init__(self, name: str, engine: str) -> None:
        self._name, self._engine = name, engine
        self._here = embedder_named(name)  # counts tokens
        self._needs_accelerator = name not in _ON_PROCESSORS

    @property
    def spec(self) -> EmbedderSpec:
        """The embedder's own, so that batches and vectors are the same, with more at once."""
        at_once = self._workers.workers
        if self._needs_accelerator:
            at_once = self._workers.accelerators or at_once
        return replace(self._here.spec, concurrency=2 * at_once)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        """Count tokens on this machine."""
        return self._here.token_counts(texts)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode a batch on a worker; raises BackendError if it has no or another model."""
        task = (self._name, self._here.spec.revision, list(texts))
        [made] = self._workers.map(
            _encoded_there, [task], needs_accelerator=self._needs_accelerator
        )
        return made

    @cached_property
    def _workers(self) -> Engine:
        return engine_named(self._engine, default_workers())


def is_table(name: str) -> bool:
    """Return whether an embedder's name is that of a file of vectors."""
    return name.endswith(".parquet")


def is_own(name: str) -> bool:
    """Return whether an embedder is a class of the user's, which may call anything."""
    return not type(embedder_named(name)).__module__.startswith("costaudit.")


def embedder_on(name: str, engine: str) -> Embedder:
    """Return an embedder by name; on Ray, its workers run the models that run on a processor.

    Hosted models are asked from this machine, which has the key and keeps to their limits. A
    process pool is not used: the embedders use all processors themselves. Raises UsageError.
    """
    is_here = name.partition(":")[0] in HOSTED or is_table(name)
    return embedder_named(name) if is_here or not is_on_ray(engine) else Distributed(name, engine)


_on_worker = lru_cache(1)(embedder_named)  # a process loads a model once


def _encoded_there(task: tuple[str, str, list[str]]) -> np.ndarray:
    name, revision, texts = task
    try:
        embedder = _on_worker(name)
    except UsageError as error:
        raise BackendError(
            f"A worker has no model {name}. {error.message}",
            hint="Put the model's files on every node, at the same path.",
        ) from None
    if embedder.spec.revision != revision:
        raise BackendError(
            f"The model {name} has the revision {embedder.spec.revision}, not {revision}.",
            hint="Put the same model on every node: vectors of two models can't be compared.",
        )
    return embedder.encode(texts)


def _minilm(model: str) -> Embedder:
    from costaudit.embed.minilm import MiniLM

    _refuse_model("minilm", model)
    return MiniLM()


def _fast(model: str) -> Embedder:
    from costaudit.embed.minilm import FastMiniLM

    _refuse_model("fast", model)
    return FastMiniLM()


def _mpnet(model: str) -> Embedder:
    _refuse_model("mpnet", model)
    return _sentence("mpnet", "sentence-transformers/all-mpnet-base-v2")


def _multilingual(model: str) -> Embedder:
    from costaudit.embed.multilingual import Multilingual

    _refuse_model("multilingual", model)
    return Multilingual()


def _openai(model: str) -> "OpenAIEmbedder":
    from costaudit.embed.hosted import OpenAIEmbedder

    return OpenAIEmbedder(model or "text-embedding-3-small")


def _bedrock(model: str) -> "BedrockEmbedder":
    from costaudit.embed.hosted import BedrockEmbedder

    return BedrockEmbedder(model or "amazon.titan-embed-text-v2:0")


def _sentence(name: str, model: str) -> Embedder:
    from costaudit.embed.sentence import SentenceModel

    return SentenceModel(name, model)


def _refuse_model(name: str, model: str) -> None:
    if model:
        raise UsageError(f"{name} is one model; {model!r} can't follow it.", hint=f"Write {name}.")


_HOSTED: dict[str, Callable[[str], "OpenAIEmbedder | BedrockEmbedder"]] = {
    "openai": _openai,
    "bedrock": _bedrock,
}
_MAKERS: dict[str, Callable[[str], Embedder]] = {
    "minilm": _minilm,
    "fast": _fast,
    "mpnet": _mpnet,
    "multilingual": _multilingual,
    **_HOSTED,
}
