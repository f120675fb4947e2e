"""Fold text for the detectors, and match the words and phrases that they look for."""

import re
import tomllib
import unicodedata
from collections.abc import Collection
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

_SAME = {"’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-"}
_LIST_MARKER = re.compile(
    r"(?<![\w(])\(?\d{1,2}\)(?=\s)|(?:(?<=[\n:;.!?]\s)|^)\d{1,2}\.(?=\s)", re.M
)
_PER_CENT = re.compile(r"\bpor ciento\b")
_ONCE = re.compile(r"\bonce\b")
_SPANISH = re.compile(r"\b(?:el|los|las|de|que|en|una|por|para|con|es|hay|son|mi|tengo)\b")
_WORD = re.compile(r"[^\W\d_]+")
_EN = _WORD.findall("""zero one two three four five six seven eight nine ten eleven twelve
 thirteen fourteen fifteen sixteen seventeen eighteen nineteen""")
_ES = _WORD.findall("""cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece
 catorce quince dieciseis diecisiete dieciocho diecinueve veinte veintiuno veintidos
 veintitres veinticuatro
 veinticinco veintiseis veintisiete veintiocho veintinueve""")
_EN_TENS = _WORD.findall("twenty thirty forty fifty sixty seventy eighty ninety")
_ES_TENS = _WORD.findall("treinta cuarenta cincuenta sesenta setenta ochenta noventa")
_ES_HUNDREDS = _WORD.findall("""cien ciento doscientos trescientos cuatrocientos quinientos
 seiscientos  setecientos ochocientos novecientos""")
_ADD = {
    **{word: value for value, word in enumerate(_EN)},
    **{word: value for value, word in enumerate(_ES)},
    **{word: 10 * (value + 2) for value, word in enumerate(_EN_TENS)},
    **{word: 10 * (value + 3) for value, word in enumerate(_ES_TENS)},
    **{word: 100 * max(value, 1) for value, word in enumerate(_ES_HUNDREDS)},
    "un": 1, "una": 1, "veintiun": 21, "doscientas": 200, "trescientas": 300, "quinientas": 500,
}  # fmt: skip
_TIMES = {"hundred": 100, "thousand": 1000, "mil": 1000, "million": 10**6, "millones": 10**6,
          "millon": 10**6}  # fmt: skip
_ONE = {"one", "uno", "un", "una"}  # articles and pronouns unless a unit follows
_TENS = {*_EN_TENS, *_ES_TENS}
_NUMBER_WORDS = "|".join(sorted((*_ADD, *_TIMES), key=len, reverse=True))
_SPELLED_WORDS = frozenset((*_ADD, *_TIMES))
_SPELLED = re.compile(
    rf"\b(?:{_NUMBER_WORDS})(?:(?:\s+(?:and|y)\s+|\s*-\s*|\s+)(?:{_NUMBER_WORDS}))*\b"
)
_COUNTED = re.compile(
    r"\s+(?:(?:business|working)\s+)?(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?"
    r"|segundos?|minutos?|horas?|dias?|semanas?|mes|meses|anos?|euros?|dollars?|pounds?|dolar"
    r"|libra|peso|kilos?|litros?|litres?|metros?|gb|mb)\b"
)


class _FoldTable(dict[int, str]):
    """Folds each character to one character, so that positions in the text don't change."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        same = _SAME.get(char) or unicodedata.normalize("NFD", char)[0].lower()[:1] or char
        folded = " " if char.isspace() and char != "\n" else same
        self[code] = folded
        return folded


_FOLD = _FoldTable()


def fold(text: str) -> str:
    """Lower the case, strip accents, and replace typographic quotes and dashes; keep the length."""
    return text.translate(_FOLD)


@lru_cache(maxsize=64)  # few entries suffice: all detectors read one text before the next
def words_of(folded: str) -> frozenset[str]:
    """Return the runs of letters in a folded text."""
    return frozenset(_WORD.findall(folded))


def plain(text: str) -> str:
    """Fold, drop list markers such as `1)`, and turn English and Spanish numbers into digits."""
    folded = fold(text)
    if ")" in folded or "." in folded:
        folded = _LIST_MARKER.sub(" ", folded)
    words = words_of(folded)
    if "ciento" in words:
        folded = _PER_CENT.sub("%", folded)
    if "once" in words and not _SPANISH.search(folded):
        folded = _ONCE.sub("-", folded)  # it means eleven only in Spanish
    return folded if words.isdisjoint(_SPELLED_WORDS) else _SPELLED.sub(_digits, folded)


def _digits(match: re.Match[str]) -> str:
    """Turn a run of number words into digits; it may be several numbers, such as `three four`."""
    text = match.group()
    words = _WORD.findall(text)
    if words[0] in _ONE and len(words) == 1 and not _COUNTED.match(match.string, match.end()):
        return text
    if words == ["mil"] or (len(words) == 1 and words[0] in _TIMES):
        return text if words[0] != "mil" else "1000"
    numbers: list[int] = []
    total = current = 0
    room = 10**9  # the next word must be smaller than this to belong to the same number
    for word in words:
        if word in ("and", "y"):
            continue
        if word in _TIMES:
            factor = _TIMES[word]
            current = max(current, 1) * factor
            if factor >= 1000:
                total, current = total + current, 0
            room = factor
            continue
        value = _ADD[word]
        if value >= room or (room == 1):
            numbers.append(total + current)
            total = current = 0
        current += value
        room = 10 if word in _TENS else 100 if value >= 100 else 1
    numbers.append(total + current)
    return " ".join(str(number) for number in numbers)


@cache
def _lexicon() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("lexicon.toml").read_text("utf-8"))


def table(name: str) -> list[dict[str, Any]]:
    """Return the rows of one table of the lexicon, with their words folded."""
    rows: list[dict[str, Any]] = _lexicon()[name]
    return [{**row, "words": [fold(word) for word in row.get("words", ())]} for row in rows]


def phrases(name: str) -> tuple[str, ...]:
    """Return one list of the lexicon's words and phrases, folded."""
    return tuple(fold(word) for word in _lexicon()["lists"][name])


def any_of(words: tuple[str, ...] | list[str]) -> str:
    """Return a pattern that matches any of the phrases as whole words, the longest first.

    A `*` matches any letters or digits, and a space matches any white space.
    """
    ordered = sorted(set(words), key=lambda w: (-len(w), w))
    return rf"(?<!\w)(?:{'|'.join(_phrase(word) for word in ordered)})(?!\w)"


def _phrase(word: str) -> str:
    return re.escape(word).replace(r"\*", r"\w*").replace(r"\ ", r"\s+")


_WHOLE = re.compile(r"(?<![^\W\d_]|\*)[^\W\d_]+(?![^\W\d_]|\*)")  # no * at either end


class PhraseSet:
    """Phrases of the lexicon, folded."""

    def __init__(self, phrases: Collection[str]) -> None:
        self.pattern = re.compile(any_of(tuple(phrases)))
        whole = {phrase: max(_WHOLE.findall(phrase), key=len, default="") for phrase in phrases}
        # each match contains one of the words or one of the stems
        self.words = frozenset(filter(None, whole.values()))
        self.stems = tuple(_stem(phrase) for phrase, word in whole.items() if not word)

    def may_match(self, folded: str) -> bool:
        """Return False if a quick check shows that the pattern can't match."""
        return not self.words.isdisjoint(words_of(folded)) or any(s in folded for s in self.stems)


def _stem(phrase: str) -> str:
    return max(_WORD.findall(phrase), key=len, default="")
