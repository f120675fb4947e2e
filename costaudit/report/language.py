"""The language and the currency that a document is written in: messages, sentences, numbers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from costaudit.contracts.month import Period
from costaudit.errors import UsageError

if TYPE_CHECKING:
    from babel.core import Locale

Language = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
CATALOGUES = Path(__file__).parent / "locale"
_CURRENCY = re.compile("[A-Z]{3}")


@dataclass(frozen=True)
class Style:
    """How a document is written."""

    language: Language = "en"
    currency: str = "USD"  # ISO 4217
    rate: Decimal = Decimal(1)  # units of the currency for one US dollar


_STYLE: ContextVar[Style] = ContextVar("costaudit_style")
_DEFAULT = Style()


def style() -> Style:
    """Return how the document that is being written is written."""
    return _STYLE.get(_DEFAULT)


@contextmanager
def using(wanted: Style) -> Iterator[None]:
    """Write everything inside the `with` block in one language and currency."""
    token = _STYLE.set(wanted)
    try:
        yield
    finally:
        _STYLE.reset(token)


def style_of(language: str, currency: str, rate: str) -> Style:
    """Read the options --lang, --currency and --rate; raises UsageError for what can't be used."""
    if language not in LANGUAGES:
        raise UsageError(
            f"--lang {language!r} is unknown.", hint=f"Choose from {', '.join(LANGUAGES)}."
        )
    code = currency.strip().upper()
    if not _CURRENCY.fullmatch(code):
        raise UsageError(
            f"--currency {currency!r} is not a currency.", hint="Give its three letters, as in EUR."
        )
    try:
        factor = Decimal(rate) if rate else Decimal(1)
    except InvalidOperation:
        factor = Decimal(-1)
    if not factor.is_finite() or factor <= 0:
        raise UsageError(
            f"--rate {rate!r} is not a rate.",
            hint=f"Give what one US dollar costs in {code}, such as 0.92.",
        )
    if code != "USD" and not rate:
        raise UsageError(
            f"--currency {code} needs --rate.",
            hint=f"Prices are in US dollars: say what one costs in {code}, such as --rate 0.92.",
        )
    if code == "USD" and factor != 1:
        raise UsageError(
            "--rate converts US dollars to another currency.", hint="Name it: --currency EUR."
        )
    return Style(language, code, factor)


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return the messages of a language; English needs none."""
    if language == "en":
        return {}
    from babel.messages.pofile import read_po

    with (CATALOGUES / language / "LC_MESSAGES" / "costaudit.po").open("rb") as file:
        entries = read_po(file, locale=language)
    return {str(entry.id): str(entry.string) for entry in entries if entry.id and entry.string}


_PERIOD: ContextVar[Period] = ContextVar("costaudit_period", default="month")
_MONTHLY = re.compile(r"\b(?:a month|al mes)\b")


@contextmanager
def standing_for(period: Period) -> Iterator[None]:
    """Let the messages inside say that amounts are those of a month, or of the log itself."""
    token = _PERIOD.set(period)
    try:
        yield
    finally:
        _PERIOD.reset(token)


def stand_for(period: Period) -> None:
    """Let the messages of this verb say what amounts are of, from here on."""
    _PERIOD.set(period)


def tr(message: str) -> str:
    """Translate a message of the program itself; one without a translation stays English."""
    found = catalogue(style().language).get(message, message)
    if _PERIOD.get() == "month" or "month" in found.replace("a month", ""):
        return found
    return _MONTHLY.sub(catalogue(style().language).get("in this log", "in this log"), found)


_PLACE = re.compile(r"\{(\w+)\}")
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z0-9$])")


@cache
def _patterns(language: str, sentences: int) -> tuple[tuple[str, re.Pattern[str], str], ...]:
    """Return the messages with places: how each begins, what it matches, what it says."""
    found = []
    for message, said_as in catalogue(language).items():
        if not _PLACE.search(message) or len(_SENTENCE.split(message)) != sentences:
            continue
        parts = _PLACE.split(message)
        seen: set[str] = set()
        written = []
        for place, part in enumerate(parts):
            if place % 2 == 0:
                written.append(re.escape(part))
            elif part in seen:
                written.append(f"(?P=g{part})")
            else:
                seen.add(part)
                written.append(f"(?P<g{part}>.+?)")
        found.append((parts[0], re.compile("".join(written), re.DOTALL), said_as))
    return tuple(sorted(found, key=lambda one: -len(one[1].pattern)))


_DEEPEST = 4  # sentences inside a sentence


def said(text: str, depth: int = 0) -> str:
    """Translate a sentence that was computed with its numbers, as those of an audit are.

    A sentence without a translation stays English; amounts follow the currency all the same.
    """
    now = style()
    if now == _DEFAULT or not text:
        return text
    exact = catalogue(now.language).get(text)
    if exact is not None and not _PLACE.search(text):
        return renumbered(exact) if now.currency != "USD" else exact
    if depth < _DEEPEST:
        pieces = _SENTENCE.split(text)
        found = _matched(text, len(pieces), depth)
        if found is not None:
            return found
        if len(pieces) > 1:
            return " ".join(said(piece, depth + 1) for piece in pieces)
    return renumbered(text)


def _matched(text: str, sentences: int, depth: int) -> str | None:
    """Translate by a message with places that has as many sentences; None without one."""
    for begins, pattern, said_as in _patterns(style().language, sentences):
        if text.startswith(begins) and (match := pattern.fullmatch(text)):
            values = {name[1:]: said(value, depth + 1) for name, value in match.groupdict().items()}
            return said_as.format(**values)
    return None


_NUMBER = re.compile(
    r"(?<![\w.,:/_-])(?P<minus>[-−])?(?P<dollar>\$)?(?P<digits>\d[\d,]*(?:\.\d+)?)(?P<percent> ?%)?"
    r"(?![\w:/_-]|[.,]\d)"
)


def renumbered(text: str) -> str:
    """Write the numbers inside an English text by the language and currency in use."""
    return _NUMBER.sub(_renumbered, text)


def _renumbered(found: re.Match[str]) -> str:
    minus = "−" if found["minus"] else ""
    digits = found["digits"]
    if digits.endswith(","):  # a comma of the sentence
        return found[0]
    if found["dollar"]:
        number = Decimal(digits.replace(",", ""))
        places = max(-int(number.as_tuple().exponent), 0)
        now = style()
        if now.currency != "USD":
            number = (number * now.rate).quantize(Decimal(1).scaleb(-places))
        return with_currency(f"{minus}{number:,}")
    if found["percent"]:
        return minus + percent(digits)
    return minus + separated(digits)


@cache
def _locale(language: str) -> "Locale":
    from babel.core import Locale

    return Locale.parse(language)


def separated(digits: str) -> str:
    """Write English digits, such as 1,234.5, with the marks of the language in use."""
    language = style().language
    if language == "en":
        return digits
    symbols = _locale(language).number_symbols
    marks = symbols.get("latn", symbols)
    return digits.translate(str.maketrans({",": marks["group"], ".": marks["decimal"]}))


def percent(digits: str) -> str:
    """Write English digits as a percentage."""
    if style().language == "en":
        return f"{digits}%"
    pattern = _locale(style().language).percent_formats[None].pattern
    return str(re.sub("[#0,.]+", separated(digits), pattern, count=1))


def with_currency(digits: str) -> str:
    """Write English digits as an amount of the currency in use; a minus comes first."""
    now = style()
    minus, number = ("−", digits[1:]) if digits[:1] == "−" else ("", digits)
    if now.language == "en" and now.currency == "USD":
        return f"{minus}${number}"
    from babel.numbers import get_currency_symbol

    symbol = get_currency_symbol(now.currency, locale=_locale(now.language))
    pattern = _locale(now.language).currency_formats["standard"].pattern.split(";")[0]
    filled = re.sub("[#0,.]+", separated(number), pattern, count=1)
    return minus + filled.replace("¤", symbol).strip()


def day(text: str) -> str:
    """Write the day of an ISO 8601 time as people write days; "" for none."""
    if not text:
        return ""
    from babel.dates import format_date

    wanted = "d MMM y"
    return str(format_date(date.fromisoformat(text[:10]), wanted, locale=style().language))
