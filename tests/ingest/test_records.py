"""Records are found wherever a stream is cut into chunks."""

import json
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from costaudit.ingest.files.records import line_records, value_records

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
VALUES = st.lists(
    st.dictionaries(
        TEXT,
        st.recursive(
            st.none() | st.booleans() | st.integers() | TEXT,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    ),
    max_size=6,
)
CUTS = st.integers(1, 7)


def cut(content: bytes, size: int) -> Iterator[bytes]:
    return (content[i : i + size] for i in range(0, len(content), size))


@given(VALUES, CUTS, st.booleans(), st.sampled_from([None, 2]))
def test_values_are_found_in_arrays_and_in_rows(
    values: list[dict[str, object]], size: int, is_array: bool, indent: int | None
) -> None:
    texts = [json.dumps(v, indent=indent, ensure_ascii=is_array) for v in values]
    content = ("[" + ", \n".join(texts) + "]" if is_array else "\n ".join(texts)).encode()
    found = list(value_records(cut(content, size)))
    assert [json.loads(bytes(r.data)) for r in found] == values
    assert all(content[r.offset :].startswith(bytes(r.data)) for r in found)


@given(VALUES, CUTS, st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"]), st.integers(0, 99))
def test_lines_are_found_with_their_offsets(
    values: list[dict[str, object]], size: int, end: str, start: int
) -> None:
    content = "".join(json.dumps(v) + end for v in values).encode()
    found = list(line_records(cut(content, size), start))
    assert [json.loads(bytes(r.data)) for r in found] == values
    assert all(content[r.offset - start :].startswith(bytes(r.data)) for r in found)


def test_what_stands_between_values_is_a_record_too() -> None:
    found = [bytes(r.data) for r in value_records(iter([b'{"a": 1} oops {"b": 2} ] {"c": 3']))]
    assert found == [b'{"a": 1}', b"oops", b'{"b": 2}', b'{"c": 3']
