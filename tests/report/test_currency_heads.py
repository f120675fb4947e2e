"""Heads of tables name the currency in which their amounts are written."""

from dataclasses import replace
from decimal import Decimal

import pytest

from costaudit.contracts.spend import InvoiceRow, Reconciliation
from costaudit.report.html import HtmlReporter
from costaudit.report.language import Style, using
from costaudit.report.markdown import MarkdownReporter
from costaudit.report.tables.spend import spend_tables
from costaudit.report.tables.table import Table, render_tables
from tests.report.sample_audit import AUDIT

D = Decimal
EUROS = Style("en", "EUR", D("0.92"))
ROW = InvoiceRow("openai", "gpt-4o", "", "both", D("6.5"), D("5.5"), D("1"))
FOUND = Reconciliation(
    ("bill.json",), (ROW,), (replace(ROW, day="2026-10-05"),), D("6.5"), D("5.5"),
    days_of_both=1, gap_share=1 / 6.5,
)  # fmt: skip
BILLED = replace(AUDIT, spend=replace(AUDIT.spend, invoice=FOUND))


@pytest.mark.parametrize("form", ["terminal", "md", "csv"])
def test_no_table_of_spend_says_usd_over_euros(form: str) -> None:
    tables = spend_tables(BILLED.spend)
    assert "USD" in render_tables(tables, form).decode()
    with using(EUROS):
        text = render_tables(spend_tables(BILLED.spend), form).decode()
    assert "USD" not in text
    assert "Prices, EUR per million tokens" in text and "counted EUR" in text


def test_the_invoice_in_the_page_and_the_comment_is_headed_by_the_currency() -> None:
    with using(EUROS):
        page = HtmlReporter().render(BILLED).decode().partition('id="costaudit-data"')[0]
        comment = MarkdownReporter().render(BILLED).decode()
    for text in (page, comment):
        assert "billed EUR" in text and "billed USD" not in text


def test_the_rate_of_an_invoice_stays_in_dollars() -> None:
    spend = replace(AUDIT.spend, invoice=replace(FOUND, rates={"GBP": D("1.27")}))
    with using(EUROS):
        text = render_tables(spend_tables(spend), "terminal").decode()
    assert "Amounts in GBP are converted at 1.27 USD." in text


def test_a_name_that_holds_the_letters_is_left() -> None:
    table = Table("Spend", ("USDT", "cost, USD"), (("a", "€1"),))
    with using(EUROS):
        head = render_tables((table,), "csv").decode().splitlines()[0]
    assert head == 'table,USDT,"cost, EUR"'
