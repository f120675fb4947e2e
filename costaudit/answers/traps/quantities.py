"""Find numbers with their units, dates and times, each in a normalised form."""

import re
from dataclasses import dataclass
from functools import cache

from costaudit.answers.traps.folding import PhraseSet, any_of, fold, phrases, table, words_of

_DIGIT = re.compile(r"\d")
_DIGITS = r"\d+(?:[.,'](?=\d)\d+)*"
_THOUSANDS = re.compile(r"\d{1,3}(?:([.,'])\d{3})(?:\1\d{3})*$")
_SCALE = {"k": 1e3, "mil": 1e3, "thousand": 1e3, "million": 1e6, "millones": 1e6, "millon": 1e6}
_SYMBOL = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy"}


@dataclass(frozen=True)
class Quantity:
    """One number in a text."""

    value: float  # in the base unit of its dimension
    dimension: str  # such as time, workday, mass, percent or money:eur; "" for a bare number

    @property
    def is_money(self) -> bool:
        """Whether it is an amount of money."""
        return self.dimension.startswith("money:")


@cache
def _units() -> dict[str, tuple[str, float]]:
    """Return each unit word's dimension, and the unit's size in the dimension's base unit."""
    units: dict[str, tuple[str, float]] = {}
    for row in table("units"):
        for word in row["words"]:
            units[word] = (row["dimension"], float(row["size"]))
    for row in table("currencies"):
        for word in row["words"]:
            units[word] = (f"money:{row['code']}", float(row.get("size", 1)))
    return units


@cache
def _pattern() -> re.Pattern[str]:
    words = "|".join(re.escape(w) for w in sorted(_units(), key=lambda w: (-len(w), w)))
    unit = rf"(?:\s*-?\s*(?P<unit>{words}|[$€£¥%])(?!\w))?"
    return re.compile(
        rf"(?P<before>[$€£¥]|\b(?:usd|eur|gbp|chf|mxn)\s)?\s?(?<![\w.])(?P<number>{_DIGITS})"
        rf"(?P<ordinal>(?:st|nd|rd|th|ª|º)\b)?"
        rf"(?:\s*(?P<scale>k|mil|thousand|million|millones|millon)\b(?:\s+de\b)?)?{unit}"
        rf"(?P<range>\s*(?:-|to|a|and|y|o|or|hasta)\s*(?={_DIGITS}))?"
    )


def quantities(plain: str) -> tuple[Quantity, ...]:
    """Return the numbers in a folded text; in `3 to 5 days`, both numbers are days."""
    if not _DIGIT.search(plain):
        return ()
    found: list[Quantity] = []
    waiting: list[float] = []  # numbers that start a range and get the unit of its end
    for match in _pattern().finditer(plain):
        value = number(match["number"]) * _SCALE.get(match["scale"] or "", 1.0)
        unit = match["unit"] or (match["before"] or "").strip()
        unit = _SYMBOL.get(unit, unit)
        if not unit and match["range"]:
            waiting.append(value)
            continue
        dimension, size = _units().get(unit, ("", 1.0))
        found += [Quantity(round(v * size, 9), dimension) for v in (*waiting, value)]
        waiting.clear()
    return (*found, *(Quantity(value, "") for value in waiting))


def number(digits: str) -> float:
    """Parse digits with `.`, `,` or `'`; groups of three digits after one sign are thousands."""
    if _THOUSANDS.match(digits) and not digits.startswith("0"):
        return float(re.sub(r"[.,']", "", digits))
    *whole, last = re.split(r"[.,']", digits)
    return float(f"{''.join(whole)}.{last}" if whole else last)


_ISO = re.compile(r"\b((?:19|20)\d\d)([-/.])(\d\d?)\2(\d\d?)(?:t(\d\d:\d\d)\S*)?\b")
_SLASHED = re.compile(
    r"\b(\d{1,2})(?:([/.])(\d{1,2})\2((?:19|20)?\d\d)|-(\d{1,2})-((?:19|20)\d\d))\b"
)
_CLOCK = re.compile(
    r"\b(?P<hour>[01]?\d|2[0-4])(?:[:.](?P<minute>[0-5]\d))?\s*(?:hrs?|h)?\s*"
    r"(?P<half>a\.?m\b\.?|p\.?m\b\.?|de la manana|de la tarde|de la noche"
    r"|de la madrugada|midnight|noon|(?:de )?medianoche|(?:del? )?mediodia|in the morning"
    r"|in the afternoon|in the evening|at night)"
    r"|\b(?P<hour24>[01]?\d|2[0-4]):(?P<minute24>[0-5]\d)\b"
    r"|\b(?:at|a las|a la|until|till|by)\s+(?P<hour_at>[01]?\d|2[0-4])\s*(?:o'clock|h)\b"
)
_YEAR = re.compile(
    r"\b(?:in|since|of|year|from|until|en|desde|de|del|ano|hasta)\s+((?:19|20)\d\d)\b"
)
_QUARTER = re.compile(r"\bq([1-4])\b(?:\s+((?:19|20)\d\d))?")
_LATE = ("p", "de la t", "in the a", "in the e")
_NIGHT = ("de la n", "at night")
_SMALL_HOURS = ("a.", "am", "de la mad", "midnight", "medianoche", "de medianoche")
_NO_CLOCK = "00:00"  # a date alone is often written as its midnight
_LAST_SMALL_HOUR = 5  # `5 at night` is before dawn, `6 at night` is 18:00
_LAST_CENTURY = 70  # a year of two digits from here on belongs to the 1900s
_RELATIVE = {
    "today": ("today", "hoy"),
    "yesterday": ("yesterday", "ayer"),
    "tomorrow": ("tomorrow", "mañana"),
    "tonight": ("tonight", "esta noche"),
    "day before yesterday": ("the day before yesterday", "anteayer", "antes de ayer"),
    "day after tomorrow": ("the day after tomorrow", "pasado mañana"),
    "last week": ("last week", "la semana pasada", "previous week"),
    "this week": ("this week", "esta semana", "current week"),
    "next week": ("next week", "la próxima semana", "la semana que viene", "próxima semana"),
    "last month": ("last month", "el mes pasado", "mes pasado", "previous month"),
    "this month": ("this month", "este mes", "current month"),
    "next month": ("next month", "el próximo mes", "el mes que viene", "próximo mes"),
    "last year": ("last year", "el año pasado", "año pasado"),
    "this year": ("this year", "este año"),
    "next year": ("next year", "el próximo año", "el año que viene"),
    "12:00": ("noon", "midday", "mediodía"),
    "00:00": ("midnight", "medianoche"),
    "weekend": ("weekend", "weekends", "the weekend", "fin de semana", "fines de semana"),
    "weekday": ("weekdays", "on weekdays", "entre semana"),
    "morning": ("this morning", "esta mañana"),
    "christmas": ("christmas", "navidad", "navidades"),
    "easter": ("easter", "semana santa"),
    "black friday": ("black friday",),
}
_NOT_TOMORROW = re.compile(r"(?:\bla|\besta|\bpor la|\bpasado)\s+manana")


def find_dates(plain: str) -> tuple[frozenset[str], str]:
    """Return the dates in a folded text, and the text with them blanked out."""
    found: set[str] = set()

    def take(value: str, match: re.Match[str]) -> str:
        found.add(value)
        return " " * len(match.group())

    digits = _DIGIT.search(plain) is not None
    if digits:
        found |= {match[5] for match in _ISO.finditer(plain) if match[5]} - {_NO_CLOCK}
        plain = _ISO.sub(lambda m: take(_dated(m[4], m[3], m[1]), m), plain)
        plain = _SLASHED.sub(lambda m: take(_dated(m[1], m[3] or m[5], m[4] or m[6]), m), plain)
    if not words_of(plain).isdisjoint(_named()):
        plain = _written().sub(lambda m: take(_written_date(m), m), plain)
    if digits:
        plain = _CLOCK.sub(lambda m: take(_clock(m), m), plain)
        plain = _QUARTER.sub(lambda m: take(m.group(), m), plain)
        plain = _YEAR.sub(lambda m: take(m[1], m), plain)
    if _relative_words().may_match(plain):
        plain = _relative_words().pattern.sub(lambda m: take(_relative_of(m), m), plain)
    return frozenset(found), plain


def _dated(day: str, month: str, year: str) -> str:
    """Return a date with a year of four digits; day and month change places if they must."""
    if int(month) > 12 >= int(day):
        day, month = month, day
    if len(year) == 2:
        year = f"{'19' if int(year) >= _LAST_CENTURY else '20'}{year}"
    return f"{int(day)}.{int(month)}.{year}"


@cache
def _names() -> dict[str, str]:
    """Return the English name for each English or Spanish name of a month or weekday."""
    english = (*phrases("months"), *phrases("weekdays"))
    names = dict(zip((*phrases("months_es"), *phrases("weekdays_es")), english, strict=True))
    names |= {name: name for name in english}
    names |= {f"{name}s": name for name in phrases("weekdays")}
    names |= {"sabados": "saturday", "domingos": "sunday"}
    return names | dict(zip(phrases("months_short"), phrases("months"), strict=True))


@cache
def _named() -> frozenset[str]:
    """Return words such that each written date contains at least one."""
    return frozenset((*_names(), "sept"))


@cache
def _written() -> re.Pattern[str]:
    """Return a pattern for `14 October 2025`, `14 de octubre`, or a name alone (but not `may`)."""
    full = (*phrases("months"), *phrases("months_es"))
    dated = any_of((*full, *phrases("months_short"), "sept"))
    alone = any_of(
        tuple(
            name
            for name in (*full, *phrases("weekdays"), *phrases("weekdays_es"), *_weekday_plurals())
            if name not in ("may", "march")
        )
    )
    day = r"(?P<day{}>\d{{1,2}})(?:st|nd|rd|th|º)?"
    year = r"(?:,?\s+(?:de\s+|del\s+|of\s+)?(?P<year{}>(?:19|20)\d\d))?"
    return re.compile(
        rf"\b{day.format(1)}\s+(?:de\s+|of\s+)?(?P<month1>{dated})\.?{year.format(1)}"
        rf"|(?P<month2>{dated})\.?\s+(?:the\s+)?{day.format(2)}(?!\d|:){year.format(2)}"
        rf"|(?:\bin|\bof|\bsince|\bthis|\bnext|\blast)\s+(?P<month3>may|march)\b{year.format(3)}"
        rf"|(?P<alone>{alone}){year.format(4)}"
    )


def _weekday_plurals() -> tuple[str, ...]:
    return (*(f"{name}s" for name in phrases("weekdays")), "sabados", "domingos")


def _written_date(match: re.Match[str]) -> str:
    groups = match.groupdict()
    name = next(groups[k] for k in ("month1", "month2", "month3", "alone") if groups[k])
    day = groups["day1"] or groups["day2"]
    year = next((groups[f"year{k}"] for k in range(1, 5) if groups[f"year{k}"]), "")
    name = _names()["sep" if name == "sept" else name]
    months = phrases("months")
    if day and year and name in months:
        return f"{int(day)}.{months.index(name) + 1}.{year}"
    return " ".join(part for part in (str(int(day)) if day else "", name, year) if part)


def _clock(match: re.Match[str]) -> str:
    hour = int(match["hour"] or match["hour24"] or match["hour_at"])
    minute = int(match["minute"] or match["minute24"] or 0)
    half = match["half"] or ""
    late = half.startswith(_LATE) or (half.startswith(_NIGHT) and hour > _LAST_SMALL_HOUR)
    if hour == 12 and half.startswith((*_NIGHT, *_SMALL_HOURS)):
        hour = 0
    elif late and hour < 12:
        hour += 12
    return f"{hour % 24:02}:{minute:02}"


@cache
def _relative_words() -> PhraseSet:
    return PhraseSet(tuple(_relative()))


@cache
def _relative() -> dict[str, str]:
    return {fold(word): name for name, words in _RELATIVE.items() for word in words}


def _relative_of(match: re.Match[str]) -> str:
    word = " ".join(match.group().split())
    if word == "manana" and _NOT_TOMORROW.search(match.string[: match.end()][-20:]):
        return "morning"
    return _relative()[word]
