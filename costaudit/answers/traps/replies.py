"""Recognise short answers that say yes or no."""

import re

from costaudit.answers.traps.folding import any_of, fold, phrases

_MOST_WORDS = 6
_WORD = re.compile(r"\w+(?:'\w+)?")
_YES, _NO = (re.compile(r"\W*" + any_of(phrases(name))) for name in ("yes", "no"))
_IDIOMS = ("no problem", "no worries", "no hay problema", "sin problema")
_NEITHER = re.compile(r"\W*" + any_of(_IDIOMS))
_FILLERS = frozenset(
    _WORD.findall(
        "yes yeah sure of course certainly absolutely correct no nope not sorry unfortunately i'm"
        " afraid it is isn't that that's you can can't they do does don't doesn't please thanks"
        " thank sir madam si claro por supuesto desde luego lo siento es se puede eso asi gracias"
        " lamentablemente"
    )
)


def reply_of(text: str) -> int:
    """Return 1 if a text is a short yes, 0 if it is a short no, and -1 otherwise."""
    plain = fold(text.strip())
    if not plain or len(_WORD.findall(plain)) > _MOST_WORDS or _NEITHER.match(plain):
        return -1
    if _YES.match(plain):
        return 1
    return 0 if _NO.match(plain) else -1


def is_bare(text: str) -> bool:
    """Return whether a reply says yes or no and nothing else."""
    return reply_of(text) >= 0 and _FILLERS.issuperset(_WORD.findall(fold(text)))
