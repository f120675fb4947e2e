"""Phrases as one pattern, which is tried only on texts that hold a word of them."""

import re
from collections.abc import Collection

from costaudit.answers.traps.folding import words_of
from costaudit.answers.traps.lexicon import any_of

_WORD = re.compile(r"[^\W\d_]+")
_WHOLE = re.compile(r"(?<![^\W\d_]|\*)[^\W\d_]+(?![^\W\d_]|\*)")  # no * at either end


class PhraseSet:
    """Phrases of the lexicon, folded."""

    def __init__(self, phrases: Collection[str]) -> None:
        self.pattern = re.compile(any_of(tuple(phrases)))
        whole = {phrase: max(_WHOLE.findall(phrase), key=len, default="") for phrase in phrases}
        self.words = frozenset(filter(None, whole.values()))  # one stands in each match, or
        self.stems = tuple(_stem(phrase) for phrase, word in whole.items() if not word)

    def may_match(self, folded: str) -> bool:
        """Tell quickly where the pattern can't match."""
        return not self.words.isdisjoint(words_of(folded)) or any(s in folded for s in self.stems)


def _stem(phrase: str) -> str:
    return max(_WORD.findall(phrase), key=len, default="")
