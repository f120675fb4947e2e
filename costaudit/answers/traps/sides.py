"""Words that stand on one side of an axis, such as before and after, or all and only."""

from functools import cache

from costaudit.answers.traps.folding import words_of
from costaudit.answers.traps.lexicon import table
from costaudit.answers.traps.phrase_set import PhraseSet

_START = 3  # letters that a stem has at least


class _Axes:
    """The phrases of one table of the lexicon, with the rows that a word or stem points to."""

    def __init__(self, name: str) -> None:
        self.rows = [(row["axis"], row["side"], PhraseSet(row["words"])) for row in table(name)]
        self.by_word: dict[str, list[int]] = {}
        self.by_start: dict[str, list[tuple[str, int]]] = {}
        for place, (_, _, phrases) in enumerate(self.rows):
            for word in phrases.words:
                self.by_word.setdefault(word, []).append(place)
            for stem in phrases.stems:
                self.by_start.setdefault(stem[:_START], []).append((stem, place))

    def near(self, plain: str) -> list[int]:
        """List the rows whose phrases may stand in a folded text."""
        words, found = words_of(plain), set[int]()
        for word in self.by_word.keys() & words:
            found.update(self.by_word[word])
        for start in self.by_start.keys() & {word[:_START] for word in words}:
            found.update(place for stem, place in self.by_start[start] if stem in plain)
        return sorted(found)


@cache
def _axes(name: str) -> _Axes:
    return _Axes(name)


def find_sides(plain: str, name: str) -> frozenset[str]:
    """Read which sides of the axes in one table of the lexicon a folded text names.

    Within an axis a longer phrase hides the shorter one in it: `not less than` is not `less than`.
    """
    axes = _axes(name)
    spans: dict[str, list[tuple[int, int, str]]] = {}
    for place in axes.near(plain):
        axis, side, phrases = axes.rows[place]
        for match in phrases.pattern.finditer(plain):
            spans.setdefault(axis, []).append((match.start(), match.end(), side))
    return frozenset(
        f"{axis}={side}"
        for axis, found in spans.items()
        for start, end, side in found
        if not any(s <= start and end <= e and (s, e) != (start, end) for s, e, _ in found)
    )
