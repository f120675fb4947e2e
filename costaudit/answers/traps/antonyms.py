"""Find whether a text affirms or denies, and which side of a pair of antonyms it names."""

import re
from functools import cache

from costaudit.answers.traps.folding import PhraseSet, any_of, phrases, table, words_of

_START = 3  # minimum number of letters of a stem


class _Axes:
    """The phrases of one table of the lexicon, indexed by their words and stems."""

    def __init__(self, name: str) -> None:
        self.rows = [(row["axis"], row["side"], PhraseSet(row["words"])) for row in table(name)]
        self.by_word: dict[str, list[int]] = {}
        self.by_start: dict[str, list[tuple[str, int]]] = {}
        for place, (_, _, known) in enumerate(self.rows):
            for word in known.words:
                self.by_word.setdefault(word, []).append(place)
            for stem in known.stems:
                self.by_start.setdefault(stem[:_START], []).append((stem, place))

    def near(self, plain: str) -> list[int]:
        """Return the rows whose phrases a folded text may contain."""
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
    """Return the sides of axes that a folded text names, as `axis=side`.

    `name` is the table of the lexicon. Within an axis, a longer phrase hides a shorter one inside
    it: `not less than` isn't `less than`.
    """
    axes = _axes(name)
    spans: dict[str, list[tuple[int, int, str]]] = {}
    for place in axes.near(plain):
        axis, side, known = axes.rows[place]
        for match in known.pattern.finditer(plain):
            spans.setdefault(axis, []).append((match.start(), match.end(), side))
    return frozenset(
        f"{axis}={side}"
        for axis, found in spans.items()
        for start, end, side in found
        if not any(s <= start and end <= e and (s, e) != (start, end) for s, e, _ in found)
    )


_ARTICLE = r"(?:(?:the|a|an|my|your|our|el|la|los|las|un|una|mi|tu|su)\s+)?"
_DIRECTED = re.compile(
    r"(?=\b([^\W\d_]{2,})\s+(?:to|into|onto|a|al|hacia|hasta)\s+" + _ARTICLE + r"([^\W\d_]{2,}))"
)
_LISTED = re.compile(r"\s*(?:,|&|and|or|y|e|o|u|,\s*(?:and|or|y|o))\s*")


def find_orders(plain: str, names: frozenset[str]) -> frozenset[str]:
    """Return the order of arguments that a swap would turn around, as `axis=first`.

    These are the words on both sides of a direction, such as `euros to dollars`, and two names,
    such as `does Anna report to Paul`. A text contradicts only one that has both the other way
    round.
    """
    found = {f"{min(pair)}~{max(pair)}={pair[0]}" for pair in _DIRECTED.findall(plain)}
    places = sorted((plain.find(name), name) for name in names)
    if len(places) == 2 and places[0][0] >= 0:
        (start, first), (end, _) = places
        if not _LISTED.fullmatch(plain[start + len(first) : end]):
            found.add(f"{min(names)}~{max(names)}={first}")
    return frozenset(found)


_SENTENCE = re.compile(r"[.!?;\n]+")


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(any_of(phrases(name)))
        for name in ("not_negations", "negators", "negative_verbs", "concord")
    )


@cache
def _denials() -> PhraseSet:
    return PhraseSet((*phrases("negators"), *phrases("negative_verbs"), *phrases("concord")))


@cache
def _replies() -> tuple[re.Pattern[str], re.Pattern[str]]:
    start = r"[\s\"'*¡¿]*"
    return re.compile(start + any_of(phrases("yes"))), re.compile(start + any_of(phrases("no")))


def find_polarity(plain: str) -> frozenset[str]:
    """Return the sides of known opposites, the parity of negations, and a leading yes or no."""
    found = {f"negated={'yes' if denies(plain) else 'no'}"}
    yes, no = _replies()
    if no.match(plain):  # first, because `of course` is a yes, but `of course not` is a no
        found.add("reply=no")
    elif yes.match(plain):
        found.add("reply=yes")
    return frozenset(found) | find_sides(plain, "opposites")


def denies(plain: str) -> bool:
    """Return whether the number of negations in a folded text is odd."""
    if not _denials().may_match(plain):
        return False
    return sum(_negations(sentence) for sentence in _SENTENCE.split(plain)) % 2 == 1


def _negations(sentence: str) -> int:
    """Return the number of negations; the Spanish `no ... nada` counts once."""
    idioms, negators, verbs, concord = _patterns()
    rest = idioms.sub(" ", sentence)
    rest, lacking = verbs.subn(" ", rest)
    denied = len(negators.findall(rest)) + lacking
    return denied or min(1, len(concord.findall(rest)))
