"""Tables of spend."""

import csv
from dataclasses import replace
from decimal import Decimal

from costaudit.contracts.spend import Spend
from costaudit.report.tables.spend import spend_line, spend_tables
from costaudit.report.tables.table import Table, render_tables
from tests.report.hostile_audit import hostile_audit
from tests.report.sample_spend import SPEND


def table(spend: Spend, title: str) -> Table:
    return next(one for one in spend_tables(spend) if one.title.startswith(title))


def test_token_classes_add_up_to_the_total() -> None:
    rows = {row[0]: row[1:] for row in table(SPEND, "Spend by token class").rows}
    # claude 18,000 + gpt-4o 8,000 + mini 240 of 41,200.20; reads 1,200 + 2,000 + 60;
    # writes 1,500; output 7,500 + 2,600 + 100.20.
    assert rows["uncached input"][1:] == ("$26,240", "63.7%")
    assert rows["cache reads"][1:] == ("$3,260", "7.9%")
    assert rows["cache writes"] == ("400.0M", "$1,500", "3.6%")
    assert rows["output"][1:] == ("$10,200", "24.8%")


def test_a_logged_cost_that_differs_from_list_prices_is_said() -> None:
    total = replace(SPEND.total, total_usd=Decimal("40000"))
    assert table(replace(SPEND, total=total), "Spend by token").note == (
        "At list prices: $41,200; the log's own costs make it $40,000."
    )
    assert table(SPEND, "Spend by token").note == ""


def test_contexts_that_grow_are_shown_by_whole_days() -> None:
    # Days 2 to 29 are whole; a third of them is 9: June 2 to 10 against June 21 to 29. Tokens per
    # request are the same on each day of the sample, because both are scaled alike.
    (first, last) = table(SPEND, "Context inflation").rows
    assert (first[0], last[0]) == ("2026-06-02 to 2026-06-10", "2026-06-21 to 2026-06-29")
    days = tuple(
        replace(row, cost=replace(row.cost, input_uncached_tokens=1_000 + 10 * day,
                                  cache_read_tokens=0, cache_write_5m_tokens=0, requests=10))
        for day, row in enumerate(SPEND.by["day"], 1)
    )  # fmt: skip
    grown = table(replace(SPEND, by={"day": days}), "Context inflation")
    # Days 2 to 10 send 1,020 to 1,100 tokens in 10 requests: 106 each; days 21 to 29: 125.
    assert [row[1:] for row in grown.rows] == [("106", ""), ("125", "+17.9%")]
    assert table(replace(SPEND, by={"day": days[:5]}), "Context inflation").rows == ()


def test_prices_stand_with_their_dates_source_and_ratio() -> None:
    columns = table(SPEND, "Prices").columns
    for row, price in zip(table(SPEND, "Prices").rows, SPEND.prices, strict=True):
        told = dict(zip(columns, row, strict=True))
        assert (told["used from"], told["to"]) == (price.since, price.until)
        assert told["source"] == price.source
        ratio = price.logged_to_recomputed
        assert told["logged/list"] == ("" if ratio is None else f"{ratio:.3f}")


def test_what_has_no_price_is_named() -> None:
    spend = replace(SPEND, unpriced_requests=7, unpriced_share=0.02, unpriced_models=("", "x"))
    assert table(spend, "Without a price").rows == (("(no model), x", "7", "2.0%"),)
    assert table(replace(SPEND, unpriced_requests=0), "Without a price").rows == ()


def test_more_groups_than_shown_are_said() -> None:
    many = tuple(replace(SPEND.by["tenant"][0], group=f"t{n}") for n in range(21))
    found = table(replace(SPEND, by={**SPEND.by, "tenant": many}), "Spend by tenant")
    assert found.title == "Spend by tenant (the dearest 20 of 21)"
    assert len(found.rows) == 20


def test_the_line_says_total_source_invoice_and_gateway() -> None:
    spend = replace(SPEND, gateway_hits=9, invoice_usd=Decimal("50000"), invoice_gap_share=0.175996)
    # 12,600 of 41,200.20 is from logged costs; (50,000 - 41,200.20) / 50,000 = 17.6 %.
    assert spend_line(spend) == (
        "At least $41,200 for 1,200,000 requests, 30.6% of it by the costs in the log; 17.6% "
        "below the invoice of $50,000. A gateway's cache served 9 more at no cost. 1,130 requests "
        "with 0.20% of the tokens are not fully priced."
    )


def test_hostile_names_stay_in_their_cells() -> None:
    spend = hostile_audit().spend
    text = render_tables(spend_tables(spend), "terminal", spend, spend_line(spend)).decode()
    assert "\x1b" not in text and "\u202e" not in text
    sheet = render_tables(spend_tables(spend), "csv", spend).decode()
    cells = [cell for row in csv.reader(sheet.splitlines()) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "@"))]


def test_very_long_names_are_broken_into_lines_of_the_columns_width() -> None:
    for letter in ("z", "\u6771", "e\u0301"):  # one column wide, two, and one of two characters
        name = letter * 100_000
        table = Table("Names", ("name", "calls"), ((name, "1"), ("b", "2")))
        text = render_tables([table], "terminal").decode()
        assert text.count(letter) == 100_000 and "b" in text
        widest = 44 * len(letter) + len("  calls")
        assert max(len(line) for line in text.splitlines()) <= widest
