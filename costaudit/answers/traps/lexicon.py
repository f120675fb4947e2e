"""The words that detectors know, in English and Spanish, from `lexicon.toml`."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from costaudit.answers.traps.folding import fold


@cache
def _lexicon() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("lexicon.toml").read_text("utf-8"))


def table(name: str) -> list[dict[str, Any]]:
    """Give the rows of one table, their words folded."""
    rows: list[dict[str, Any]] = _lexicon()[name]
    return [{**row, "words": [fold(word) for word in row.get("words", ())]} for row in rows]


def phrases(name: str) -> tuple[str, ...]:
    """Give one plain list of words and phrases, folded."""
    return tuple(fold(word) for word in _lexicon()["lists"][name])


def any_of(words: tuple[str, ...] | list[str]) -> str:
    """Write a pattern that matches any of the phrases as whole words, longest first.

    A phrase may end in `*` for any ending, and its spaces match any white space.
    """
    ordered = sorted(set(words), key=lambda w: (-len(w), w))
    return rf"(?<!\w)(?:{'|'.join(_phrase(word) for word in ordered)})(?!\w)"


def _phrase(word: str) -> str:
    return re.escape(word).replace(r"\*", r"\w*").replace(r"\ ", r"\s+")
