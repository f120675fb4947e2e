"""Classify answers as text, structured output, code or refusal, and compare fields."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.answers.traps.folding import fold

KINDS = ("missing", "cut", "empty", "tool_use", "refusal", "json", "code", "text")
MISSING, CUT, EMPTY, TOOL_USE, REFUSAL, JSON, CODE, TEXT = range(len(KINDS))

_FENCE = re.compile(r"```[\w+-]*\n(.*?)```", re.S)
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
    logged_kind = requests["answer_kind"].fill_null("missing")
    for name in ("missing", "empty", "tool_use", "refusal"):
        kinds[(logged_kind == name).to_numpy()] = KINDS.index(name)
    by_length = (requests["finish_reason"] == "length").fill_null(False)
    cut = requests["truncated"].fill_null(False) | by_length
    kinds[cut.to_numpy() & (answer >= 0)] = CUT
    return kinds


def kind_of_text(text: str) -> int:
    """Return the kind of an answer, from its text only."""
    stripped = text.strip()
    if not stripped:
        return EMPTY
    if parse_json(stripped) is not None:
        return JSON
    fenced = sum(len(block) for block in _FENCE.findall(stripped))
    if fenced > _CODE_SHARE * len(stripped):
        return CODE
    return REFUSAL if _REFUSAL.match(fold(stripped)) else TEXT


def parse_json(text: str) -> dict[str, object] | list[object] | None:
    """Return the JSON object or list that is the whole text, fenced or not; else None."""
    fenced = _FENCE.fullmatch(text.strip())
    body = (fenced[1] if fenced else text).strip()
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


def code_blocks(text: str) -> tuple[str, ...]:
    """Return the code in an answer without comments, blank lines and differences in spacing."""
    return tuple(_plain_code(block) for block in _FENCE.findall(text))


def _plain_code(block: str) -> str:
    lines = (re.sub(r"\s*(?:#|//|--\s).*$", "", line).rstrip() for line in block.splitlines())
    return "\n".join(re.sub(r"(?<=\S)\s+", " ", line) for line in lines if line.strip())


_NOISY = 0.2  # a field that differs in more than this share of repeats is noisy
_ENOUGH = 10  # least repeats to call a field noisy


@dataclass(frozen=True)
class NoisyFields:
    """Fields of structured answers that differ between answers to the same prompt."""

    paths: frozenset[str]


def differing_fields(first: object, second: object, path: str = "$") -> set[str]:
    """Return the paths of fields that are missing on one side or have different values.

    Numbers are equal within a relative 1e-6, strings regardless of case, accents and spacing. All
    items of a list share one path. Prose on both sides counts as equal: see `prose_of`.
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


def _same_value(first: object, second: object) -> bool:
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        return abs(first - second) <= 1e-6 * max(abs(first), abs(second))
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
    return code_blocks(first) == code_blocks(second)
