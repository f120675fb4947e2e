"""Which log source a file belongs to, and what that rests on."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from costaudit.ingest.call import Record
from costaudit.ingest.lenient import UnreadableError, parse_lenient
from costaudit.ingest.sources import SOURCES
from costaudit.ingest.unwrap import is_wrapper, unwrapped

SAMPLE = 20  # records that decide
AGREEMENT = 0.8  # share of them that must be of one source
MIXED = "mixed"


@dataclass(frozen=True)
class Detection:
    """What the first records of a file show."""

    source: str  # name of a log source, mixed, or "" where none fits
    evidence: str  # a sentence
    wrapped: bool  # its records stand within other objects
    votes: dict[str, int]  # source → records; "" are those that no source knows
    sampled: int  # records looked at


def source_of(record: object) -> tuple[str, str]:
    """Name the first source that knows a record, and the fields that show it."""
    if isinstance(record, dict):
        for source in SOURCES:
            evidence = source().detect(record)
            if evidence:
                return source.name, evidence
    return "", ""


def detect(records: Iterable[Record]) -> Detection:
    """Look at the first records that can be read and let them vote."""
    votes: Counter[str] = Counter()
    evidence: dict[str, str] = {}
    wrapped = False
    seen = 0
    for value, is_inner in _values(records):
        seen += 1
        wrapped = wrapped or is_inner
        name, fields = source_of(value)
        votes[name] += 1
        evidence.setdefault(name, fields)
        if seen >= SAMPLE:
            break
    known = {name: count for name, count in votes.items() if name}
    if not known:
        return Detection("", "No record looks like a call of a model.", wrapped, dict(votes), seen)
    best = max(known, key=lambda name: known[name])
    if known[best] >= AGREEMENT * sum(known.values()) and known[best] * 2 > seen:
        text = f"{known[best]} of the first {seen} records have {evidence[best]}"
        return Detection(best, text, wrapped, dict(votes), seen)
    text = ", ".join(f"{count} {name} ({evidence[name]})" for name, count in sorted(known.items()))
    return Detection(MIXED, f"Among the first {seen} records: {text}", wrapped, dict(votes), seen)


def _values(records: Iterable[Record]) -> Iterable[tuple[Any, bool]]:
    for record in records:
        try:
            value = parse_lenient(bytes(record.data))
        except UnreadableError:
            continue
        if not is_wrapper(value):
            yield value, False
            continue
        for inner in unwrapped(record):
            yield parse_lenient(bytes(inner.data)), True
