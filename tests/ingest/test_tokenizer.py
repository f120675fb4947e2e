"""Counting line by line gives the whole text's count, whatever surrounds its line feeds."""

from hypothesis import given
from hypothesis import strategies as st

from costaudit.ingest.content import tokenizer
from costaudit.ingest.content.tokenizer import Tokenizer

TOKENIZER = Tokenizer()
SPACES = ("\n", "\n", "\r", " ", "\t", "\u00a0", "\u0085", "\u2028", "\x1c")
SIGNS = ("/", "//", "# ", "- ", ".", "1", "1234", "\u0301", "🙂", "</s>")
WORDS = ("word", "Word", "WORD's", "'ll", "é", "ß", "文字", "ǅ")
BITS = st.sampled_from([*SPACES, *SIGNS, *WORDS])


@given(st.lists(st.one_of(BITS, st.characters(codec="utf-8")), max_size=40).map("".join))
def test_lines_add_up_to_the_text(text: str) -> None:
    long = f"{text}\n{text}".ljust(tokenizer.LONG, "x")
    assert TOKENIZER.count_text(long) == TOKENIZER._counter.count(long)


PARTED = Tokenizer(part=64)


@given(st.lists(st.one_of(BITS, st.just(" ab"), st.characters()), min_size=60).map("".join))
def test_parts_of_long_lines_add_up_to_the_text(text: str) -> None:
    whole = text.encode("utf-8", "replace").decode().ljust(tokenizer.LONG, "x")
    assert PARTED.count_text(whole) == PARTED._counter.count(whole)


def test_forgotten_lines_are_counted_again() -> None:
    counter = Tokenizer()
    counter._lines.update({f"line {n}": -1 for n in range(tokenizer.REMEMBERED_LINES)})
    text = "One line\nand the next one\n" * 20
    assert counter.count_text(text) == counter._counter.count(text)
    assert len(counter._lines) < tokenizer.REMEMBERED_LINES
