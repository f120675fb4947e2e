"""Reports in Spanish and other currencies: every message is translated, numbers are localised."""

import ast
import re
from dataclasses import replace
from decimal import Decimal
from functools import cache

import pytest
from babel.numbers import format_currency, format_decimal, format_percent
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from costaudit.contracts.audit import Audit
from costaudit.contracts.prefix import BREAKER_NAMES
from costaudit.contracts.spend import Counting
from costaudit.costing.counting import counting_findings
from costaudit.embed.words import language_warning
from costaudit.errors import UsageError
from costaudit.report import language, numbers
from costaudit.report.compare import compare
from costaudit.report.comparison import comparison_markdown, comparison_terminal
from costaudit.report.html import HtmlReporter
from costaudit.report.language import (
    LANGUAGES,
    Style,
    catalogue,
    of_the_log,
    said,
    standing_for,
    style_of,
    tr,
    using,
)
from costaudit.report.markdown import MarkdownReporter
from costaudit.report.tables.levers import lever_tables
from costaudit.report.tables.prefix import prefix_tables
from costaudit.report.tables.replay import replay_tables
from costaudit.report.tables.semantic import claims_table, sweep_tables
from costaudit.report.tables.spend import spend_line, spend_tables
from costaudit.report.tables.table import Screen, Table, render_tables
from costaudit.report.tables.topics import cluster_tables
from costaudit.report.terminal import TerminalReporter
from tests.report.messages import composed_titles, messages
from tests.report.sample_audit import AUDIT, NO_PROMPTS
from tests.report.sentences import PACKAGE, PARTS, filled, sentences

SPANISH = Style("es")
EUROS = Style("en", "EUR", Decimal("0.92"))


OTHERS = [one for one in LANGUAGES if one != "en"]


@pytest.mark.parametrize("other", OTHERS)
def test_no_message_is_missing(other: str) -> None:
    assert messages() - set(catalogue(other)) == set()


def test_a_title_with_values_is_a_message_with_places() -> None:
    assert composed_titles() == []


@pytest.mark.parametrize("other", OTHERS)
def test_no_sentence_of_an_audit_is_missing(other: str) -> None:
    with using(Style(other)):  # type: ignore[arg-type]
        missing = [
            f"{place}: {text}"
            for text, place in sentences()
            if text not in PARTS
            and not _is_told(filled(text))
            and not _is_told(filled(text).rstrip("."))
        ]
        wholes = [one for part in PARTS.values() for one in part]
        assert missing == []
        assert [one for one in wholes if not _is_told(one)] == []
    assert set(PARTS) - {text for text, _ in sentences()} == set()


def _is_told(text: str) -> bool:
    """Return whether each sentence of a text, or each part of a list, has a translation."""
    if language._whole(text, 0) is not None:
        return True
    pieces = language._SENTENCE.split(text)
    if len(pieces) > 1:
        return all(map(_is_told, pieces))
    return said(text) != text


@pytest.mark.parametrize("name", sorted(BREAKER_NAMES.values()))
def test_each_cause_of_a_broken_prefix_is_named(name: str) -> None:
    with using(SPANISH):
        for title in (f"{name}: /v1/chat", f"{name}: 3 endpoints"):
            assert _is_told(title)


@pytest.mark.parametrize("other", OTHERS)
def test_a_translation_has_the_places_of_its_message(other: str) -> None:
    place = re.compile(r"\{\w+\}|%\(\w+\)s|%%")
    wrong = {
        message: told
        for message, told in catalogue(other).items()
        if set(place.findall(message)) != set(place.findall(told))
    }
    assert wrong == {}


@pytest.mark.parametrize("other", OTHERS)
def test_a_text_that_is_translated_twice_is_translated_once(other: str) -> None:
    held = catalogue(other)
    assert {told for told in held.values() if held.get(told, told) != told} == set()


_PROSE = sorted({
    " ".join(one.split())
    for path in PACKAGE.rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text("utf-8")))
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
    for one in re.split(r"(?<=[.!?])\s+", ast.get_docstring(node) or "")
    if one
})  # fmt: skip


@pytest.mark.parametrize(("text", "told"), [
    ("Où est ma commande, et pour quand est la livraison ?", "francés"),
    ("Wo ist meine Bestellung und wie kann ich sie ändern?", "alemán"),
    ("\u3069\u3053\u3067\u3059\u304b", "chino o japonés"),
])  # fmt: skip
def test_the_warning_about_languages_names_them_in_spanish(text: str, told: str) -> None:
    warning = language_warning([text] * 4, "minilm")
    assert warning is not None
    with using(SPANISH):
        assert f"(sobre todo: {told}) y minilm se entrenó en inglés" in said(warning)


def test_currencies_without_a_rate_are_told_in_spanish() -> None:
    counting = Counting(foreign_costs={"eur": 150, "gbp": 1})
    (finding,) = counting_findings(replace(AUDIT.spend, counting=counting))
    with using(SPANISH):
        assert said(finding.detail).startswith("Qué unidad y cuántas: EUR (150), GBP (1). No se")


def test_fields_of_a_scope_and_headings_of_a_comparison_are_spanish() -> None:
    section = AUDIT.semantic
    assert section is not None and section.scopes
    new = replace(AUDIT, findings=())
    with using(SPANISH):
        tables = [render_tables(sweep_tables(section), form, section, "").decode()
                  for form in ("terminal", "csv")]  # fmt: skip
        page = HtmlReporter().render(AUDIT).decode()
        compared = comparison_terminal(compare(AUDIT, new)) + comparison_markdown(
            compare(new, AUDIT)
        )
    fold = page.index('id="isolation"')
    for text in (*tables, page[fold : page.index("</details>", fold)]):
        assert "modelo + " in text and "model + " not in text
    assert "Hallazgos que ya no están: " in compared.decode()
    assert "Hallazgos nuevos: " in compared.decode()


def test_english_without_a_translation_stays_english() -> None:
    """The test texts are sentences of the program's docstrings, which no catalogue translates."""
    held = catalogue("es")
    prose = [one for text in _PROSE for one in (text, text.rstrip("."))]
    with using(SPANISH):
        changed = [one for one in prose if said(one) != one and one.rstrip(".") not in held]
    assert len(_PROSE) > 3_000
    assert changed == []


@given(st.data())
def test_a_sentence_with_a_foreign_word_is_not_translated_in_part(data: st.DataObject) -> None:
    """If any word of a message is replaced by an unknown word, the whole text stays English."""
    message = data.draw(st.sampled_from(sorted(one for one in catalogue("es") if " " in one)))
    text = re.sub(r"%\(\w+\)s|\{\w+\}", "7", message).replace("%%", "%")
    pieces = language._SENTENCE.split(text)
    words = data.draw(st.sampled_from(pieces)).split(" ")
    place = data.draw(st.integers(0, len(words) - 1))
    words[place] = "Vrolsk" if words[place][:1].isupper() else "vrolsk"
    broken = " ".join(words)
    with using(SPANISH):
        told = said(broken)
    assert told == broken or any(re.fullmatch(one, broken, re.DOTALL) for one in _with_names())


@cache
def _with_names() -> tuple[str, ...]:
    """Return a pattern of each message that holds what a log says: any text in these places."""
    every = (re.escape(one).replace("%%", "%") for one in catalogue("es") if "{name" in one)
    numbered = (re.sub(r"\\\{(?!name)\w+\\\}", "7", one) for one in every)
    return tuple(re.sub(r"\\\{name\w*\\\}", ".*", one) for one in numbered)


@pytest.mark.parametrize(
    ("measured", "told"),
    [
        ("0.60%, 0.50% to 0.70%", "0,60 %, 0,50 % a 0,70 %"),
        (
            "+5.0% to $1,001.00 a month, noise ±1.5%",
            "+5,0 %, hasta 1.001,00 US$ al mes; ruido: ±1,5 %",
        ),
        ("$1.00 a month, at least $0.50 a month", "1,00 US$ al mes, al menos 0,50 US$ al mes"),
    ],
)
def test_what_a_gate_measured_follows_the_locale(measured: str, told: str) -> None:
    with using(SPANISH):
        assert said(measured).replace("\xa0", " ") == told


def test_names_of_a_log_are_left_as_they_are() -> None:
    with using(SPANISH):
        told = said("Calls of Chat bot, output and 2 more, named by you. At batch rates, without "
                    "reads from the prompt cache.")  # fmt: skip
    assert told.startswith("Llamadas de Chat bot, output y 2 más, indicadas por usted.")


def test_where_amounts_are_those_of_the_log_a_message_has_its_own_words() -> None:
    assert of_the_log("Saved a month") == "Saved in this log"
    assert of_the_log("Each counts in a month of 30 days") == "Each counts in a month of 30 days"
    assert of_the_log("At this traffic no step pays within {months} months") == (
        "At this traffic no step pays within {months} months"
    )
    with using(SPANISH), standing_for("log"):
        assert tr("Saved a month") == "Ahorro en este registro"
    with using(SPANISH), standing_for("month"):
        assert tr("Saved a month") == "Ahorro al mes"


def test_a_number_in_a_table_is_written_once() -> None:
    """660,000 requests and $22,660 of the sample; localised numbers aren't localised again."""
    with using(SPANISH):
        table = next(one for one in spend_tables(AUDIT.spend) if "endpoint" in one.columns)
        text = render_tables([table], "terminal", lead=spend_line(AUDIT.spend)).decode()
    assert f" {format_decimal(660_000, locale='es')} " in text
    assert " 22.660\xa0US$ " in text and " 36,4\xa0% " in text
    text = text.replace("\xa0", " ")
    assert text.startswith("Al menos 41.200 US$ por 1.200.000 peticiones, el 30,6 % según")


def _tables(audit: Audit) -> list[Table]:
    found = [*spend_tables(audit.spend), claims_table(audit.claims)]
    if audit.prefix:
        found += prefix_tables(audit.prefix)
    if audit.semantic:
        found += [*sweep_tables(audit.semantic), *cluster_tables(audit.semantic)]
    if audit.replay:
        found += replay_tables(audit.replay)
    return [*found, *lever_tables(audit.levers, audit.worth_testing)]


@pytest.mark.parametrize("audit", [AUDIT, NO_PROMPTS])
def test_tables_in_spanish_fit_the_terminal(audit: Audit) -> None:
    with using(SPANISH):
        text = render_tables(_tables(audit), "terminal", screen=Screen(80)).decode()
    assert max(map(cell_len, text.splitlines())) <= 80


def test_thousands_of_millions_are_no_billions_in_spanish() -> None:
    with using(SPANISH):
        assert numbers.tokens(10_800_000_000) == "10.800,0M"
    assert numbers.tokens(10_800_000_000) == "10.8B"


def test_numbers_follow_the_locale() -> None:
    """Babel is the oracle; small amounts of money keep the same digits in every locale."""
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


def test_ranks_follow_the_locale_and_names_from_a_log_do_not() -> None:
    rows = (replace(AUDIT.spend.by["model"][0], group="237–1,182"),)
    spend = replace(AUDIT.spend, by={"user_rank": rows, "model": rows})
    with using(SPANISH):
        page = HtmlReporter().render(replace(AUDIT, spend=spend)).decode()
        cells = {
            table.columns[0]: table.rows[0][0]
            for table in reversed(spend_tables(spend))  # reversed: the first table by model wins
            if table.rows and table.columns[0] in ("user", "model")
        }
    assert cells == {"user": "237–1.182", "model": "237–1,182"}
    assert '<td class="text">237–1.182</td>' in page and '<td class="text">237–1,182</td>' in page


def test_numbers_that_templates_format_follow_the_locale() -> None:
    """Only the coordinates of drawings are exempt."""
    formatted = re.compile(r'"%[^"]*[fg]"\|format\((?P<what>.*?)\)+(?P<then>\|\w+)?')
    found = [
        (path.name, one["what"], one["then"])
        for path in sorted((PACKAGE / "report" / "templates").glob("*.j2"))
        for one in formatted.finditer(path.read_text("utf-8"))
        if "bar." not in one["what"]
    ]
    assert len(found) >= 6
    assert [one for one in found if one[2] != "|separated"] == []
