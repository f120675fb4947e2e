"""Text that moves by its class: timestamps, dates and identifiers, in English and Spanish."""

import re
from dataclasses import dataclass

import polars as pl

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

    name: str  # as in Breaker.kind
    pattern: str  # without look-around, read alike by Python and by Polars; case is ignored
    label: str = ""  # what stands before it and stays, a group of the pattern

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


def moving_part(text: str, at: int) -> tuple[str, int, int]:
    """Find the moving class that the character `at` is a part of, with where it starts and ends.

    Gives "" where there is none.
    """
    left, right = max(0, at - 80), min(len(text), at + 80)
    for moving in MOVING:
        for match in moving.regex.finditer(text, left, right):
            if match.start() <= at < match.end():
                return moving.name, match.start(), match.end()
    return "", at, at
