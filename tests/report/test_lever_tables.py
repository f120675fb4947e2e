"""Tables of the levers."""

from decimal import Decimal

from costaudit.contracts.ledger import LeverCall, LeverRow, LeverUnit
from costaudit.report.language import Style, using
from costaudit.report.tables.levers import lever_page, lever_tables
from costaudit.report.tables.table import render_tables
from tests.report.hostile_audit import ATTACKS
from tests.report.sample_cost import money

UNITS = (
    LeverUnit("/v1/chat | gpt-4o-2024-08-06", 90, money("12", "measured"), money("9", "assumed")),
    LeverUnit(" | gpt-4o", 10, money("2", "measured"), money("1", "assumed")),
)
ROW = LeverRow("routing", "Smaller model", "Short ones.", "Try it.", 100,
               money("10", "assumed"), money("4", "assumed"), UNITS)  # fmt: skip


def test_side_by_side_then_one_by_one() -> None:
    first, second = lever_tables([ROW])
    assert first.rows == (("Smaller model", "100", "$10.00", "$4.00", "assumed"),)
    assert second.rows == (
        ("/v1/chat", "gpt-4o-2024-08-06", "90", "$12.00", "$9.00"),
        ("not logged", "gpt-4o", "10", "$2.00", "$1.00"),
    )
    assert second.note == "Short ones. Try it."


def test_the_dearest_calls_are_in_the_currency_of_their_heads() -> None:
    call = LeverCall("r1", "", "/v1/chat", 10, 2, Decimal("0.50"), Decimal("0.25"))
    row = LeverRow(**{**vars(ROW), "calls": (call,)})
    with using(Style("en", "EUR", Decimal("0.5"))):
        text = render_tables(lever_page(row)[-1:], "csv").decode()
    head, told = text.splitlines()
    assert head.endswith("billed EUR,saved EUR") and told.endswith("0.250,0.125")


def test_more_units_than_shown_are_said() -> None:
    many = LeverRow(**{**vars(ROW), "units": UNITS * 11})
    table = lever_tables([many])[1]
    assert table.title == "Smaller model (the first 20 of 22)" and len(table.rows) == 20


def test_hostile_endpoints_stay_in_their_cells() -> None:
    units = tuple(LeverUnit(text, 1, money("1"), money("1")) for text in ATTACKS)
    row = LeverRow(**{**vars(ROW), "units": units})
    for form in ("terminal", "md"):
        text = render_tables(lever_tables([row]), form, [row]).decode()
        assert "\x1b" not in text and "\u202e" not in text
        assert form == "terminal" or "<script" not in text
