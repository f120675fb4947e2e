"""Texts are skipped only if no phrase can match."""

from pathlib import Path

import polars as pl
import pytest

from costaudit.answers.traps.antonyms import find_sides
from costaudit.answers.traps.folding import PhraseSet, fold, phrases, plain, table

PAIRS = Path(__file__).parents[1] / "data" / "trap_pairs.csv"
TABLES = ("opposites", "comparatives", "scope")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    pairs = pl.read_csv(PAIRS)
    return sorted({plain(text) for text in (*pairs["first"], *pairs["second"])})


def in_words(phrase: str) -> str:
    """Return a phrase as it may appear in a text, with an ending in place of `*`."""
    return f"- {phrase.replace('*', 'ing')}, and more"


@pytest.mark.parametrize("name", TABLES)
def test_no_phrase_is_passed_over(name: str) -> None:
    for row in table(name):
        one = PhraseSet(row["words"])
        for phrase in row["words"]:
            assert one.may_match(in_words(phrase)), phrase
            assert one.pattern.search(in_words(phrase)), phrase


@pytest.mark.parametrize("name", TABLES)
def test_skipping_loses_no_match_in_real_questions(name: str, texts: list[str]) -> None:
    rows = [PhraseSet(row["words"]) for row in table(name)]
    matches = [(one, text) for one in rows for text in texts if one.pattern.search(text)]
    assert len(matches) > 50
    assert all(one.may_match(text) for one, text in matches)


def test_most_texts_are_skipped(texts: list[str]) -> None:
    one = PhraseSet(phrases("negative_verbs"))
    assert sum(one.may_match(text) for text in texts) < len(texts) / 4


@pytest.mark.parametrize("name", TABLES)
def test_sides_are_those_of_every_phrase_searched_alone(name: str) -> None:
    for row in table(name):
        side = f"{row['axis']}={row['side']}"
        for phrase in row["words"]:
            assert side in find_sides(in_words(phrase), name), phrase


def test_a_word_inside_another_is_no_match() -> None:
    one = PhraseSet((fold("añad*"), "up to"))
    assert one.may_match("anadir algo") and not one.may_match("upto")
