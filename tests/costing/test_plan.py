"""The plan: effort, payback and order."""

from dataclasses import replace
from decimal import Decimal

import pytest

from costaudit.contracts.ledger import Ledger, PlanStep
from costaudit.contracts.month import MonthFacts
from costaudit.costing.plans.effort import LEVERS, default_effort, parse_effort
from costaudit.costing.plans.plan import plan
from costaudit.costing.plans.worth import Terms, Worth, present_value
from costaudit.errors import UsageError
from tests.costing.nouns import LOG, MONTH, ledger, money, step


def plan_of(book: Ledger, terms: Terms, month: MonthFacts = MONTH) -> tuple[PlanStep, ...]:
    judged = [Worth(terms, month).judged(one) for one in book.steps]
    left = tuple(Worth(terms, month).judged(one) for one in book.left_out)
    whole = replace(book, steps=tuple(judged), left_out=left)
    return plan(whole, {"semantic": "Do this."}, terms, month)


def test_the_plan_is_the_ledger_behind_its_measurement() -> None:
    book = ledger(
        "10000", step("semantic", "2500"), step("serialisation", "10"), step("tools", "90"),
        left_out=(step("duplicates", "-5", running_cost=money("9")),),
    )  # fmt: skip
    first, second, third, fourth, last = plan_of(book, Terms())
    assert (first.lever, first.number, first.saved.usd) == ("monitoring", 1, Decimal(0))
    # 100 h at 62.50: 6,250, paid back in 2.5 months; 8 h at 90 a month: 500 in 5.6 months.
    assert (second.lever, second.effort_usd, second.payback_months) == (
        "semantic", Decimal("6250"), Decimal("2.5"),
    )  # fmt: skip
    assert (third.lever, third.payback_months, third.worth) == ("tools", Decimal("5.6"), True)
    # 4 h for 10 a month: 250 in 25 months, so not in 12.
    assert (fourth.lever, fourth.payback_months, fourth.worth) == (
        "serialisation", Decimal("25"), False,
    )  # fmt: skip
    assert (last.lever, last.payback_months, last.worth, last.number) == (
        "duplicates", None, False, 5,
    )  # fmt: skip
    assert second.change == "Do this." and "80–120 h" in second.effort_source


def test_the_net_present_value_by_hand() -> None:
    # 10 % a year is 0.797414 % a month: (1 - 1 / 1.1) / 0.00797414 = 11.4005.
    assert present_value(12, Decimal(1), Decimal(1)).quantize(Decimal("0.001")) == Decimal("11.400")
    (_, only) = plan_of(ledger("100", step("tools", "90")), Terms())
    # 90 x 11.4005 - 500 = 526.04; a return of 1.05 on 500.
    assert (only.npv_usd, only.roi) == (Decimal("526.04"), Decimal("1.05"))


def test_what_does_not_pay_says_from_which_traffic_it_would() -> None:
    # 10 a month from 12,000 requests are worth 114.00 in a year, the work costs 250:
    # 250 / 114.00 x 12,000 = 26,316 requests.
    (_, only) = plan_of(ledger("100", step("serialisation", "10")), Terms())
    assert only.worth_from_requests == pytest.approx(26_316, abs=2)
    # With machines for 9 that save 4 before them: (1,000 + 9 x 11.40) / (4 x 11.40) x 12,000.
    costly = step("duplicates", "-5", running_cost=money("9"))
    (_, only) = plan_of(ledger("100", left_out=(costly,)), Terms())
    assert only.worth_from_requests == pytest.approx(290_160, rel=1e-3)


def test_a_longer_horizon_makes_more_worth_it() -> None:
    book = ledger("100", step("serialisation", "10"))
    worth = [plan_of(book, Terms(horizon_months=months))[1].worth for months in (12, 24, 36)]
    assert worth == [False, False, True]  # 250 of work against 114, 217.8 and 312.2


def test_without_a_month_nothing_pays_back() -> None:
    (_, only) = plan_of(ledger("20", step("duplicates", "8")), Terms(), LOG)
    assert (only.payback_months, only.npv_usd, only.worth) == (None, None, None)


def test_the_steps_of_the_plan_save_what_the_ledger_saves() -> None:
    book = ledger("100", step("semantic", "20"), step("batch", "5"))
    saved = sum(one.saved.usd for one in plan_of(book, Terms()))
    assert saved == book.before.usd - book.after.usd


def test_the_readers_effort_wins() -> None:
    terms = Terms(efforts={"semantic": parse_effort("50")})
    (_, only) = plan_of(ledger("100", step("semantic", "20")), terms)
    assert (only.effort_usd, only.effort_hours, only.payback_months) == (
        Decimal("50"), Decimal("0.8"), Decimal("2.5"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("terms", "word"), [(Terms(order="fastest"), "fastest"), (Terms(horizon_months=0), "horizon")]
)
def test_terms_that_make_no_sense_are_refused(terms: Terms, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        terms.check(LEVERS)


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
    costly = step("semantic", "20", running_cost=money("5"))
    book = ledger("100", costly, step("batch", "5"))
    month = replace(MONTH, requests=1_000)
    found = {one.lever: one.break_even_requests for one in plan_of(book, Terms(), month)}
    # 1,000 requests a month save 25 before running costs of 5: 0.025 each, so 200 break even.
    assert found == {"monitoring": None, "semantic": 200, "batch": None}
