"""Classify answers as text, structured output, code or refusal, and compare fields."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.answers.traps.folding import fold
from costaudit.answers.traps.replies import UNCLEAR, reply_of
from costaudit.contracts.run_dir import column

KINDS = ("missing", "cut", "empty", "tool_use", "refusal", "json", "code", "text")
MISSING, CUT, EMPTY, TOOL_USE, REFUSAL, JSON, CODE, TEXT = range(len(KINDS))

_FENCE = re.compile(r"(?<![^\s:])```[ \t]*(?P<language>[^\s`]*)[^\n`]*\n(?P<code>.*?)```", re.S)
_REFUSAL = re.compile(
    r"\s*(?:(?:(?:i'm|i am|we're|we are) )?(?:very |so |really )?(?:sorry|afraid)|unfortunately"
    r"|as an ai[^,.]*|lo siento|lo lamento|lamentablemente|disculpa|como (?:una )?ia[^,.]*)?"
    r"[,.;:]?\s*(?:but |pero |that |que )?"
    r"(?:(?:i|we) (?:can't|cannot|can not|am not able to|are not able to|won't|am unable to"
    r"|are unable to|must decline to)|i'm (?:unable|not able) to|no (?:puedo|podemos)"
    r"|no me es posible) (?:\w+ )?(?:help|assist|provide|answer|do that|comply|discuss|share|fulfil"
    r"|continue|engage|ayudar|asistir|proporcionar|responder|hacer eso|compartir|dar informacion"
    r"|continuar|facilitar)"
)  # fmt: skip
_WORDS = 6  # a string with more words is prose, and is compared as prose
_CODE_SHARE = 0.5  # an answer is code if more than this share of its characters is inside fences


def answer_kinds(
    requests: pl.DataFrame, answer: npt.NDArray[np.int32], answers: Sequence[str]
) -> npt.NDArray[np.int8]:
    """Return the kind of each request's answer; what the log states overrules the text."""
    by_text = np.array([kind_of_text(text) for text in answers] or [MISSING], np.int8)
    kinds = np.where(answer >= 0, by_text[answer], MISSING).astype(np.int8)
    logged_kind = column(requests, "answer_kind").fill_null("missing")
    for name in ("missing", "empty", "tool_use", "refusal"):
        kinds[(logged_kind == name).to_numpy()] = KINDS.index(name)
    by_length = (column(requests, "finish_reason") == "length").fill_null(False)
    cut = column(requests, "truncated").fill_null(False) | by_length
    kinds[cut.to_numpy() & (answer >= 0)] = CUT
    return kinds


def kind_of_text(text: str) -> int:
    """Return the kind of an answer, from its text only."""
    stripped = text.strip()
    if not stripped:
        return EMPTY
    if parse_json(stripped) is not None:
        return JSON
    fenced = sum(len(block["code"]) for block in _FENCE.finditer(stripped))
    if fenced > _CODE_SHARE * len(stripped):
        return CODE
    return REFUSAL if _REFUSAL.match(fold(stripped)) else TEXT


def parse_json(text: str) -> dict[str, object] | list[object] | None:
    """Return the JSON object or list that is the whole text, fenced or not; else None."""
    fenced = _FENCE.fullmatch(text.strip())
    body = (fenced["code"] if fenced else text).strip()
    if body[:1] not in ("{", "["):
        return None
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) else None


def prose_of(text: str) -> str:
    """Return the prose of an answer; for structured output, only its long strings."""
    value = parse_json(text.strip())
    return text if value is None else "\n".join(_long_strings(value))


def _long_strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if len(value.split()) > _WORDS else []
    if isinstance(value, dict):
        return [one for key in sorted(value) for one in _long_strings(value[key])]
    if isinstance(value, list):
        return [one for item in value for one in _long_strings(item)]
    return []


@dataclass(frozen=True)
class Code:
    """The code in an answer, and the words around it."""

    blocks: tuple[str, ...]  # without comments, and without blank lines and spacing between tokens
    words: tuple[str, ...]  # folded: of the prose around the blocks, and of the comments


@lru_cache(maxsize=4096)  # an answer is compared with many others
def code_of(text: str) -> Code:
    """Return the code in an answer and the words around it.

    Comments are recognised by the language that a fence names; without one, a block is code as it
    is.
    """
    found = [_parted(block["language"], block["code"]) for block in _FENCE.finditer(text)]
    prose = [_FENCE.sub("\n", text), *(comments for _, comments in found)]
    return Code(tuple(code for code, _ in found), tuple(fold("\n".join(prose)).split()))


_TIGHT = str.maketrans("\n \t", "\0\1\2")  # white space inside tokens, such as strings
_LOOSE = str.maketrans("\0\1\2", "\n \t")


def _parted(language: str, block: str) -> tuple[str, str]:
    """Return the code and the comments of a block."""
    lexer = _lexer(language.lower())
    if lexer is None:
        return block.rstrip(), ""
    from pygments.token import Comment, Text

    instructions = (Comment.Preproc, Comment.PreprocFile, Comment.Hashbang, Comment.Special)

    def sort_of(token: tuple[Any, str]) -> str:
        kind, value = token
        if kind in Comment and kind not in instructions:
            return "comment"
        return "spacing" if kind in Text and value.isspace() else "code"

    code, comments = [], []
    for sort, tokens in groupby(lexer.get_tokens(block), sort_of):
        value = "".join(value for _, value in tokens)
        if sort == "comment" and not value.startswith(("/*!", "/*+")):  # SQL obeys these
            comments.append(value)
            code.append("\n" if value.endswith("\n") else " ")
        else:
            code.append(value if sort == "spacing" else value.translate(_TIGHT))
    lines = (re.sub(r"(?<=\S)\s+", " ", one.rstrip()) for one in "".join(code).split("\n"))
    return "\n".join(one for one in lines if one).translate(_LOOSE), "\n".join(comments)


@cache
def _lexer(language: str) -> Any | None:
    """Return a lexer for a language by name or short name; None if it is unknown."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language)
    except ClassNotFound:
        return None


_NOISY = 0.2  # a field that differs in more than this share of repeats is noisy
_ENOUGH = 10  # minimum number of repeats to call a field noisy
_ROUNDED = 1e-14  # relative difference of equal fractions after arithmetic, such as 0.1 + 0.2 = 0.3


@dataclass(frozen=True)
class NoisyFields:
    """Fields of structured answers that differ between answers to the same prompt."""

    paths: frozenset[str]


def differing_fields(first: object, second: object, path: str = "$") -> set[str]:
    """Return the paths of fields that are missing on one side or have different values.

    Whole numbers are compared exactly, other numbers regardless of how their last binary digit was
    rounded, and strings regardless of case, accents and spacing. All items of a list share one
    path. Prose on both sides counts as equal: see `prose_of`.
    """
    if isinstance(first, dict) and isinstance(second, dict):
        out = {f"{path}.{key}" for key in first.keys() ^ second.keys()}
        for key in first.keys() & second.keys():
            out |= differing_fields(first[key], second[key], f"{path}.{key}")
        return out
    if isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            return {f"{path}[]"}
        pairs = zip(first, second, strict=True)
        return set().union(*(differing_fields(a, b, f"{path}[]") for a, b in pairs))
    return set() if _same_value(first, second) else {path}


def answers_yes_or_no(value: object) -> bool:
    """Return whether a structured answer has a field that is true, false, a yes or a no."""
    if isinstance(value, (dict, list)):
        return any(map(answers_yes_or_no, value.values() if isinstance(value, dict) else value))
    return isinstance(value, bool) or (isinstance(value, str) and reply_of(value) != UNCLEAR)


def _same_value(first: object, second: object) -> bool:
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        whole = all(isinstance(one, int) or one.is_integer() for one in (first, second))
        return first == second if whole else math.isclose(first, second, rel_tol=_ROUNDED)
    if isinstance(first, str) and isinstance(second, str):
        words_a, words_b = fold(first).split(), fold(second).split()
        return words_a == words_b or min(len(words_a), len(words_b)) > _WORDS
    return first == second


def noisy_fields(pairs: Sequence[tuple[str, str]]) -> NoisyFields:
    """Return the fields that often differ between answers to one prompt; `pairs` are the texts."""
    differing: dict[str, int] = {}
    for first, second in pairs:
        for path in differing_fields(parse_json(first), parse_json(second)):
            differing[path] = differing.get(path, 0) + 1
    if len(pairs) < _ENOUGH:
        return NoisyFields(frozenset())
    return NoisyFields(frozenset(p for p, n in differing.items() if n > _NOISY * len(pairs)))


def same_structure(
    first: Sequence[str], second: Sequence[str], noisy: NoisyFields
) -> npt.NDArray[np.int8]:
    """Return, per pair of JSON answers, whether all fields except noisy ones agree: 1 or 0."""
    return np.array(
        [
            not (differing_fields(parse_json(a), parse_json(b)) - noisy.paths)
            for a, b in zip(first, second, strict=True)
        ],
        np.int8,
    )


def same_code(first: str, second: str) -> bool:
    """Return whether two answers have equal code, except for comments and spacing."""
    return code_of(first).blocks == code_of(second).blocks
