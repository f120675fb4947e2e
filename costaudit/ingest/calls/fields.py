"""Read typed fields and times of a decoded record; a value of the wrong type is missing."""

import re
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

import msgspec

from costaudit.ingest.calls.call import Buffer

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
EARLIEST_US = 1_262_304_000_000_000  # 2010: no model call is older
LATEST_US = 4_102_444_800_000_000  # 2100


def parse_time(value: object) -> int | None:
    """Read an epoch number or an ISO 8601 text as microseconds; a text without zone is UTC.

    The size of a number decides its unit: below 1e11 seconds, 1e14 ms, 1e17 µs, else ns.
    """
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _plausible(_from_number(value))


def _parse_text(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _parse_odd_text(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _plausible((moment - EPOCH) // MICROSECOND)


def _parse_odd_text(text: str) -> int | None:
    try:
        number = int(text) if text.isdigit() else float(text)
    except ValueError:
        pass
    else:
        return _plausible(_from_number(number))
    if text.endswith(" UTC"):
        return _parse_text(text.removesuffix(" UTC"))
    return None


def _from_number(value: int | float) -> int | None:
    if isinstance(value, float) and not isfinite(value):
        return None
    size = abs(value)
    if size < 1e11:
        return round(value * 1_000_000)
    if size < 1e14:
        return round(value * 1_000)
    if size < 1e17:
        return round(value)
    return int(value) // 1_000


def _plausible(value_us: int | None) -> int | None:
    if value_us is None or not EARLIEST_US <= value_us < LATEST_US:
        return None
    return value_us


def span_ms(start_us: int | None, end_us: int | None) -> float | None:
    """Return the milliseconds from start to end; None if one is missing or end is before start."""
    if start_us is None or end_us is None or end_us < start_us:
        return None
    return (end_us - start_us) / 1_000


NULLS = (b"", b"null", b"[]", b"{}", b'""')


def present(data: Buffer) -> bool:
    """Return whether a JSON text exists and is not empty."""
    size = len(data)
    return size > 4 or (size > 0 and bytes(data) not in NULLS)


MOST_TOKENS = 1 << 31  # beyond this a count is a mistake
GROUPED = re.compile(r"\d{1,3}(?:[,.\u00a0\u2009\u202f '\u2019_]\d{3})+")
DIGITS = re.compile(r"\d+(?:\.0+)?")
SCIENTIFIC = re.compile(r"\d{1,12}(?:\.\d{1,12})?[eE]\+?0?\d")  # as spreadsheets write


def count_of(value: object) -> int | None:
    """Read a count of tokens; None for anything but a whole number from 0 to MOST_TOKENS.

    Texts may group their digits: "2,000" and "2.000" are both 2000, as a count has no fraction.
    """
    if isinstance(value, str):
        text = value.strip()
        if GROUPED.fullmatch(text):
            value = int(re.sub(r"\D", "", text))
        elif DIGITS.fullmatch(text) and len(text) < 20:
            value = int(text.partition(".")[0])
        elif SCIENTIFIC.fullmatch(text):
            value = float(text)
        else:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value < MOST_TOKENS or value != int(value):
        return None
    return int(value)


UNREADABLE = -1  # replaces a stated count that can't be read; see `plausible`
NOT_STATED = frozenset({"", "-", "null", "none", "nan", "n/a", "undefined"})


SIGNS = {"$": "USD", "US$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "R$": "BRL",
         "C$": "CAD", "A$": "AUD", "kr": "SEK", "zł": "PLN", "CHF": "CHF"}  # fmt: skip
CODE = re.compile("[A-Za-z_0-9]{3,8}")  # ISO 4217, or a part of a dollar such as cents


def currency_of(text: str) -> str:
    """Return the unit of a cost from a code or a sign, in lower case; "unknown" for other texts."""
    written = text.strip()
    code = SIGNS.get(written, written)
    return code.lower() if CODE.fullmatch(code) else "unknown"


def stated_count(value: object) -> int | None:
    """Read a count of tokens; None if none is stated, UNREADABLE if it can't be read."""
    if value is None or (isinstance(value, str) and value.strip().lower() in NOT_STATED):
        return None
    count = count_of(value)
    return UNREADABLE if count is None else count


MOST = 10**15  # larger numbers can't be counts, sums or durations
UNNESTINGS = 3  # levels of JSON within JSON strings that we decode


def parsed(value: Any) -> Any:
    """Decode a text that holds a JSON object or list, even if it was encoded twice."""
    for _ in range(UNNESTINGS):
        if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"'):
            break
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            break
    return value


class Fields:
    """Look up fields by several names; the first that exists and has the right type is used."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def __bool__(self) -> bool:
        return bool(self.values)

    def has(self, *names: str) -> bool:
        """Return whether all of these fields exist."""
        return all(name in self.values for name in names)

    def value(self, *names: str) -> Any:
        """Return the first field that is not null; JSON texts are decoded."""
        for name in names:
            found = self.values.get(name)
            if found is not None and found != "":
                return parsed(found)
        return None

    def text(self, *names: str) -> str | None:
        """Return the first field that is a text, or a number as text."""
        for name in names:
            found = self.values.get(name)
            if isinstance(found, str) and found:
                return found
            if isinstance(found, int) and not isinstance(found, bool):
                return str(found)
        return None

    def number(self, *names: str) -> float | None:
        """Return the first field that is a finite number, or a text that is one."""
        for name in names:
            found = self.values.get(name)
            if isinstance(found, bool) or found is None:
                continue
            try:
                number = float(found)
            except (TypeError, ValueError, OverflowError):
                continue
            if abs(number) < MOST:
                return number
        return None

    def integer(self, *names: str) -> int | None:
        """Return the first field that is a whole number."""
        for name in names:
            found = self.number(name)
            if found is not None and found.is_integer():
                return int(found)
            count = count_of(self.values.get(name))  # a text with grouped digits
            if count is not None:
                return count
        return None

    def stated(self, *names: str) -> int | None:
        """Return the first count that can be read; None if no field states a count.

        Return UNREADABLE if a count is stated but can't be read.
        """
        found = [stated_count(self.values.get(name)) for name in names]
        whole = self.integer(*names)
        if whole is not None:
            return max(whole, UNREADABLE)
        return None if found == [None] * len(found) else UNREADABLE

    def part(self, *names: str) -> int:
        """Return a count as `stated` does, but 0 if no count is stated."""
        return self.stated(*names) or 0

    def time_us(self, *names: str) -> int | None:
        """Return the first field that is a time."""
        return next((t for n in names if (t := parse_time(self.values.get(n))) is not None), None)

    def truth(self, *names: str) -> bool | None:
        """Return the first field that is true or false, or a word for it."""
        for name in names:
            found = self.values.get(name)
            if isinstance(found, bool):
                return found
            if isinstance(found, str) and found.lower() in ("true", "false"):
                return found.lower() == "true"
        return None

    def inner(self, *names: str) -> "Fields":
        """Return the first field that is an object or a text of one; else empty Fields."""
        for name in names:
            found = parsed(self.values.get(name))
            if isinstance(found, dict):
                return Fields(found)
        return Fields({})

    def items(self, *names: str) -> list[Any]:
        """Return the first field that is a list or a JSON text of a list; else an empty list."""
        for name in names:
            found = parsed(self.values.get(name))
            if isinstance(found, list):
                return found
        return []
