"""Recognise short answers that say yes or no."""

import re

from costaudit.answers.traps.antonyms import denies
from costaudit.answers.traps.folding import any_of, fold, phrases

YES, NO, UNCLEAR = 1, 0, -1
_MOST_WORDS = 6
_WORD = re.compile(r"\w+(?:'\w+)?")
_YES, _NO = (re.compile(r"\W*" + any_of(phrases(name))) for name in ("yes", "no"))
_REGRET = re.compile(r"\W*" + any_of(phrases("regrets")) + r"\W*")
_IDIOM = re.compile(any_of(("no problem", "no worries", "no hay problema", "sin problema")))
# `No, it is` affirms what a question denied; `no se puede` denies
_APART = re.compile(r"\W*[,.;:!-]")
_AFFIRMS = re.compile(any_of(("is", "are", "can", "do", "does", "will", "es", "puede", "puedes")))
_FILLERS = frozenset(
    _WORD.findall(
        "yes yeah sure of course certainly absolutely correct no nope not sorry unfortunately i'm"
        " afraid at all it is that that's you can they do does please thanks thank sir madam si"
        " claro que por supuesto desde luego lo siento es se puede eso asi gracias lamentablemente"
        " desafortunadamente isn't aren't can't don't doesn't won't cannot"
    )
)


def reply_of(text: str) -> int:
    """Return 1 if a text is a short yes, 0 if it is a short no, and -1 otherwise.

    A yes or no that the rest of the text takes back, such as `Yes, you can't`, is neither.
    """
    return _read(text)[0]


def is_bare(text: str) -> bool:
    """Return whether a reply says yes or no and nothing else that could deny or affirm.

    What denies something after a no only says it again: `No, it isn't`.
    """
    reply, rest = _read(text)
    if reply == UNCLEAR or (reply == YES and denies(rest)):
        return False
    return _FILLERS.issuperset(_WORD.findall(fold(text)))


def _read(text: str) -> tuple[int, str]:
    """Return the reply, and the rest of the folded text after its yes or no."""
    plain = fold(text.strip())
    if len(_WORD.findall(plain)) > _MOST_WORDS or _IDIOM.match(plain.lstrip("¡!\"' ")):
        return UNCLEAR, plain
    plain = _IDIOM.sub(" ", plain)
    if no := _NO.match(plain):
        rest = plain[no.end() :]
        return _denied(no.group(), rest), rest
    if yes := _YES.match(plain):
        rest = plain[yes.end() :]
        return UNCLEAR if denies(rest) else YES, rest
    return UNCLEAR, plain


def _denied(word: str, rest: str) -> int:
    """Return whether a text that starts with a no, or with regret, is a no."""
    if denies(rest):
        return NO
    if _REGRET.fullmatch(word):
        return UNCLEAR
    return UNCLEAR if _APART.match(rest) and _AFFIRMS.search(rest) else NO
