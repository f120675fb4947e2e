"""Vectors from a user's file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xxhash

from costaudit.embed.embedders import Precomputed
from costaudit.errors import BackendError, InputError


def write(path: Path, **columns: Sequence[object]) -> Path:
    pl.DataFrame(columns).write_parquet(path)
    return path


@pytest.mark.parametrize("identity", ["text", "text_id"])
@pytest.mark.parametrize("vector", ["vector", "embedding"])
def test_vectors_are_found_by_text_and_scaled(tmp_path: Path, identity: str, vector: str) -> None:
    texts = ["a", "ä", "c"]
    ids = texts if identity == "text" else [xxhash.xxh3_128_hexdigest(t.encode()) for t in texts]
    vectors = [[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]]
    columns: dict[str, Sequence[object]] = {identity: ids, vector: vectors}
    embedder = Precomputed(write(tmp_path / "v.parquet", **columns))
    assert embedder.dimensions == 2
    np.testing.assert_allclose(embedder.encode(["ä", "a"]), np.array([[1, 0], [0.6, 0.8]]))


def test_missing_texts_are_counted(tmp_path: Path) -> None:
    embedder = Precomputed(write(tmp_path / "v.parquet", text=["a"], vector=[[1.0]]))
    with pytest.raises(InputError, match="2 of 3 texts"):
        embedder.encode(["a", "b", "c"])


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"text": ["a"]}, "its columns are text"),
        ({"text": ["a", "b"], "vector": [[1.0], [1.0, 2.0]]}, "2 different widths"),
        ({"text": ["a"], "vector": ["not a vector"]}, "can't be used"),
    ],
)
def test_unusable_files_say_what_is_needed(
    tmp_path: Path, columns: dict[str, list[object]], why: str
) -> None:
    embedder = Precomputed(write(tmp_path / "v.parquet", **columns))
    with pytest.raises(InputError, match=why) as caught:
        embedder.encode(["a"])
    assert "Parquet file with a column" in caught.value.hint


def test_a_vector_without_direction_is_refused(tmp_path: Path) -> None:
    embedder = Precomputed(write(tmp_path / "v.parquet", text=["a"], vector=[[0.0, 0.0]]))
    with pytest.raises(BackendError, match="zero or not finite"):
        embedder.encode(["a"])


def test_another_file_is_another_revision(tmp_path: Path) -> None:
    one = Precomputed(write(tmp_path / "1.parquet", text=["a"], vector=[[1.0]]))
    two = Precomputed(write(tmp_path / "2.parquet", text=["a"], vector=[[2.0]]))
    assert one.revision != two.revision
    with pytest.raises(InputError, match="No such file"):
        Precomputed(tmp_path / "none.parquet").revision  # noqa: B018
