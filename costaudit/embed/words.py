"""Embed texts cheaply by word vectors, and check whether the embedder knows a log's languages."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from costaudit.embed.minilm import packaged_model

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ENGLISH_ONLY = ("minilm", "fast", "mpnet")  # embedders whose training texts were English
_SAMPLE = 500  # texts; the share's error is 2 points
_WARN_SHARE = 0.2  # share of the texts whose language is known
_WORD = re.compile(r"[^\W\d_]+")
_FREQUENT = {
    "English": "the and is are you of to how what my can do does it for with not this that was",
    "Spanish": "el los las una qué cómo mi puedo para con por está son del dónde más hay se lo",
    "French": "le les une des est je vous mon ma pour avec pas que qui où comment puis dans du",
    "German": "der die das ist ich und wie mein meine nicht ein eine für mit auf wo kann zu von",
    "Portuguese": "o os uma não meu minha você como posso para com por está são do da onde um em",
    "Italian": "il gli una è non mio mia come posso per con che dove sono della del più di cosa mi",
    "Dutch": "de het een is ik niet mijn hoe kan met voor van op en waar wat dat te zijn naar",
}
_WORDS = {name: frozenset(words.split()) for name, words in _FREQUENT.items()}
_SCRIPTS = {
    "Chinese or Japanese": re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]"),
    "Korean": re.compile(r"[\uac00-\ud7af]"),
    "Cyrillic script": re.compile(r"[\u0400-\u04ff]"),
    "Arabic script": re.compile(r"[\u0600-\u06ff]"),
    "Devanagari script": re.compile(r"[\u0900-\u097f]"),
}


def language_warning(texts: Sequence[str] | pl.Series, embedder: str) -> str | None:
    """Return a warning if many texts are in a language that the embedder was not trained on."""
    if embedder not in ENGLISH_ONLY:
        return None
    step = max(1, len(texts) // _SAMPLE)
    found = Counter(language_of(text) for text in texts[::step])
    told = sum(count for name, count in found.items() if name is not None)
    others = {name: n for name, n in found.items() if name not in (None, "English")}
    share = sum(others.values()) / told if told else 0.0
    if share < _WARN_SHARE:
        return None
    most = max(sorted(others, key=str), key=lambda name: others[name])
    return (
        f"{share:.0%} of the texts are not in English (most of these: {most}), and {embedder} was "
        "trained on English: similarities mean less there. Try --embedder multilingual."
    )


def language_of(text: str) -> str | None:
    """Return a text's language by its script or frequent words; None if these don't show it."""
    start = text[:1_000]
    words = [word.lower() for word in _WORD.findall(start)]
    for name, script in _SCRIPTS.items():
        if len(script.findall(start)) * 3 >= len(words) > 0:
            return name
    hits = {name: sum(word in known for word in words) for name, known in _WORDS.items()}
    best, second = sorted(hits.values(), reverse=True)[:2]
    if best == 0 or best == second:
        return None
    return max(hits, key=lambda name: hits[name])


_SMOOTHING = 1e-3  # Arora et al. 2017, "A simple but tough-to-beat baseline": a / (a + frequency)
_WORDS_SAMPLE = 20_000  # texts that define the common direction
_READ_BYTES = 1 << 24  # of texts that are split at once
_TOKENIZED = 4_096  # words at once
_COUNTED = 1 << 22  # ids at once


def word_vectors(texts: Sequence[str]) -> np.ndarray:
    """Embed texts by MiniLM's input vectors, weighted by rarity, without their common direction.

    Return float32 (n, 384) of unit length, zero for a text without words. This is fast, and good
    enough to find which texts may be similar, but not how similar.
    """
    return WordVectors(texts)[:]


class WordVectors:
    """The vectors of `word_vectors`, made when rows are read: only the texts' words are kept."""

    def __init__(self, texts: Sequence[str] | pl.Series, table: "WordTable | None" = None) -> None:
        table = table or WordTable()
        self._ids, lengths = _flat_ids(table, texts)
        self._starts = np.concatenate([[0], np.cumsum(lengths)])
        counts = np.zeros(len(table.vectors), np.int64)
        for here in _slices(len(self._ids), _COUNTED):
            counts += np.bincount(self._ids[here], minlength=len(counts))
        frequency = counts / max(1, len(self._ids))
        weight = (_SMOOTHING / (_SMOOTHING + frequency)).astype(np.float32)
        self._rows = table.vectors * weight[:, None]
        drawn = np.linspace(0, len(self) - 1, min(len(self), _WORDS_SAMPLE)).astype(np.int64)
        wide = self._sums(drawn) / np.maximum(lengths[drawn], 1)[:, None]
        common = np.linalg.eigh(wide.T @ wide)[1][:, -1]
        self._rows -= np.outer(self._rows @ common, common)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        found = self._sums(rows)
        norms = np.sqrt(np.einsum("ij,ij->i", found, found))
        found /= np.where(norms > 0, norms, 1.0)[:, None]
        return found

    def _sums(self, rows: np.ndarray) -> np.ndarray:
        """Return the sum of the weighted vectors of each text's words."""
        from costaudit.embed.word_kernels import sum_rows

        sums = np.zeros((len(rows), self._rows.shape[1]), np.float32)
        sum_rows(rows, self._starts, self._ids, self._rows, sums)
        return sums


def _flat_ids(
    table: "WordTable", texts: Sequence[str] | pl.Series
) -> tuple[np.ndarray, np.ndarray]:
    """Return the word ids of all texts, one text after the other, and how many each has.

    The tokenizer never looks across a space, so that it reads each distinct piece between spaces
    only once.
    """
    series = pl.Series("text", texts, dtype=pl.String)
    read = np.cumsum(series.str.len_bytes().to_numpy(), dtype=np.int64) // _READ_BYTES
    edges = np.flatnonzero(np.diff(read, prepend=-1, append=-1))
    parts, lengths = [np.empty(0, np.uint16)], [np.empty(0, np.int64)]
    for start, stop in pairwise(edges.tolist()):
        ids, counts = _ids_of(table, series[start:stop].str.split(" "))
        parts.append(ids)
        lengths.append(counts)
    return np.concatenate(parts), np.concatenate(lengths)


def _ids_of(table: "WordTable", split: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of texts that are split into pieces, and how many each text has."""
    from costaudit.embed.word_kernels import spread_ids

    pieces = split.explode()
    kinds = pieces.unique()
    codes = pieces.cast(pl.Enum(kinds)).to_physical().cast(pl.UInt32).to_numpy()
    known = [
        row for here in _slices(len(kinds), _TOKENIZED) for row in table.ids(kinds[here].to_list())
    ]
    sizes = np.fromiter(map(len, known), np.int64, len(known))
    counts = sizes[codes]
    ids = np.empty(counts.sum(), np.uint16)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    spread_ids(codes, starts, np.fromiter(chain.from_iterable(known), np.uint16), ids)
    pieces_before = np.cumsum(split.list.len().to_numpy(), dtype=np.int64)[:-1]
    return ids, np.add.reduceat(counts, np.concatenate([[0], pieces_before]))


def _slices(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


class WordTable:
    """The tokenizer and the input vectors of MiniLM."""

    @cached_property
    def vectors(self) -> np.ndarray:
        """Return float32 (words, 384)."""
        from safetensors import safe_open

        with safe_open(packaged_model() / "model.safetensors", framework="numpy") as weights:
            table: np.ndarray = weights.get_tensor("embeddings.word_embeddings.weight")
        return table

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each text's word ids, without the special ones."""
        rows = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [row.ids for row in rows]

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(packaged_model() / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer
