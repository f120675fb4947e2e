"""What differs between two texts, and which part of a text breaks a prefix, as pieces to mark."""

import re
from difflib import SequenceMatcher

_BREAK = re.compile("(‹[^›]*›)")
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_MOST = 300  # words compared; longer texts are shown unmarked

Piece = tuple[str, bool]  # text, and whether the other side lacks it


def word_diff(left: str, right: str) -> tuple[list[Piece], list[Piece]]:
    """Split both texts into pieces that are shared or differ; joined, the pieces are the text."""
    a, b = _WORDS.findall(left), _WORDS.findall(right)
    if len(a) > _MOST or len(b) > _MOST:
        return [(left, False)], [(right, False)]
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    for tag, a0, a1, b0, b1 in matcher.get_opcodes():
        for side, words in ((0, a[a0:a1]), (1, b[b0:b1])):
            pieces[side].extend(_marked("".join(words)) if tag != "equal" else _plain(words))
    return pieces


def _plain(words: list[str]) -> list[Piece]:
    return [("".join(words), False)] if words else []


def _marked(text: str) -> list[Piece]:
    """Mark what differs, leaving the blanks around it unmarked."""
    core = text.strip()
    if not core:
        return [(text, False)] if text else []
    before, _, after = text.partition(core)
    return [piece for piece in ((before, False), (core, True), (after, False)) if piece[0]]


def breaking(context: str) -> list[Piece]:
    """Split a breaker's context so that the part between ‹ › can be marked."""
    return [(piece, piece.startswith("‹")) for piece in _BREAK.split(context) if piece]
