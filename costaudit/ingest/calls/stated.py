"""Find counts that a record states outside of its bodies' usage objects, or only as a total."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from costaudit.ingest.calls.call import Usage
from costaudit.ingest.calls.fields import count_of, parsed
from costaudit.ingest.calls.usage import usage_values
from costaudit.ingest.calls.usage_names import is_telling, meaning_of

HOLDERS = ("usage", "token")  # parts of the names of objects whose counts may have short names
SUMS = re.compile("session|conversation|thread|user|limit|budget|quota|daily|month|cumulative")
SIZES = ("input", "uncached", "output")
DEEPEST = 4
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
LONGEST = 65_536  # bytes; a longer value is text


def stated_counts(data: bytes | Raw, skipped: Collection[str]) -> dict[str, Any] | None:
    """Return the counts beside the bodies of a record, such as `prompt_tokens`; None without any.

    They are the fields of the outermost object that states input or output tokens. Not searched
    are lists, objects in the fields `skipped`, such as requests, and sums of sessions or users.
    """
    record = _small_values(data, skipped)
    level: list[tuple[str, Mapping[str, Any]]] = [("", record)]
    for _ in range(DEEPEST):
        for name, each in level:
            counts = dict(_counts(name, each))
            if any(_size_of(path) in SIZES and count_of(n) for path, n in counts.items()):
                return counts
        level = [
            (key, inner)
            for _, each in level
            for key, value in each.items()
            if not (key in skipped or SUMS.search(key.lower()))
            and isinstance(inner := parsed(value), dict)
        ]
    return None


def _small_values(data: bytes | Raw, skipped: Collection[str]) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(data, type=dict[str, Raw])
    except UNREADABLE:
        fields = {}
    small = {k: v for k, v in fields.items() if k not in skipped and len(v) <= LONGEST}
    try:
        return {name: msgspec.json.decode(value) for name, value in small.items()}
    except UNREADABLE:
        return {}  # a number that is out of range, or broken text


def _size_of(name: str) -> str:
    named = meaning_of(name)
    return "" if named is None else named.meaning


def _counts(name: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of an object that may be counts, and its objects with details of them."""
    is_holder = any(part in name.lower() for part in HOLDERS)
    for key, value in fields.items():
        if isinstance(value, dict):
            if is_holder or key.lower().endswith(("details", "detail")):
                yield key, value
        elif isinstance(value, list | bool):
            continue
        elif is_telling(key) or (is_holder and meaning_of(key) is not None):
            yield key, value


def embedded(usage: Usage | None, data: bytes | Raw) -> Usage | None:
    """Complete the usage of an embedding, which has no output: its total is its input."""
    sent = count_of((usage_values(data) or {}).get("total_tokens"))
    if usage is None and sent:
        usage = Usage("openai", input=sent, cache_read=None)
    if usage is not None and usage.output is None:
        usage.output = 0
    return usage
