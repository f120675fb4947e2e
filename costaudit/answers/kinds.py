"""Kinds of answers: text, structured output, code, refusals, and those that can't be judged."""

import re
from collections.abc import Sequence

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
_CODE_SHARE = 0.5  # of the answer's characters inside fences


def answer_kinds(
    requests: pl.DataFrame, answer: npt.NDArray[np.int32], answers: Sequence[str]
) -> npt.NDArray[np.int8]:
    """Class each request's answer; what the log says about a request outranks the text."""
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
    """Class an answer by its text alone."""
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
    """Read an object or a list, alone or in one fence; None for anything else."""
    fenced = _FENCE.fullmatch(text.strip())
    body = (fenced[1] if fenced else text).strip()
    if body[:1] not in ("{", "["):
        return None
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, (dict, list)) else None


def code_blocks(text: str) -> tuple[str, ...]:
    """Give the code in an answer without comments, blank lines and differences in spacing."""
    return tuple(_plain_code(block) for block in _FENCE.findall(text))


def _plain_code(block: str) -> str:
    lines = (re.sub(r"\s*(?:#|//|--\s).*$", "", line).rstrip() for line in block.splitlines())
    return "\n".join(re.sub(r"(?<=\S)\s+", " ", line) for line in lines if line.strip())
