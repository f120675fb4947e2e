"""Joined Parquet files are the bytes that one writer makes."""

from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from costaudit.ingest.assembly.parquet_parts import cut_parts, join_parts

SETTINGS: tuple[dict[str, Any], ...] = (
    {"compression": "zstd"},
    {"compression": "zstd", "use_dictionary": ["kind"], "write_statistics": ["kind"]},
)
TYPES: dict[str, Any] = {
    "kind": pl.String,
    "number": pl.Int64,
    "segments": pl.List(pl.Struct({"role": pl.String, "tokens": pl.Int64})),
    "flag": pl.Boolean,
}


def frame(start: int, rows: int) -> pl.DataFrame:
    """Return texts with nulls, numbers, and lists of structs, some of them empty."""
    numbers = range(start, start + rows)
    values = [
        (
            None if n % 7 == 0 else f"kind {n % 5}",
            n * 10**9,
            [{"role": f"r{n % 3}", "tokens": n}] * (n % 4),
            n % 2 == 0,
        )
        for n in numbers
    ]
    return pl.DataFrame(values, schema=TYPES, orient="row")


@pytest.mark.parametrize("sizes", [[], [1], [3, 1, 5], [9, 9, 200], [1] * 40])
@pytest.mark.parametrize("settings", SETTINGS)
def test_parts_become_the_bytes_of_one_file(
    settings: dict[str, Any], sizes: list[int], tmp_path: Path
) -> None:
    """`sizes` is how many row groups each part has; the length of a list changes its encoding."""
    groups = [frame(100 * n, n % 90 + 1).to_arrow() for n in range(sum(sizes))]
    schema = frame(0, 1).to_arrow().schema
    empty, whole = tmp_path / "empty", tmp_path / "whole"
    pq.ParquetWriter(empty, schema, **settings).close()
    with pq.ParquetWriter(whole, schema, **settings) as writer:
        for group in groups:
            writer.write_table(group)
    parts, left = [], iter(groups)
    for number, size in enumerate(sizes):
        parts.append(tmp_path / f"part{number}")
        with pq.ParquetWriter(parts[-1], schema, **settings) as writer:
            for _ in range(size):
                writer.write_table(next(left))
    join_parts(empty, parts, tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == whole.read_bytes()
    found = pl.read_parquet(tmp_path / "joined")
    assert len(found) == sum(map(len, groups))
    cut = [tmp_path / f"cut{number}" for number in range(len(sizes))]
    cut_parts(whole, list(accumulate(sizes)), cut)
    assert [path.read_bytes() for path in cut] == [path.read_bytes() for path in parts]
    if cut:
        join_parts(cut[-1], cut, tmp_path / "again")
        assert (tmp_path / "again").read_bytes() == whole.read_bytes()


def test_a_file_with_more_than_row_groups_is_not_cut(tmp_path: Path) -> None:
    """An index of pages names places of the whole file, which a part would not have."""
    table, whole = frame(0, 90).to_arrow(), tmp_path / "whole"
    pq.write_table(table, whole, row_group_size=30, write_page_index=True)
    with pytest.raises(ValueError, match="not one after another"):
        cut_parts(whole, [1, 3], [tmp_path / "a", tmp_path / "b"])
    assert not (tmp_path / "a").exists()
