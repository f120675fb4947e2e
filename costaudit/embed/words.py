"""Embed texts cheaply by word vectors, and check whether the embedder knows a log's languages."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from costaudit.embed.minilm import packaged_model

if TYPE_CHECKING:
    import polars as pl
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


def language_warning(texts: "Sequence[str] | pl.Series", embedder: str) -> str | None:
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
_WORDED_TEXTS = 4_096  # texts that are handled at once
_SUMMED_TEXTS = 512  # texts whose words' vectors are in memory at once


def word_vectors(texts: Sequence[str], dtype: type[np.floating[Any]] = np.float32) -> np.ndarray:
    """Embed texts by MiniLM's input vectors, weighted by rarity, without their common direction.

    Return (n, 384) of unit length, zero for a text without words. This is fast, and good enough to
    find which texts may be similar, but not how similar.
    """
    return WordVectors(texts, dtype)[:]


class WordVectors:
    """The vectors of `word_vectors`, made when rows are read: only the texts' words are kept."""

    def __init__(self, texts: "Sequence[str] | pl.Series", dtype: type[np.floating[Any]]) -> None:
        self._dtype = dtype
        self._table = WordTable()
        self._ids, self._lengths = _flat_ids(self._table, texts)
        self._starts = np.cumsum(self._lengths) - self._lengths
        counts = np.bincount(self._ids, minlength=len(self._table.vectors))
        frequency = counts / max(1, len(self._ids))
        self._weight = (_SMOOTHING / (_SMOOTHING + frequency)).astype(np.float32)
        count = len(self)
        drawn = np.linspace(0, count - 1, min(count, _WORDS_SAMPLE)).astype(np.int64)
        wide = self._means(drawn).astype(np.float64)
        self._common = np.linalg.eigh(wide.T @ wide)[1][:, -1]

    def __len__(self) -> int:
        return len(self._lengths)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        places = np.arange(len(self))[rows]
        found = np.zeros((len(places), self._table.vectors.shape[1]), self._dtype)
        for here in _slices(len(places)):
            part = self._means(places[here]).astype(np.float32)
            part = part - np.outer(part @ self._common, self._common)
            norms = np.linalg.norm(part, axis=1, keepdims=True)
            found[here] = part / np.where(norms > 0, norms, 1.0)
        return found

    def _means(self, rows: np.ndarray) -> np.ndarray:
        """Return the weighted mean of the words' vectors of each text."""
        means = np.zeros((len(rows), self._table.vectors.shape[1]), self._dtype)
        for here in _slices(len(rows), _SUMMED_TEXTS):
            lengths = self._lengths[rows[here]]
            worded = np.flatnonzero(lengths)
            if not len(worded):
                continue
            ends = np.cumsum(lengths)
            shift = self._starts[rows[here]] - (ends - lengths)
            inside = self._ids[np.arange(ends[-1]) + np.repeat(shift, lengths)]
            weighted = self._table.vectors[inside]
            weighted *= self._weight[inside, None]
            sums = np.add.reduceat(weighted, (ends - lengths)[worded])
            means[here.start + worded] = sums / lengths[worded, None]
        return means


def _flat_ids(
    table: "WordTable", texts: "Sequence[str] | pl.Series"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the word ids of all texts, one text after the other, and how many each has."""
    parts, lengths = [np.empty(0, np.int32)], np.zeros(len(texts), np.int64)
    for rows in _slices(len(texts)):
        found = table.ids(list(texts[rows]))
        lengths[rows] = [len(row) for row in found]
        parts.append(np.fromiter((one for row in found for one in row), np.int32))
    return np.concatenate(parts), lengths


def _slices(count: int, size: int = _WORDED_TEXTS) -> Iterator[slice]:
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
