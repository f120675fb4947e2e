"""What a Parquet file says about itself, read as pyarrow reads it, and no more than its bytes."""

import random
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from costaudit.thrift import DEEPEST, I64, LIST, STRUCT, Reader

ROWS, GROUPS = 3, 4  # fields of a footer


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Parquet file with more row groups than fit into the short head of a list."""
    path = tmp_path_factory.mktemp("thrift") / "table.parquet"
    table = pl.DataFrame(
        {
            "text": [None if n % 7 == 0 else f"text {n % 5}" for n in range(400)],
            "number": range(400),
            "part": [n / 3 for n in range(400)],
            "flag": [n % 2 == 0 for n in range(400)],
            "numbers": [list(range(n % 4)) for n in range(400)],
        }
    )
    pq.write_table(table.to_arrow(), path, row_group_size=20)
    return path


def footer(path: Path) -> bytes:
    content = path.read_bytes()
    return content[-8 - int.from_bytes(content[-8:-4], "little") : -8]


def test_a_footer_is_read_as_pyarrow_reads_it(file: Path) -> None:
    told = footer(file)
    reader = Reader(told)
    found = reader.struct()
    assert reader.at == len(told)
    there = pq.read_metadata(file)
    assert (found[ROWS], len(found[GROUPS])) == (there.num_rows, there.num_row_groups) == (400, 20)
    for number, group in enumerate(found[GROUPS]):
        other = there.row_group(number)
        assert (group[3], group[2]) == (other.num_rows, other.total_byte_size)
        for place, column in enumerate(group[1]):
            one, chunk = other.column(place), column[3]
            assert (chunk[5], chunk[6], chunk[7], chunk[9], chunk.get(11)) == (
                one.num_values,
                one.total_uncompressed_size,
                one.total_compressed_size,
                one.data_page_offset,
                one.dictionary_page_offset,
            )


def test_a_field_can_be_passed_over_and_its_place_is_known(file: Path) -> None:
    """The values of the fields, each read by a reader of its own, are those of the struct."""
    told = footer(file)
    walker, found = Reader(told), {}
    for field, kind in walker.fields():
        own = Reader(told, walker.at)
        walker.value(kind)
        found[field] = own.value(kind)
        assert own.at == walker.at
    assert found == Reader(told).struct()


def test_all_kinds_of_values() -> None:
    """By hand, as the protocol describes them: a field is its step and its type, then its value."""
    told = (
        b"\x11\x12\x13\x80"  # field 1 is true, 2 is false, 3 is a byte
        b"\x15\x96\x01\x16\x01"  # 4 is 75, 5 is -1
        b"\x17abcdefgh\x18\x02ab"  # 6 is a fraction, 7 has two bytes
        b"\x19\x31\x01\x02\x01\x1a\x25\x02\x03"  # 8: three truth values; 9: the set of 1, -2
        b"\x1c\x15\x04\x00\x05\x80\x02\x06\x00"  # 10 is a struct; 128, told in full, is 3
    )
    reader = Reader(told)
    assert reader.struct() == {
        1: True,
        2: False,
        3: None,
        4: 75,
        5: -1,
        6: None,
        7: None,
        8: [True, False, True],
        9: [1, -2],
        10: {1: 2},
        128: 3,
    }
    assert reader.at == len(told)


def test_a_reader_ends_where_it_is_told_to(file: Path) -> None:
    told = footer(file)
    assert Reader(told + b"\x15", 0, len(told)).struct() == Reader(told).struct()
    for end in range(0, len(told), 101):
        with pytest.raises(ValueError, match=r"\d"):
            Reader(told, 0, end).struct()
    for at, end in ((-1, 5), (6, 5), (0, len(told) + 1)):
        with pytest.raises(ValueError, match="bytes"):
            Reader(told, at, end)


def nested(depth: int, innermost: bytes) -> bytes:
    """Return structs within each other, each the first field of the one around it."""
    return b"\x1c" * depth + innermost + b"\0" * depth


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        (I64, b"\xff" * 30_000_000 + b"\1", "without an end"),
        (LIST, b"\xfc" + b"\xff" * 8 + b"\1" + b"\0" * 100, "a list of"),
        (LIST, b"\xf2" + b"\xff" * 8 + b"\1" + b"\0" * 100, "a list of"),
        (LIST, b"\xff\x02" * 200, "type 15"),
        (STRUCT, b"\x18" + b"\xff" * 8 + b"\1" + b"\0" * 100, "bytes before"),
        (STRUCT, nested(DEEPEST, b"\x15\x02\0"), "in each other"),
        (LIST, b"\x19" * 100_000, "in each other"),
        (STRUCT, b"\x1b\0\0", "type 11"),
        (STRUCT, b"\x1d\0\0", "type 13"),
    ],
)
def test_what_would_take_long_or_be_large_is_refused_at_once(
    kind: int, data: bytes, why: str
) -> None:
    """An endless number, more items or bytes than there are, deep nesting, and unknown types."""
    begun = time.process_time()
    with pytest.raises(ValueError, match=why):
        Reader(data).value(kind)
    assert time.process_time() - begun < 1


def test_values_are_nested_as_deep_as_they_may_be() -> None:
    found: Any = Reader(nested(DEEPEST - 1, b"\x15\x02\0")).value(STRUCT)
    for _ in range(DEEPEST - 1):
        found = found[1]
    assert found == {1: 1}


def test_any_bytes_are_a_value_or_refused(file: Path) -> None:
    """Each byte is looked at a few times at most, whatever the footer was changed into."""
    told, chance = footer(file), random.Random(0)
    read = 0
    for _ in range(300):
        changed = bytearray(told)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        reader = Reader(bytes(changed))
        try:
            reader.struct()
            read += 1
        except ValueError:
            continue
        assert reader.at <= len(changed)
    assert 10 < read < 290
