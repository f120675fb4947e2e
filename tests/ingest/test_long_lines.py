"""A line longer than most logs is read like any other line."""

import pytest
from xxhash import xxh3_128_hexdigest

from costaudit.ingest.content.redaction import Redaction, Redactor
from costaudit.ingest.content.tokenizer import Tokenizer
from costaudit.ingest.files.records import line_blocks


@pytest.mark.parametrize("size", [1, 7, 100, 5_000])
def test_lines_are_the_same_whatever_the_chunks_and_what_is_long(size: int) -> None:
    lines = [b"x" * length for length in (3, 200, 0, 49, 51, 700, 1, 300)]
    content = b"\n".join(lines)
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    blocks = line_blocks(iter(chunks), 9, long=50)
    found = [(r.offset, r.data) for block in blocks for r in block.records()]
    starts = [9 + len(b"\n".join([*lines[:n], b""])) for n in range(len(lines))]
    assert found == [(at, line) for at, line in zip(starts, lines, strict=True) if line]


def test_a_long_block_has_the_name_of_its_content() -> None:
    text = "Größe \ud800 und Maß " * 100_000
    whole = xxh3_128_hexdigest(f"text\0{text}".encode("utf-8", "replace"))
    assert Redactor(Redaction()).identify("text", text) == whole


def test_a_long_text_has_as_many_tokens_in_parts() -> None:
    text = "The parcel.\n\n  indented\n/path\nLine two of it\r\nnext, and more words\n" * 60
    assert Tokenizer(part=300).count_text(text) == Tokenizer().count_text(text)


@pytest.mark.parametrize("mode", ["none", "mask"])
def test_a_very_long_text_is_not_stored(mode: str) -> None:
    redactor = Redactor(Redaction("mask" if mode == "mask" else "none", b""))
    kept = redactor.contents(["a" * 11, "short", "b" * 12, "also short"], longest=10)
    assert kept == [None, "short", None, "also short"]
