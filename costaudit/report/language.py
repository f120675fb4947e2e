"""The language and the currency that a document is written in: messages, sentences, numbers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
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


_UNIT = re.compile(r"(?<=[\d}]) (?=%|US\$)")  # a space at which no line may be broken


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return the messages of a language; English needs none."""
    if language == "en":
        return {}
    from babel.messages.pofile import read_po

    with (CATALOGUES / language / "LC_MESSAGES" / "costaudit.po").open("rb") as file:
        entries = read_po(file, locale=language)
    told = {str(entry.id): str(entry.string) for entry in entries if entry.id and entry.string}
    return {message: _UNIT.sub("\xa0", text) for message, text in told.items()}


_PERIOD: ContextVar[Period] = ContextVar("costaudit_period", default="month")
_PRICED: ContextVar[bool] = ContextVar("costaudit_priced", default=True)
_MONTHLY = re.compile(r"(?<!\bof )(?<!\bin )(?<!\bfor )\ba month\b")


@contextmanager
def standing_for(period: Period, *, priced: bool = True) -> Iterator[None]:
    """Make messages in the `with` block say that amounts are of a month, or of the log.

    If the log is not `priced`, savings are not known, and are written as not priced.
    """
    tokens = _PERIOD.set(period), _PRICED.set(priced)
    try:
        yield
    finally:
        _PERIOD.reset(tokens[0])
        _PRICED.reset(tokens[1])


def stand_for(period: Period, *, priced: bool = True) -> None:
    """Make later messages of this command say what amounts are of, as in `standing_for`."""
    _PERIOD.set(period)
    _PRICED.set(priced)


def is_priced() -> bool:
    """Return whether the log has prices, so that an amount of 0 is known to be 0."""
    return _PRICED.get()


def of_the_log(message: str) -> str:
    """Return the message that is used in place of this one where amounts are those of the log.

    It differs where "a month" says what an amount is of; a message that speaks of months
    otherwise stays as it is. The catalogue holds both.
    """
    rest = _MONTHLY.sub("", message)
    return message if "month" in rest else _MONTHLY.sub("in this log", message)


def tr(message: str) -> str:
    """Translate a message of the program itself; one without a translation stays English."""
    wanted = message if _PERIOD.get() == "month" else of_the_log(message)
    return catalogue(style().language).get(wanted, wanted)


_PLACE = re.compile(r"\{(\w+)\}")
_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z0-9$])")
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_AMOUNT = rf"[-−+±<>≤≥~]?\$?{_DIGITS}(?: ?(?:%|pp|[kMGTB]?i?B|[kMhdmsx]|ms|min)(?!\w))?"
_VALUE = re.compile(rf"{_AMOUNT}(?:–{_AMOUNT})?|\d{{4}}-\d\d-\d\d(?:[T ][\d:]+)?(?: UTC)?")
_NAME = re.compile(r"/\S*|(?=\S*[\d/:=_.@-])[\w@][^\s,;]*[\w)\]*]|`[^`]+`|--\S+")  # and no word
_CUT = re.compile(r"(?P<names>.+) and (?P<n>[\d,]+) more")
_FEW = 3  # words of a message's own that tell a sentence of it from any other
_DEEPEST = 4  # sentences inside a sentence


@dataclass(frozen=True)
class _Pattern:
    """A message with places: its longest part without one, what it matches, what it says."""

    core: str  # quick to look for
    matches: re.Pattern[str]
    says: str
    sparse: bool  # it has too few words of its own to take any text in its places


@cache
def _patterns(language: str, sentences: int) -> tuple[_Pattern, ...]:
    """Return the messages with places that have so many sentences, the longest first."""
    found = []
    for message, says in catalogue(language).items():
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
        own = re.findall("[A-Za-z]{2,}", " ".join(parts[::2]))
        pattern = re.compile("".join(written), re.DOTALL)
        found.append(_Pattern(max(parts[::2], key=len), pattern, says, sparse=len(own) < _FEW))
    return tuple(sorted(found, key=lambda one: -len(one.matches.pattern)))


def said(text: str) -> str:
    """Translate sentences that were computed in English with their numbers, as an audit's are.

    A sentence is translated as a whole or stays English as a whole; amounts follow the currency
    all the same. Text that is written in the language already must not be given to it.
    """
    now = style()
    if now == _DEFAULT or not text:
        return text
    pieces = _SENTENCE.split(text)
    told = []
    start = 0
    while start < len(pieces):
        for end in range(len(pieces), start, -1):
            found = _whole(" ".join(pieces[start:end]), 0)
            if found is not None:
                break
        else:
            found = _listed(pieces[start], 0) or _english(pieces[start])
        told.append(found)
        start = end
    return " ".join(told)


_LEFT: ContextVar[set[str] | None] = ContextVar("costaudit_left_in_english", default=None)


@contextmanager
def left_in_english() -> Iterator[set[str]]:
    """Collect the texts without a translation that `said` is given inside the `with` block."""
    left: set[str] = set()
    token = _LEFT.set(left)
    try:
        yield left
    finally:
        _LEFT.reset(token)


def _english(text: str) -> str:
    """Write the amounts of a text that has no translation in the currency in use."""
    now = style()
    if (left := _LEFT.get()) is not None and now.language != "en":
        left.add(text)
    if now.currency == "USD":
        return text
    with using(replace(now, language="en")):
        return renumbered(text)


def _whole(text: str, depth: int) -> str | None:
    """Translate a text as a whole; None where a part of it has no translation."""
    exact = _exact(text)
    if exact is not None:
        return exact
    if _VALUE.fullmatch(text):
        return renumbered(text)
    if depth == _DEEPEST:
        return None
    for one in _patterns(style().language, len(_SENTENCE.split(text))):
        if one.core in text and (match := one.matches.fullmatch(text)):
            filled = {
                name[1:]: _filled(name[1:], value, one.sparse, depth + 1)
                for name, value in match.groupdict().items()
            }
            if None not in filled.values():
                return one.says.format(**filled)
    if text.endswith(".") and (bare := _whole(text[:-1], depth + 1)) is not None:
        return f"{bare}."
    return None


def _exact(text: str) -> str | None:
    """Translate a message without places; one that begins a sentence may be written large."""
    held = catalogue(style().language)
    if _PLACE.search(text):
        return None
    if text in held:
        return held[text]
    small = held.get(text[:1].lower() + text[1:])
    return None if small is None else small[:1].upper() + small[1:]


def _filled(place: str, value: str, sparse: bool, depth: int) -> str | None:
    """Write what is in a place of a message; None for a text that does not belong there.

    A message with few words of its own takes values and texts with values; any other one takes
    what can be translated as a whole, names of one word, and lists of both. A place called name,
    name_2 and so on holds what a log says, whatever it is.
    """
    found = _whole(value, depth)
    if found is not None:
        return found if not sparse or re.search(r"\d", value) else None
    if place.startswith("name"):
        return _named(value) if not sparse or _is_names(value) else None
    return None if sparse else _listed(value, depth)


def _named(names: str) -> str:
    """Write names from a log; only the number of those that are left out is the program's."""
    if (cut := _CUT.fullmatch(names)) is None:
        return names
    return tr("{names} and {n} more").format(names=cut["names"], n=renumbered(cut["n"]))


def _is_names(value: str) -> bool:
    return all(_NAME.fullmatch(one) for one in re.split(", | and ", value))


def _listed(value: str, depth: int) -> str | None:
    """Translate a list of texts, values and names; None where one of them can't be."""
    told = []
    for mark, one in _parted(value):
        found = one if _NAME.fullmatch(one) else _whole(one, depth)
        if found is None:
            return None
        told.append(found + (tr(mark) if mark == " and " else mark))
    return "".join(told)


def _parted(value: str) -> list[tuple[str, str]]:
    """Part a list into what follows each of its texts, and the text."""
    parts = re.split("(; |, | and )", value)
    return list(zip([*parts[1::2], ""], parts[::2], strict=True))


_NUMBER = re.compile(
    r"(?<![\w.,:/_-])(?P<minus>[-−])?(?P<dollar>\$)?(?P<digits>\d[\d,]*(?:\.\d+)?)(?P<percent> ?%)?"
    r"(?:(?=[kMB]\b)|(?![\w:/_-]|[.,]\d))"
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
