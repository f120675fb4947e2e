"""Read table cells as people write them: grouped digits, decimal commas, currencies, dates.

A cell alone can be ambiguous: "1.200" and "03/10/2026" have two readings. `columns` decides each
column by the evidence of all its cells; this file says what one cell shows, and reads it.
"""

import re
import unicodedata
from datetime import datetime
from typing import Literal, NamedTuple

from costaudit.ingest.calls.fields import SIGNS

Mark = Literal[".", ","]
Order = Literal["day first", "month first", "year first"]

NOTHING = frozenset(
    ("", "-", "--", "\u2013", "\u2014", "n/a", "na", "#n/a", "null", "none", "nan", "nil", "<na>")
)
SPACES = re.compile(r"(?<=\d)[ \u00a0\u2009\u202f'\u2019_](?=\d{3}(?!\d))")  # between groups of 3
_SIGN = "|".join(sorted(map(re.escape, SIGNS), key=len, reverse=True))
NUMBER = re.compile(
    rf"(?P<minus>[-+\u2212]?)\s*(?P<before>{_SIGN}|[A-Z]{{3}})?\s*(?P<inner>[-+]?)"
    rf"(?P<body>[\d.,]*\d[\d.,]*(?:[eE][-+]?\d+)?)\s*(?P<after>{_SIGN}|[A-Z]{{3}})?"
)


class Written(NamedTuple):
    """A cell that looks like a number, before we know what its marks mean."""

    sign: str
    body: str  # digits, points and commas; an exponent
    currency: str  # ISO 4217, or ""


def written_number(cell: str) -> Written | None:
    """Return the parts of a number in a cell; None if the cell is not a number."""
    if cell.isdecimal() and cell.isascii():
        return Written("", cell, "")
    found = NUMBER.fullmatch(SPACES.sub("", cell.strip()))
    if found is None:
        return None
    sign = found["before"] or found["after"] or ""
    minus = "-" if "-" in found["minus"] + found["inner"] or "\u2212" in found["minus"] else ""
    return Written(minus, found["body"], SIGNS.get(sign, sign))


class Shown(NamedTuple):
    """What the marks of one number show."""

    decimal: Mark | None = None  # this mark can only be the decimal one
    grouping: Mark | None = None  # this mark can only group digits
    either: Mark | None = None  # this mark may be one or the other: "1.200"
    is_number: bool = True
    is_round: bool = False  # two readings are possible, and the last three digits are zeros


NO_NUMBER = Shown(is_number=False)


def shown_by(body: str) -> Shown:
    """Return what a number's own marks show."""
    digits, _, exponent = body.replace("E", "e").partition("e")
    marks = [mark for mark in digits if mark in ".,"]
    if not marks:
        return Shown()
    last: Mark = "." if marks[-1] == "." else ","
    if len(set(marks)) == 2:
        other: Mark = "," if last == "." else "."
        whole = digits.partition(last)[0]
        return (
            Shown(last, other) if marks.count(last) == 1 and _grouped(whole, other) else NO_NUMBER
        )
    head, _, tail = digits.partition(last)
    if len(marks) > 1:
        return Shown(grouping=last) if _grouped(digits, last) else NO_NUMBER
    if exponent or len(tail) != 3 or not 1 <= len(head) <= 3 or head[0] == "0":
        return Shown(decimal=last)
    return Shown(either=last, is_round=tail == "000")


def _grouped(text: str, mark: str) -> bool:
    """Return whether a mark separates groups of three digits, or of two as in India."""
    first, *rest = text.split(mark)
    if not rest or not 1 <= len(first) <= 3 or len(rest[-1]) != 3:
        return False
    return all(len(each) == 3 for each in rest) or (
        len(first) <= 2 and all(len(each) == 2 for each in rest[:-1])
    )


def number_text(cell: str, decimal: Mark | None, *, groups: bool) -> str | None:
    """Return a number as JSON writes it; None if the meaning of its marks is unknown.

    `decimal` is the decimal mark of the column. `groups` is for a column whose marks only group.
    """
    found = written_number(cell)
    return None if found is None else amount_text(found, shown_by(found.body), decimal, groups)


def amount_text(found: Written, shown: Shown, decimal: Mark | None, groups: bool) -> str | None:
    """Return an already split number as JSON writes it; see `number_text`."""
    if not shown.is_number:
        return None
    mark = decimal if decimal is not None and shown.grouping != decimal else shown.decimal
    if shown.either is not None and mark is None:
        if not groups:
            return None
        mark = "," if shown.either == "." else "."
    if shown.decimal is not None and mark != shown.decimal:
        mark = shown.decimal
    digits = found.body
    if mark != ".":
        digits = digits.replace(".", "")
    if mark != ",":
        digits = digits.replace(",", "")
    digits = digits.replace(",", ".")
    amount = found.sign + (f"0{digits}" if digits.startswith(".") else digits)
    return amount if found.currency in ("", "USD") else f"{found.currency} {amount}"


TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:[.,](?P<part>\d+))?)?"
    r"\s*(?P<half>[AaPp]\.?\s?[Mm]\.?)?"
)
REST = rf"(?:(?:\s*,\s*|\s+|T)(?:at\s+)?{TIME})?\s*(?P<zone>Z|UTC|GMT|[-+]\d\d:?\d\d)?"
DIGITS = re.compile(
    rf"(?P<a>\d{{1,2}})(?P<sep>[/.-])(?P<b>\d{{1,2}})(?P=sep)(?P<year>\d{{4}}|\d\d){REST}"
)
YEAR_FIRST = re.compile(
    rf"(?P<year>\d{{4}})(?P<sep>[/.-])(?P<a>\d{{1,2}})(?P=sep)(?P<b>\d{{1,2}}){REST}"
)
_NAME = r"(?P<month>[^\W\d_]{3,12})\.?"
_WEEKDAY = r"(?:[^\W\d_]{2,10}\.?,?\s+)?"
NAMED = (
    re.compile(rf"{_WEEKDAY}(?P<day>\d{{1,2}})\.?(?:\s+de)?[\s/.-]*{_NAME}(?:\s+de(?:l)?)?[\s/.,-]+(?P<year>\d{{4}}|\d\d){REST}"),
    re.compile(rf"{_WEEKDAY}{_NAME}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}}){REST}"),
)  # fmt: skip
MONTHS = {"jan": 1, "ene": 1, "feb": 2, "fev": 2, "mar": 3, "mrz": 3, "apr": 4, "abr": 4, "avr": 4,
          "may": 5, "mai": 5, "mag": 5, "jun": 6, "giu": 6, "jul": 7, "lug": 7, "aug": 8, "ago": 8,
          "aou": 8, "sep": 9, "set": 9, "oct": 10, "okt": 10, "ott": 10, "out": 10, "nov": 11,
          "dec": 12, "dic": 12, "dez": 12}  # fmt: skip


class Day(NamedTuple):
    """A cell that looks like a date of digits, before we know the order of day and month."""

    first: int
    second: int
    separator: str

    @property
    def order(self) -> Order | None:
        """Return the order that its own numbers show; None if both orders are possible."""
        if self.first > 12 >= self.second:
            return "day first"
        return "month first" if self.second > 12 >= self.first else None


def written_day(cell: str) -> Day | None:
    """Return the first two numbers of a date; None if it starts with a year or a name."""
    found = DIGITS.fullmatch(cell.strip())
    if found is None:
        return None
    first, second = int(found["a"]), int(found["b"])
    is_date = 1 <= min(first, second) <= 12 and max(first, second) <= 31
    return Day(first, second, found["sep"]) if is_date else None


def is_other_date(cell: str) -> bool:
    """Return whether a cell is a date with only one possible reading."""
    return date_text(cell, None) is not None and written_day(cell) is None


def date_text(cell: str, order: Order | None) -> str | None:
    """Return a date as ISO 8601; None if it is not a date or its order is unknown."""
    text = cell.strip()
    found = YEAR_FIRST.fullmatch(text)
    if found is not None:
        return _iso(found, int(found["a"]), int(found["b"]))
    day = written_day(text)
    if day is not None:
        found = DIGITS.fullmatch(text)
        order = day.order or order
        if found is None or order is None:
            return None
        month, date = (day.second, day.first) if order == "day first" else (day.first, day.second)
        return _iso(found, month, date)
    for pattern in NAMED:
        found = pattern.fullmatch(text)
        month_of = _month(found["month"]) if found is not None else None
        if found is not None and month_of is not None:
            return _iso(found, month_of, int(found["day"]))
    return None


def _month(name: str) -> int | None:
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    if plain.startswith(("juin", "juil")):  # French: three letters are the same for both
        return 6 if plain.startswith("juin") else 7
    return MONTHS.get(plain[:3])


def _iso(found: re.Match[str], month: int, day: int) -> str | None:
    year = int(found["year"])
    hour, minute, second = (int(found[name] or 0) for name in ("hour", "minute", "second"))
    half = (found["half"] or "").lower()[:1]
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        moment = datetime(year if year > 99 else 2000 + year, month, day, hour, minute, second)
    except ValueError:
        return None
    zone = (found["zone"] or "").replace("UTC", "Z").replace("GMT", "Z")
    part = f".{found['part'][:6]}" if found["part"] else ""
    return moment.isoformat() + part + zone
