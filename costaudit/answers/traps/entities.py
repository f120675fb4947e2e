"""Names of places, products, firms and people."""

import re
import tomllib
from functools import cache
from importlib.resources import files

from costaudit.answers.traps.folding import fold
from costaudit.answers.traps.phrase_set import PhraseSet

_CAPITALISED = re.compile(
    r"(?P<start>^|[.!?:;\n¿¡\"“(>*-]\s*|\d[.)]\s+)?"
    r"(?<![\w'’])(?P<name>[A-ZÁÉÍÓÚÑÜ][\w'’-]*(?:\s+[A-ZÁÉÍÓÚÑÜ][\w'’-]*)*)"
)
_COMMON = frozenset(re.findall(r"\S+", """
 i i'm i've i'd i'll im pin atm app sms faq id ok url vat iva api tv pc pdf csv json http
 dear hello hi hey hola buenos buenas gracias thanks please usted ustedes vd mr mrs ms sr sra dni
 monday tuesday wednesday thursday friday saturday sunday january february march april may june july
 august september october november december utc gmt am pm cet est"""))  # fmt: skip
_MOSTLY = 0.5  # a text with more of its words capitalised is a title, or shouted


@cache
def _known() -> dict[str, str]:
    table = tomllib.loads(files(__package__).joinpath("names.toml").read_text("utf-8"))["names"]
    return {fold(word): row["is"] for row in table for word in row["words"]}


@cache
def _known_names() -> PhraseSet:
    return PhraseSet(list(_known()))


def find_entities(raw: str, folded: str) -> frozenset[str]:
    """Read known names in any case, and unknown ones where a capital inside a sentence shows it."""
    found = set()
    rest = raw
    names = _known_names()
    for match in names.pattern.finditer(folded) if names.may_match(folded) else ():
        if _is_name(raw, match):
            found.add(_known()[" ".join(match.group().split())])
            blank = "x" * (match.end() - match.start())  # keeps the places, and is no capital
            rest = rest[: match.start()] + blank + rest[match.end() :]
    return frozenset(found | _capitalised(rest))


def _is_name(raw: str, match: re.Match[str]) -> bool:
    """Keep `us`, `visa` or `mac` only where the writing does not speak against a name."""
    word = raw[match.start() : match.end()]
    if match.group() == "us":
        return word == "US"
    return match.group() not in {"ups", "wise", "edge", "rust", "swift"} or word != word.lower()


def _capitalised(raw: str) -> set[str]:
    words = raw.split()[1:]
    if sum(word[:1].isupper() for word in words) > _MOSTLY * len(words):
        return set()
    found = set()
    for match in _CAPITALISED.finditer(raw):
        name = match["name"]
        if match["start"] is not None:  # the first word of a sentence has its capital anyway
            name = name.partition(" ")[2] if " " in name else ""
        parts = [fold(part).rstrip("'-").removesuffix("'s") for part in name.split()]
        known = " ".join(part for part in parts if part not in _COMMON and len(part) > 1)
        if known:
            found.add(known)
    return found
