"""Dates, weekdays, clock times and words such as `yesterday`, brought to one form."""

import re
from functools import cache

from costaudit.answers.traps.folding import fold, words_of
from costaudit.answers.traps.lexicon import any_of, phrases
from costaudit.answers.traps.phrase_set import PhraseSet

_DIGIT = re.compile(r"\d")
_ISO = re.compile(r"\b((?:19|20)\d\d)-(\d\d)-(\d\d)(?:t\d\d:\d\d\S*)?\b")
_SLASHED = re.compile(r"\b(\d{1,2})[/.](\d{1,2})[/.]((?:19|20)?\d\d)\b")
_CLOCK = re.compile(
    r"\b(?P<hour>[01]?\d|2[0-4])(?:[:.](?P<minute>[0-5]\d))?\s*(?:hrs?|h)?\s*"
    r"(?P<half>a\.?m\b\.?|p\.?m\b\.?|de la manana|de la tarde|de la noche"
    r"|in the morning|in the afternoon|in the evening)"
    r"|\b(?P<hour24>[01]?\d|2[0-4]):(?P<minute24>[0-5]\d)\b"
    r"|\b(?:at|a las|a la|until|till|by)\s+(?P<hour_at>[01]?\d|2[0-4])\s*(?:o'clock|h)\b"
)
_YEAR = re.compile(
    r"\b(?:in|since|of|year|from|until|en|desde|de|del|ano|hasta)\s+((?:19|20)\d\d)\b"
)
_QUARTER = re.compile(r"\bq([1-4])\b(?:\s+((?:19|20)\d\d))?")
_LATE = ("p", "de la t", "de la n", "in the a", "in the e")
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
    "weekend": ("weekend", "weekends", "the weekend", "fin de semana", "fines de semana"),
    "weekday": ("weekdays", "on weekdays", "entre semana"),
    "morning": ("this morning", "esta mañana"),
    "christmas": ("christmas", "navidad", "navidades"),
    "easter": ("easter", "semana santa"),
    "black friday": ("black friday",),
}
_NOT_TOMORROW = re.compile(r"(?:\bla|\besta|\bpor la|\bpasado)\s+manana")


def find_dates(plain: str) -> tuple[frozenset[str], str]:
    """Read the dates of a folded text, and give the text with them blanked out."""
    found: set[str] = set()

    def take(value: str, match: re.Match[str]) -> str:
        found.add(value)
        return " " * len(match.group())

    digits = _DIGIT.search(plain) is not None
    if digits:
        plain = _ISO.sub(lambda m: take(f"{int(m[3])}.{int(m[2])}.{m[1]}", m), plain)
        plain = _SLASHED.sub(lambda m: take(f"{int(m[1])}.{int(m[2])}.{m[3]}", m), plain)
    if not words_of(plain).isdisjoint(_named()):
        plain = _written().sub(lambda m: take(_written_date(m), m), plain)
    if digits:
        plain = _CLOCK.sub(lambda m: take(_clock(m), m), plain)
        plain = _QUARTER.sub(lambda m: take(m.group(), m), plain)
        plain = _YEAR.sub(lambda m: take(m[1], m), plain)
    if _relative_words().may_match(plain):
        plain = _relative_words().pattern.sub(lambda m: take(_relative_of(m), m), plain)
    return frozenset(found), plain


@cache
def _names() -> dict[str, str]:
    """Map names of months and weekdays in both languages to English ones."""
    english = (*phrases("months"), *phrases("weekdays"))
    names = dict(zip((*phrases("months_es"), *phrases("weekdays_es")), english, strict=True))
    names |= {name: name for name in english}
    names |= {f"{name}s": name for name in phrases("weekdays")}
    names |= {"sabados": "saturday", "domingos": "sunday"}
    return names | dict(zip(phrases("months_short"), phrases("months"), strict=True))


@cache
def _named() -> frozenset[str]:
    """List the words of which each written date holds one."""
    return frozenset((*_names(), "sept"))


@cache
def _written() -> re.Pattern[str]:
    """Match `14 October 2025`, `October 14th`, `14 de octubre`; names alone, but not modal may."""
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
    if half.startswith(_LATE) and hour < 12:
        hour += 12
    elif half.startswith("a") and hour == 12:
        hour = 0
    return f"{hour:02}:{minute:02}"


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
