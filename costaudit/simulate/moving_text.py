"""Texts that share a skeleton, and the dates, times and identifiers that move in them."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import numpy as np
import polars as pl

from costaudit.contracts.prefix import BreakerKind
from costaudit.simulate.segments import Ints

_MONTH = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|ene|abr|ago|dic)[a-záéíóú]*\.?"
)  # fmt: skip
_DAY = (
    r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?|lunes|martes|mi[ée]rcoles"
    r"|jueves|viernes|s[áa]bado|domingo"
)
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[ap]\.?m\b\.?)?"
_ZONE = r"(?:\s?(?:z|utc|gmt|cet|cest|[ecmp][sd]t|[+-]\d{2}:?\d{2})\b)?"
_NUMERIC_DATE = r"\b(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})"
_WORDED_DATE = (
    rf"\b(?:(?:{_DAY}),?\s+)?(?:{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:de\s+)?{_MONTH},?\s+(?:de\s+)?\d{{4}})"
)
_DATE = rf"(?:{_NUMERIC_DATE}|{_WORDED_DATE})"
_OWNER = r"request|session|conversation|trace|correlation|user|customer|account|thread|message"
_PREFIX = r"req|sess|conv|trace|msg|thread|run|call|usr|user|cus|acct|evt|session|request"


@dataclass(frozen=True)
class MovingClass:
    """Text that differs between requests without meaning another prompt."""

    name: BreakerKind
    pattern: str  # without look-around: Python and Polars read it in the same way; case is ignored
    label: str = ""  # what is before it and stays, a group of the pattern

    @property
    def regex(self) -> re.Pattern[str]:
        """Compile the pattern."""
        return re.compile(f"(?i){self.pattern}")


MOVING: tuple[MovingClass, ...] = (
    MovingClass("uuid", r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
    MovingClass("timestamp", rf"{_DATE}(?:t|,?\s+(?:at\s+|a las\s+)?){_CLOCK}{_ZONE}"),
    MovingClass("timestamp", rf"{_CLOCK}{_ZONE},?\s+(?:on\s+)?{_DATE}"),
    MovingClass("date", rf"{_DATE}\b"),
    MovingClass("date", rf"(\b(?:today|hoy)(?:\s+(?:is|es))?:?\s+)(?:{_DAY})\b", "$1"),
    MovingClass(
        "timestamp",
        rf"(\b(?:now|time|clock|hora)(?:\s+(?:is|es))?\s*[:=]?\s*){_CLOCK}{_ZONE}",
        "$1",
    ),
    MovingClass("timestamp", r"\b1[5-9]\d{8}(?:\d{3})?(?:\.\d+)?\b"),
    MovingClass("uuid", r"\b[0-7][0-9a-hjkmnp-tv-z]{9}[0-9][0-9a-hjkmnp-tv-z]{15}\b"),
    MovingClass("uuid", r"\b[0-9a-f]{12,}\b"),
    MovingClass("uuid", rf"\b(?:{_PREFIX})[_-][a-z]*\d[\w-]{{3,}}"),
    MovingClass("uuid", rf"(\b(?:{_OWNER})[ _-]?(?:id|number|#)\s*[:=]\s*)[\w-]+", "$1"),
)


def masked(texts: pl.Series) -> pl.Series:
    """Put each moving class's name in place of its text."""
    for moving in MOVING:
        texts = texts.str.replace_all(f"(?i){moving.pattern}", f"{moving.label}‹{moving.name}›")
    return texts


def moving_part(text: str, at: int) -> tuple[BreakerKind | None, int, int]:
    """Find the moving class that the character `at` is a part of, with where it starts and ends.

    Returns None in place of the class where there is none.
    """
    left, right = max(0, at - 80), min(len(text), at + 80)
    for moving in MOVING:
        for match in moving.regex.finditer(text, left, right):
            if match.start() <= at < match.end():
                return moving.name, match.start(), match.end()
    return None, at, at


_WORD = re.compile(r"\w+|\W")
_EDGE_CHARS = 200  # of a line, among which its first and last tokens are looked for
_EDGE_WORDS = 5  # tokens at either end of a line by which candidates are found
_MAX_CANDIDATES = 8  # skeletons that a text is compared with in full
_MAX_LINE_WORDS = 2_000  # longer lines are only trimmed from both ends, not aligned
MIN_SHARED_SHARE = 0.5  # of the characters of the longer text


@dataclass
class Skeleton:
    """One text that represents others, and where they differ from it."""

    lines: Ints  # of the text that came first, as numbers of `Texts.lines`
    members: list[int] = field(default_factory=list)  # indices of the texts


@dataclass(frozen=True)
class Texts:
    """Distinct texts as sequences of distinct lines."""

    lines: tuple[str, ...]
    texts: tuple[Ints, ...]  # line numbers of each text

    def skeletons(self, order: Sequence[int]) -> list[Skeleton]:
        """Group texts that have as many lines and share most of their characters, in `order`."""
        sizes = np.array([len(line) + 1 for line in self.lines], np.int64)
        found: list[Skeleton] = []
        index: dict[tuple[int, object], list[int]] = defaultdict(list)
        for text in order:
            marks = self._marks(self.texts[text])
            home = self._home(self.texts[text], marks, sizes, found, index)
            if home is None:
                home = Skeleton(self.texts[text])
                for mark in marks:
                    index[mark].append(len(found))
                found.append(home)
            home.members.append(text)
        return found

    def slots(self, skeleton: Skeleton) -> list[tuple[str, ...]]:
        """List the places where the members differ, each as one value per member."""
        columns: list[tuple[str, ...]] = []
        others = np.stack([self.texts[member] for member in skeleton.members])
        for line in np.flatnonzero((others != skeleton.lines).any(axis=0)):
            values = [self.lines[number] for number in others[:, line]]
            columns.extend(_line_slots(self.lines[skeleton.lines[line]], values))
        return columns

    def _marks(self, text: Ints) -> list[tuple[int, object]]:
        count = len(text)
        marks: list[tuple[int, object]] = [(count, number) for number in np.unique(text).tolist()]
        texts = {self.lines[text[0]], max((self.lines[number] for number in text), key=len)}
        for line in sorted(texts):
            head = _WORD.findall(line[:_EDGE_CHARS])[:_EDGE_WORDS]
            tail = _WORD.findall(line[-_EDGE_CHARS:])[-_EDGE_WORDS:]
            marks += [(count, ("head", *head)), (count, ("tail", *tail))]
        return marks

    def _home(
        self,
        text: Ints,
        marks: list[tuple[int, object]],
        sizes: Ints,
        found: list[Skeleton],
        index: dict[tuple[int, object], list[int]],
    ) -> Skeleton | None:
        votes: dict[int, int] = defaultdict(int)
        for mark in marks:
            for candidate in index.get(mark, ()):
                votes[candidate] += 1
        ranked = sorted(votes, key=lambda candidate: (-votes[candidate], candidate))
        for inside_lines in (False, True):  # the costly look only where whole lines don't decide
            shares = {
                candidate: self._shared_share(text, found[candidate].lines, sizes, inside_lines)
                for candidate in ranked[:_MAX_CANDIDATES]
            }
            best = max(shares, key=lambda candidate: (shares[candidate], -candidate), default=-1)
            if best >= 0 and shares[best] > MIN_SHARED_SHARE:
                return found[best]
        return None

    def _shared_share(self, one: Ints, other: Ints, sizes: Ints, inside_lines: bool) -> float:
        same = one == other
        shared = int(sizes[one[same]].sum())
        if inside_lines:
            for left, right in zip(one[~same], other[~same], strict=True):
                shared += sum(common_ends(self.lines[left], self.lines[right]))
        return shared / max(int(sizes[one].sum()), int(sizes[other].sum()))


def common_ends(one: Sequence[object], other: Sequence[object]) -> tuple[int, int]:
    """Count what two sequences share at their beginnings and, beyond that, at their ends."""
    limit = min(len(one), len(other))
    head = _shared_head(one, other)
    tail = _longest(limit - head, lambda size: one[len(one) - size :] == other[len(other) - size :])
    return head, tail


def same_words(one: str, other: str) -> bool:
    """Return whether two texts differ in white space at most."""
    head = _shared_head(one, other)
    ended = head == min(len(one), len(other))
    if not (ended or one[head].isspace() or other[head].isspace()):
        return False  # two words differ here, whatever comes later
    return one.split() == other.split()


def _shared_head(one: Sequence[object], other: Sequence[object]) -> int:
    return _longest(min(len(one), len(other)), lambda size: one[:size] == other[:size])


def _longest(limit: int, same: Callable[[int], bool]) -> int:
    """Find the largest size up to `limit` for which `same` holds, as it does for every smaller."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if same(middle):
            low = middle
        else:
            high = middle - 1
    return low


def _line_slots(here: str, values: list[str]) -> list[tuple[str, ...]]:
    words = _WORD.findall(here)
    distinct = dict.fromkeys(values)
    changes = {value: _changes(words, _WORD.findall(value)) for value in distinct}
    spans = _merged([(a, b) for change in changes.values() for a, b, _ in change])
    columns = []
    for start, end in spans:
        texts = {
            value: _text_at(words, _WORD.findall(value), change, start, end)
            for value, change in changes.items()
        }
        columns.append(tuple(texts[value] for value in values))
    return columns


def _changes(words: list[str], other: list[str]) -> list[tuple[int, int, int]]:
    head, tail = common_ends(words, other)
    left, right = words[head : len(words) - tail], other[head : len(other) - tail]
    if not left and not right:
        return []
    if max(len(left), len(right)) > _MAX_LINE_WORDS:
        return [(head, head + len(left), len(right) - len(left))]
    blocks = SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
    return [(head + a, head + b, (d - c) - (b - a)) for tag, a, b, c, d in blocks if tag != "equal"]


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + 2:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _text_at(
    words: list[str], other: list[str], changes: list[tuple[int, int, int]], start: int, end: int
) -> str:
    before = sum(grown for _, b, grown in changes if b < start)
    inside = sum(grown for a, b, grown in changes if a >= start and b <= end)
    return "".join(other[start + before : end + before + inside])
