"""An invoice compared with the log: terminal tables, Markdown, HTML and Spanish."""

import json
from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from costaudit.contracts.spend import BilledTokens, InvoiceRow, Reconciliation
from costaudit.report.html import HtmlReporter
from costaudit.report.language import Style, using
from costaudit.report.markdown import MarkdownReporter
from costaudit.report.tables.invoice import invoice_line, invoice_tables
from costaudit.report.tables.table import render_tables
from tests.report.sample_audit import AUDIT

D = Decimal
ROW = InvoiceRow("openai", "gpt-4o", "", "both", D("6.5"), D("5.5"), D("1"))
DAYS = (
    replace(ROW, day="2026-10-05"),
    InvoiceRow("openai", "gpt-4o", "2026-10-04", "invoice only", billed_usd=D(9)),
    InvoiceRow("openai", "<b>x</b>", "2026-10-06", "log only", counted_usd=D("0.25")),
)
FOUND = Reconciliation(
    ("bill.json",), (ROW,), DAYS, D("6.5"), D("5.5"), credits_usd=D(-5), days_of_both=1,
    only_invoice=("2026-10-04",), only_log=("2026-10-06",), gap_share=1 / 6.5,
)  # fmt: skip
BILLED = replace(AUDIT, spend=replace(AUDIT.spend, invoice=FOUND))


def test_tables_show_billed_counted_and_difference() -> None:
    written = render_tables(invoice_tables(FOUND), "terminal").decode()
    assert "$6.50        $5.50       $1.00  15.4%" in written
    assert "Days that both cover: 1." in written
    assert "Credits of −$5.00 are in no row." in written
    assert "tokens" not in written  # empty columns are left out


@pytest.mark.parametrize(
    ("counted", "gap", "told"),
    [
        ("5.5", 1 / 6.5, "15.4% less than it bills"),
        ("8", -1.5 / 6.5, "23.1% more than it bills"),
        ("6.5", 0.0, "they agree"),
    ],
)
def test_the_line_names_the_part_that_the_invoice_covers(
    counted: str, gap: float, told: str
) -> None:
    found = replace(FOUND, counted_usd=D(counted), gap_share=gap)
    part = f"${D(counted):.2f}"
    assert invoice_line(found) == f"; the invoice of $6.50 over 1 day covers {part} of it: {told}"


def test_the_days_that_differ_most_come_first_and_those_of_one_side_last() -> None:
    even = [
        replace(ROW, day=f"2026-10-{n:02}", counted_usd=D(6), difference_usd=D("0.5"))
        for n in range(1, 25)
    ]
    spike = replace(ROW, day="2026-10-25", billed_usd=D(1), difference_usd=D("-4.5"))
    alone = InvoiceRow("openai", "gpt-4o", "2026-10-26", "log only", counted_usd=D(900))
    (_, days) = invoice_tables(replace(FOUND, days=(alone, *even, spike)))
    assert [row[0] for row in days.rows] == ["2026-10-25", *(row.day for row in even[:19])]


def test_a_report_of_tokens_has_no_column_of_dollars() -> None:
    row = replace(
        ROW, billed_usd=None, difference_usd=None,
        billed_tokens=BilledTokens(1_000), counted_tokens=BilledTokens(900),
    )  # fmt: skip
    found = replace(FOUND, rows=(row,), days=(replace(row, day="2026-10-05"),), billed_usd=None)
    (table, _) = invoice_tables(found)
    assert table.columns == (
        "provider", "model", "counted USD", "gap", "billed tokens", "counted tokens",
    )  # fmt: skip
    assert table.rows == (("openai", "gpt-4o", "$5.50", "10.0%", "1,000", "900"),)


@pytest.mark.parametrize("language", ["en", "es"])
def test_markdown_and_html_hold_the_tables(language: str) -> None:
    title = "Invoice and log, by model" if language == "en" else "Factura y registro, por modelo"
    with using(Style(language)):  # type: ignore[arg-type]
        comment = MarkdownReporter().render(BILLED).decode()
        page = HtmlReporter().render(BILLED).decode()
    for text in (comment, page):
        assert title in text
        assert "<b>x</b>" not in text  # a model's name can't add markup
    assert "2026-10-04" in comment and "2026-10-04" in page
    wrong = "Days that both cover" if language == "es" else "Días que ambos cubren"
    assert wrong not in comment


def test_json_holds_every_figure() -> None:
    told = json.loads(msgspec.json.encode(BILLED.spend))["invoice"]
    assert (told["billed_usd"], told["counted_usd"], told["credits_usd"]) == ("6.5", "5.5", "-5")
    assert [row["covered"] for row in told["days"]] == ["both", "invoice only", "log only"]
