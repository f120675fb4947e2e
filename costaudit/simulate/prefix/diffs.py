"""What kind of text makes two prompts differ."""

import json
import re
from dataclasses import dataclass

from costaudit.simulate.moving import moving_part
from costaudit.simulate.skeletons import common_ends

CONTEXT_CHARS = 40  # shown on either side of the moving part
MAX_SHOWN_CHARS = 80  # of the moving part
DOCUMENT_CHARS = 200  # a part that changes by as much is content
_ENVIRONMENT = re.compile(r"(?i)\b(cwd|working dir\w*|branch|git|directory|os version)\b")
_CHUNK_END = re.compile(r"\n|(?<=\.) ")
_TOKEN = re.compile(r"[\w.,:/+-]+")


@dataclass(frozen=True)
class Difference:
    """Where and how a text differs from the one that stood in its place before."""

    kind: str  # timestamp | date | uuid | counter | whitespace | json_key_order | ...
    start: int  # character of the text at which they part
    part_chars: int  # of the moving part, which may begin before that
    chars: int  # of the whole text
    context: str  # the text around it, the moving part between ‹ ›


def compare_texts(text: str, base: str) -> Difference:
    """Class the difference of two texts by what stands at the first character that differs."""
    start, tail = common_ends(text, base)
    kind, first, last = moving_part(text, min(start, len(text) - 1))
    if not kind and base:
        kind = moving_part(base, min(start, len(base) - 1))[0]
    if _is_form(text, base):
        kind = "whitespace"
    elif _same_json(text, base):
        kind = "json_key_order"
    elif not kind:
        kind = _kind(text, base, start, tail)
    end = _end(text, start, tail)
    if last > first and kind not in ("whitespace", "json_key_order"):
        end = last
    first = min(first, start)
    return Difference(kind, start, end - first, len(text), show(text, first, end))


def show(text: str, start: int, end: int) -> str:
    """Put the moving part between ‹ ›, with some text around it."""
    left, right = text[max(0, start - CONTEXT_CHARS) : start], text[end : end + CONTEXT_CHARS]
    middle = text[start:end]
    if len(middle) > MAX_SHOWN_CHARS:
        middle = middle[:MAX_SHOWN_CHARS] + "…"
    return f"{left}‹{middle}›{right}"


def _is_form(text: str, base: str) -> bool:
    return " ".join(text.split()) == " ".join(base.split())


def _end(text: str, start: int, tail: int) -> int:
    """Find where the part ends that starts to differ: with its line or sentence, or before."""
    stop = _CHUNK_END.search(text, start)
    return max(start, min(len(text) - tail, stop.start() if stop else len(text)))


def _new_chars(text: str, base: str) -> int:
    """Count the characters of lines and sentences that the other text does not have."""
    known = set(_CHUNK_END.split(base))
    return sum(len(chunk) for chunk in _CHUNK_END.split(text) if chunk not in known)


def _kind(text: str, base: str, start: int, tail: int) -> str:
    between = max(len(text), len(base)) - tail - start
    if min(between, max(_new_chars(text, base), _new_chars(base, text))) > DOCUMENT_CHARS:
        return "documents"
    if _number_at(text, start) and _number_at(base, start):
        return "counter"
    line = text[text.rfind("\n", 0, start) + 1 : start]
    return "environment" if _ENVIRONMENT.search(line) else "text"


def _number_at(text: str, start: int) -> bool:
    for match in _TOKEN.finditer(text, max(0, start - 20)):
        if match.end() >= start:
            word = match.group().strip(".,:")
            return match.start() <= start and word.replace(",", "").replace(".", "").isdigit()
    return False


def _same_json(text: str, base: str) -> bool:
    if text[:1] not in "{[" or base[:1] not in "{[":
        return False
    try:
        return bool(json.loads(text) == json.loads(base))
    except ValueError:
        return False
