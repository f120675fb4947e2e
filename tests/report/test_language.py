"""Reports in Spanish and in other currencies: no message is missing, and numbers follow."""

from dataclasses import replace
from decimal import Decimal

import pytest
from babel.numbers import format_currency, format_decimal, format_percent

from costaudit.contracts.audit import Audit
from costaudit.errors import UsageError
from costaudit.report import numbers
from costaudit.report.html import HtmlReporter
from costaudit.report.language import LANGUAGES, Style, catalogue, said, style_of, using
from costaudit.report.markdown import MarkdownReporter
from costaudit.report.summary import _WORDS
from costaudit.report.terminal import TerminalReporter
from tests.report.messages import messages
from tests.report.sample_audit import AUDIT, NO_PROMPTS

SPANISH = Style("es")
EUROS = Style("en", "EUR", Decimal("0.92"))


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_no_message_is_missing(language: str) -> None:
    held = catalogue(language)
    assert messages() - set(held) == set()
    assert set(_WORDS.values()) - set(held) == set()


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_a_translation_has_the_places_of_its_message(language: str) -> None:
    import re

    place = re.compile(r"\{\w+\}|%\(\w+\)s|%%")
    wrong = {
        message: told
        for message, told in catalogue(language).items()
        if set(place.findall(message)) != set(place.findall(told))
    }
    assert wrong == {}


def test_numbers_follow_the_locale() -> None:
    """What Babel writes is the oracle; a small amount of money has the same digits there."""
    with using(SPANISH):
        assert numbers.share(0.123) == format_percent(0.123, "#,##0.0 %", "es").replace(" ", "\xa0")
        assert numbers.count(1234567) == format_decimal(1234567, locale="es")
        assert numbers.usd(Decimal("12.5")) == format_currency(Decimal("12.50"), "USD", locale="es")
        assert numbers.similarity(0.93) == "0,93"
    with using(EUROS):
        # 10 dollars x 0.92
        assert numbers.usd(Decimal(10)) == format_currency(Decimal("9.20"), "EUR", locale="en")


def test_a_sentence_is_translated_with_its_numbers() -> None:
    english = (
        "$59.97 a month now, $50.91 after: 15% less ($8.97 to $9.16 saved), simulated, from "
        "12,000 requests over 30.0 days, all tokens priced. "
        "A further $33.43 depends on assumptions."
    )
    with using(SPANISH):
        assert said(english).replace("\xa0", " ") == (
            "59,97 US$ al mes ahora, 50,91 US$ después: 15 % menos (se ahorran de 8,97 US$ a "
            "9,16 US$), simulado, con 12.000 peticiones en 30,0 días, todos los tokens con precio. "
            "Otros 33,43 US$ dependen de supuestos."
        )
    assert said(english) == english


def test_names_from_a_log_keep_their_digits() -> None:
    with using(SPANISH):
        assert said("gpt-4.1-2025-04-14 on 2026-10-01, v1.2") == (
            "gpt-4.1-2025-04-14 on 2026-10-01, v1.2"
        )


@pytest.mark.parametrize("audit", [AUDIT, NO_PROMPTS])
def test_a_report_in_spanish_has_no_english_of_the_program(audit: Audit) -> None:
    with using(SPANISH):
        page = HtmlReporter().render(audit).decode()
        text = TerminalReporter().render(audit).decode()
        comment = MarkdownReporter().render(audit).decode()
    assert '<html lang="es">' in page
    for english in ("What to do first", "Where the money goes", "Save", "Search all", "requests<"):
        assert english not in page
    assert "US$" in text and "Gasto actual" in text and "Spend now" not in text
    assert max(map(len, text.splitlines())) <= 80 and len(text.splitlines()) <= 25
    assert "Gasto al mes" in comment and "a month" not in comment.split("<details>")[0]


def test_in_another_currency_no_dollar_is_left_in_the_verdict() -> None:
    with using(EUROS):
        text = TerminalReporter().render(AUDIT).decode()
        page = HtmlReporter().render(replace(AUDIT, semantic=None)).decode()
    assert "€37,904" in text  # 41,200.20 x 0.92 = 37,904.184
    assert "You spend €37,904 a month" in page


@pytest.mark.parametrize(
    ("language", "currency", "rate", "word"),
    [
        ("fr", "USD", "", "--lang"),
        ("en", "euro", "1", "--currency"),
        ("en", "EUR", "", "--rate"),
        ("en", "EUR", "0", "--rate"),
        ("en", "EUR", "nan", "--rate"),
        ("en", "USD", "0.92", "--rate"),
    ],
)
def test_what_can_not_be_used_is_refused(
    language: str, currency: str, rate: str, word: str
) -> None:
    with pytest.raises(UsageError, match=word):
        style_of(language, currency, rate)
