"""Each text is embedded once, even after interruptions."""

import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xxhash

from costaudit.embed.embedder import EmbedderSpec, spec_of
from costaudit.embed.store import LONG, VectorStore, embed_texts, named
from costaudit.errors import BackendError, RunDirError
from costaudit.progress import SilentProgress


class Counting:
    """An embedder that records its inputs; the angle of a vector encodes the text's length."""

    name, revision, dimensions, max_tokens = "counting", "r/1", 3, 50
    concurrency, batch_tokens = 1, 2_048

    def __init__(self, fail_after: int = 10**9) -> None:
        self.batches: list[list[str]] = []
        self.fail_after = fail_after

    @property
    def spec(self) -> EmbedderSpec:
        return spec_of(self)

    def token_counts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([len(text) for text in texts], dtype=np.int32)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        if sum(map(len, self.batches)) >= self.fail_after:
            raise KeyboardInterrupt
        self.batches.append(list(texts))
        angle = np.array([len(text) / 100 for text in texts])
        return np.column_stack([np.cos(angle), np.sin(angle), angle * 0]).astype(np.float32)


def table(texts: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({"text_id": [f"id{text}" for text in texts], "text": list(texts)})


def store_of(root: Path, embedder: Counting) -> VectorStore:
    return VectorStore(root, embedder.name, embedder.revision, embedder.dimensions)


def test_texts_are_named_by_their_hash() -> None:
    found = named(pl.DataFrame({"text": ["b", "ä", ""], "other": 1}))
    assert found.rows() == [(xxhash.xxh3_128_hexdigest(t.encode()), t) for t in ("b", "ä", "")]
    none = named(pl.DataFrame(schema={"text": pl.String}))
    assert none.schema == pl.Schema({"text_id": pl.String, "text": pl.String})


def test_vectors_are_aligned_and_made_in_order_of_length(tmp_path: Path) -> None:
    texts = table(["ccc", "a", "bb" * 30, "dddd"])
    embedder = Counting()
    done = embed_texts(texts, embedder, store_of(tmp_path, embedder))
    assert [text for batch in embedder.batches for text in batch] == ["a", "ccc", "dddd", "bb" * 30]
    expected = np.cos(np.array([3, 1, 60, 4]) / 100)
    np.testing.assert_allclose(done.vectors[:, 0], expected, rtol=1e-6)
    assert (done.embedded_now, done.cut_texts, done.tokens_now) == (4, 1, 1 + 3 + 4 + 50)


def test_a_second_run_embeds_only_what_is_new(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    old = embed_texts(table(["a", "bb"]), first, store_of(tmp_path, first))
    new = embed_texts(table(["bb", "ccc", "a"]), second, store_of(tmp_path, second))
    assert second.batches == [["ccc"]]
    assert new.embedded_now == 1
    np.testing.assert_array_equal(new.vectors[[2, 0]], old.vectors)
    third = Counting()
    again = embed_texts(table(["bb", "ccc", "a"]), third, store_of(tmp_path, third))
    assert third.batches == []
    np.testing.assert_array_equal(again.vectors, new.vectors)


def test_what_is_stored_is_known_without_memory_for_vectors(tmp_path: Path) -> None:
    embedder = Counting()
    store = store_of(tmp_path, embedder)
    asked = table(["bb", "ccc", "a", "bb"])["text_id"]
    assert store.known(asked).tolist() == [False] * 4
    embed_texts(table(["a", "bb"]), embedder, store)
    embed_texts(table(["dddd"]), embedder, store)  # a second part
    many = pl.concat([asked, pl.Series([f"new {k}" for k in range(200_000)])])
    tracemalloc.start()
    known = store.known(many)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert known[:4].tolist() == [True, False, True, True] and not known[4:].any()
    np.testing.assert_array_equal(known[:4], store.load(asked)[0])
    assert most < 200_000 * embedder.dimensions * 4


def test_an_interrupted_run_resumes_where_a_part_ended(tmp_path: Path) -> None:
    texts = table([f"{number:05d}" for number in range(5_000)])
    broken = Counting(fail_after=4_500)
    with pytest.raises(KeyboardInterrupt):
        embed_texts(texts, broken, store_of(tmp_path, broken))
    rest = Counting()
    done = embed_texts(texts, rest, store_of(tmp_path, rest))
    assert done.embedded_now == 5_000 - 2 * 2_048  # two complete parts were kept
    assert len(done.vectors) == 5_000
    np.testing.assert_allclose(done.vectors[:, 1], np.sin(0.05), rtol=1e-6)


def test_two_processes_that_write_at_once_keep_each_other_s_vectors(tmp_path: Path) -> None:
    store = store_of(tmp_path, Counting())
    others = store_of(tmp_path, Counting())
    ones = np.ones((1, 3), np.float32)
    for each, name in ((store, "a"), (others, "b"), (others, "b")):
        each.append(pl.Series([name]), ones)  # neither looks what the other has written
    assert store.load(pl.Series(["a", "b"]))[0].all()
    assert len(list(store.folder.glob("part-*.parquet"))) == 2


class Notes(SilentProgress):
    """Collects what is said, and counts what is done."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done = 0

    def start(self, stage: str, total: int | None, unit: str) -> None:
        self.done = 0

    def advance(self, amount: int) -> None:
        self.done += amount

    def finish(self, note: str = "") -> None:
        self.notes += [note] if note else []


class Patient(Counting):
    """Takes a hundredth of a second per text."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        time.sleep(len(texts) / 100)
        return super().encode(texts)


@pytest.mark.parametrize(("count", "said"), [(60, True), (8, False)])
def test_a_long_task_says_how_long_before_most_of_it(
    tmp_path: Path, count: int, said: bool
) -> None:
    """A text of 50 tokens takes 10 ms here: the clock runs a thousand times too fast for a test."""
    texts = table([f"{n:05d}" * 10 for n in range(count)])
    embedder, notes = Patient(), Notes()
    many = replace(LONG, tokens=1_000, seconds=0.2)
    done = embed_texts(
        texts, embedder, store_of(tmp_path, embedder), notes, unit="questions", long=many
    )
    assert sum(map(len, embedder.batches)) == count == notes.done == done.embedded_now
    np.testing.assert_allclose(done.vectors[:, 0], np.cos(0.5), rtol=1e-6)
    assert bool(notes.notes) == said
    if said:
        assert notes.notes[0].startswith("60 questions take about ")
        assert "--sample" in notes.notes[0]


def test_another_revision_shares_nothing(tmp_path: Path) -> None:
    one, two = Counting(), Counting()
    embed_texts(table(["a"]), one, VectorStore(tmp_path, "m", "1", 3))
    embed_texts(table(["a"]), two, VectorStore(tmp_path, "m", "2", 3))
    assert two.batches == [["a"]]


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    embedder = Counting()
    store = store_of(tmp_path, embedder)
    embed_texts(table(["a"]), embedder, store)
    (part,) = store.folder.glob("part-*.parquet")
    part.write_bytes(part.read_bytes()[:50])
    with pytest.raises(RunDirError, match=part.name):
        embed_texts(table(["a"]), embedder, store)


def test_vectors_of_another_width_are_refused(tmp_path: Path) -> None:
    embedder = Counting()
    embed_texts(table(["a"]), embedder, VectorStore(tmp_path, "m", "1", 3))
    with pytest.raises(RunDirError, match="not 4 wide"):
        VectorStore(tmp_path, "m", "1", 4).load(pl.Series(["ida"]))
    embedder.dimensions = 4
    with pytest.raises(BackendError, match="not 4 wide"):
        embed_texts(table(["b"]), embedder, VectorStore(tmp_path, "other", "1", 4))


def test_no_texts_need_no_model(tmp_path: Path) -> None:
    embedder = Counting()
    done = embed_texts(table([]).cast(pl.String), embedder, store_of(tmp_path, embedder))
    assert done.vectors.shape == (0, 3)
    assert embedder.batches == []
