"""Whether a text affirms or denies, and on which side of a pair of opposites it stands."""

import re
from functools import cache

from costaudit.answers.traps.lexicon import any_of, phrases
from costaudit.answers.traps.phrase_set import PhraseSet
from costaudit.answers.traps.sides import find_sides

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
    """Read the sides of known opposites, whether an odd number of negations stands in the text,
    and a leading yes or no."""
    sentences = _SENTENCE.split(plain) if _denials().may_match(plain) else []
    odd = sum(_negations(sentence) for sentence in sentences) % 2
    found = {f"negated={'yes' if odd else 'no'}"}
    yes, no = _replies()
    if yes.match(plain):
        found.add("reply=yes")
    elif no.match(plain):
        found.add("reply=no")
    return frozenset(found) | find_sides(plain, "opposites")


def _negations(sentence: str) -> int:
    """Count negations; in Spanish `no ... nada` denies once."""
    idioms, negators, verbs, concord = _patterns()
    rest = idioms.sub(" ", sentence)
    rest, lacking = verbs.subn(" ", rest)
    denied = len(negators.findall(rest)) + lacking
    return denied or min(1, len(concord.findall(rest)))
