"""A line that is longer than most logs is read like any other."""

from pathlib import Path

import pytest

from costaudit.ingest.content import redaction, tokenizer
from costaudit.ingest.content.redaction import Redaction, Redactor
from costaudit.ingest.content.tokenizer import Tokenizer
from costaudit.ingest.files import records
from costaudit.ingest.files.records import line_blocks
from tests.ingest.conftest import Ingest, chat, write_lines


@pytest.mark.parametrize("size", [1, 7, 100, 5_000])
def test_lines_are_the_same_whatever_the_chunks_and_what_is_long(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "LONG", 50)
    lines = [b"x" * length for length in (3, 200, 0, 49, 51, 700, 1, 300)]
    content = b"\n".join(lines)
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    found = [(r.offset, r.data) for block in line_blocks(iter(chunks), 9) for r in block.records()]
    starts = [9 + len(b"\n".join([*lines[:n], b""])) for n in range(len(lines))]
    assert found == [(at, line) for at, line in zip(starts, lines, strict=True) if line]


def test_a_long_block_has_the_name_of_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Größe \ud800 und Maß " * 50
    for mode in ("none", "hash"):
        redactor = Redactor(Redaction(mode, b"k" * 32 if mode == "hash" else b""))
        whole = redactor.identify("text", text)
        monkeypatch.setattr(redaction, "LONG", 7)
        assert redactor.identify("text", text) == whole
        monkeypatch.undo()


def test_a_long_text_has_as_many_tokens_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "The parcel.\n\n  indented\n/path\nLine two of it\r\nnext, and more words\n" * 60
    whole = Tokenizer().count_text(text)
    monkeypatch.setattr(tokenizer, "PART", 300)
    assert Tokenizer().count_text(text) == whole


def test_a_very_long_text_is_counted_and_named_but_not_stored(
    tmp_path: Path, ingested: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction, "MOST_STORED", 1_000)
    long = "Where is my parcel? " * 200
    log = write_lines(tmp_path / "x.jsonl", [chat(1, long), chat(2), chat(3, long + "!")])
    run, summary = ingested(log)
    assert summary.kept == 3
    blocks = run.blocks()
    not_stored = blocks.filter(blocks["text"].is_null())
    assert sorted(not_stored["chars"]) == [4_000, 4_001]
    assert (not_stored["tokens"] > 900).all()
    assert set(blocks["text"].drop_nulls()) > {"Where is my parcel?"}
