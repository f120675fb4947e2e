"""The plan: effort, payback, order."""

from decimal import Decimal

import pytest

from costaudit.costing.plan import default_effort, parse_effort, plan
from costaudit.errors import UsageError
from tests.costing.nouns import ledger, money, step


def test_steps_come_in_the_order_of_their_payback() -> None:
    book = ledger(
        "10000",
        step("duplicates", "-5"),
        step("semantic", "2500"),
        step("prompt_caching", "2500"),
        step("serialisation", "10"),
    )
    first, second, third = plan(book, {"semantic": "Do this."}, {})
    # 50 h and 100 h at 62.50: 3,125 and 6,250; 4 h for 10 a month: 250 / 10.
    assert (first.lever, first.effort_usd, first.payback_months) == (
        "prompt_caching", Decimal("3125"), Decimal("1.2"),
    )  # fmt: skip
    assert (second.lever, second.payback_months) == ("semantic", Decimal("2.5"))
    assert (third.lever, third.payback_months, third.number) == ("serialisation", Decimal("25"), 3)
    assert second.change == "Do this." and first.change
    assert "80–120 h" in second.effort_source and "costaudit" in third.effort_source


def test_the_steps_of_the_plan_save_what_the_ledger_saves() -> None:
    book = ledger("100", step("semantic", "20"), step("batch", "5"))
    assert sum(one.saved.usd for one in plan(book, {}, {})) == book.before.usd - book.after.usd


def test_the_readers_effort_wins() -> None:
    book = ledger("100", step("semantic", "20"))
    (only,) = plan(book, {}, {"semantic": parse_effort("50")})
    assert (only.effort_usd, only.effort_hours, only.payback_months) == (
        Decimal("50"), Decimal("0.8"), Decimal("2.5"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "usd"), [("4000", "4000"), ("$4000", "4000"), ("40h", "2500"), ("0", "0")]
)
def test_an_effort_is_dollars_or_hours(text: str, usd: str) -> None:
    assert parse_effort(text).usd == Decimal(usd)


@pytest.mark.parametrize("text", ["", "h", "-1", "many", "nan", "inf h"])
def test_an_effort_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="effort"):
        parse_effort(text)


def test_every_lever_has_an_effort() -> None:
    assert default_effort("prompt_caching").hours == 50
    assert default_effort("something-new").hours > 0


def test_a_running_cost_has_a_volume_that_pays_for_it() -> None:
    costly = step("semantic", "20", requests_before=500, running_cost=money("5"))
    book = ledger("100", costly, step("batch", "5"), covered_days=15.0)
    found = {one.lever: one.break_even_requests for one in plan(book, {}, {})}
    # 1,000 requests a month save 25 before the 5 that it costs to run: 0.025 each, so 200 pay.
    assert found == {"semantic": 200, "batch": None}
