"""The waterfall of a month, checked by hand: running costs, ranges, and caches that fill."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from costaudit.contracts.grades import Money
from costaudit.contracts.month import MONTH_DAYS
from costaudit.costing.plans.worth import Terms
from tests.costing.ledgers import CALL, book, lever, step
from tests.costing.logs import NOON, log

DAYS = range(14)  # least days for a reliable month
BATCH = {"unit": "a", "is_batch": True}  # half of the price


def at(day: int, hour: int = 0) -> datetime:
    return NOON + timedelta(days=day, hours=hour)


def near(usd: Decimal | None) -> object:
    assert usd is not None
    return pytest.approx(float(usd), rel=1e-6)


def ends(money: Money) -> tuple[float, float]:
    assert money.low_usd is not None and money.high_usd is not None
    return float(money.low_usd), float(money.high_usd)


def scaled(money: Money, by: float) -> object:
    return pytest.approx([by * end for end in ends(money)], rel=1e-4)


def test_two_caches_share_the_larger_store_and_each_pays_its_embeddings() -> None:
    # Stores of 5 and 8 and 1 for embeddings. Alone: 5 and 9. Both: 8 + 1, so 4 more than the first.
    rows = [{**CALL, "ts": at(day, hour)} for day in DAYS for hour in range(4)]
    first = [False, True, False, False] * len(DAYS)
    second = [False, True, True, False] * len(DAYS)
    ledger = book(
        log(*rows),
        step("duplicates", first, store_usd=Decimal(5)),
        step("semantic", second, store_usd=Decimal(8), embed_usd=Decimal(1)),
        lever("batch", *[BATCH] * len(rows)),
        terms=Terms(order="duplicates,semantic"),
    )
    quarter = ledger.before.usd / 4
    exact, similar, batch = ledger.steps
    assert [one.running_cost.usd for one in ledger.steps] == [5, 4, 0]
    assert [one.running_cost.grade for one in ledger.steps] == ["assumed", "assumed", "assumed"]
    assert float(exact.saved.usd) == near(quarter - 5)
    assert float(similar.saved.usd) == near(quarter - 4)
    assert [float(one.alone.usd) for one in (exact, similar)] == [
        near(quarter - 5), near(2 * quarter - 9),
    ]  # fmt: skip
    assert float(batch.saved.usd) == near(quarter)  # half of the remaining two quarters


def test_what_a_lever_costs_to_run_grows_with_the_traffic_of_a_month() -> None:
    # 14 days cost 28.00, and running the lever 1.50; a month scales both equally.
    rows = [{**CALL, "ts": at(day)} for day in DAYS]
    shorter = replace(lever("batch", *[BATCH] * 14), grade="estimated")
    free = book(log(*rows), shorter).steps[0]
    assert free.running_cost.usd == 0 and free.running_cost.grade == "estimated"
    ledger = book(log(*rows), replace(shorter, running_usd={"a": Decimal("1.5")}))
    month = ledger.before.usd / 28
    (one,) = ledger.steps
    assert month > 2 and float(one.running_cost.usd) == near(month * Decimal("1.5"))
    assert float(one.saved.usd) == near(month * Decimal("12.5"))


def test_the_range_of_what_is_left_is_the_range_of_the_days_that_are_left() -> None:
    # Each day has two equal calls, whose cost differs by day. One of the two is a hit, so the
    # saving and the rest are each half of the total, and so are their ranges.
    rows = [
        {**CALL, "output_tokens": 100_000 * (1 + day % 3), "ts": at(day)}
        for day in DAYS
        for _ in range(2)
    ]
    ledger = book(log(*rows), step("duplicates", [False, True] * 14))
    low, high = ends(ledger.before)
    assert low < 0.9 * float(ledger.before.usd) and high > 1.1 * float(ledger.before.usd)
    for half in (ledger.saving, ledger.after, ledger.after_firm, ledger.steps[0].alone):
        assert float(half.usd) == near(ledger.before.usd / 2)
        assert ends(half) == scaled(ledger.before, 0.5)


def test_wrong_hits_make_the_range_smaller_as_they_do_the_saving() -> None:
    rows = [{**CALL, "ts": at(day)} for day in DAYS]
    right, mixed = (
        book(log(*rows), step("semantic", [day % 2 == 1 for day in DAYS], right_part=part)).steps[0]
        for part in (1.0, 0.75)
    )
    assert ends(mixed.saved) == scaled(right.saved, 0.75)
    assert ends(mixed.alone) == scaled(right.alone, 0.75)
    halved = book(log(*rows), lever("batch", *[BATCH] * 14))  # no cache, so no wrong hits
    assert ends(halved.steps[0].saved) == scaled(halved.before, 0.5)


def test_a_month_in_which_nothing_can_be_saved_stays_as_it_is() -> None:
    ledger = book(log(*({**CALL, "ts": at(day)} for day in DAYS)))
    assert ledger.saving.usd == ledger.overlap.usd == 0 and ends(ledger.saving) == (0, 0)
    assert ledger.after.usd == ledger.before.usd and ends(ledger.after) == ends(ledger.before)
    assert all(isinstance(one.usd, Decimal) for one in (ledger.saving, ledger.overlap))


def test_a_ledger_says_what_it_covers_and_how_it_was_ordered() -> None:
    rows = [{**CALL, "ts": at(day, hour)} for day in range(21) for hour in range(-12, 12)]
    terms = Terms(horizon_months=7, order="payback")
    ledger = book(log(*rows), step("duplicates", [True, False] * (len(rows) // 2)), terms=terms)
    assert (ledger.month_days, ledger.horizon_months, ledger.order) == (MONTH_DAYS, 7, "payback")
    assert ledger.covered_days == pytest.approx(21)
    assert ledger.overlap.grade == "estimated"  # as all amounts of a month


def test_spend_that_no_rate_explains_stays_in_a_month_too() -> None:
    # 2.00 a day by a rate, and 3.00 that only the log knows: without the calls, 3 of 5 remain.
    odd = {"model": "gpt-nobody-knows", "logged_cost": "3", "output_tokens": None}
    rows = [{**each, "ts": at(day)} for day in DAYS for each in (CALL, odd)]
    ledger = book(log(*rows), step("duplicates", [True] * 28))
    assert float(ledger.after.usd) == near(ledger.before.usd * 3 / 5)


def test_three_weeks_tell_a_first_month_whose_last_days_are_as_the_second_half() -> None:
    # Ten calls a day at 0.02 cents. From the eleventh day on, half of them are hits; the store
    # costs a thousandth. Of the 30.44 days, 21 are in the log; the others are like its second half.
    small = {"input_uncached_tokens": 40, "output_tokens": 10}
    days = [(day, call) for day in range(21) for call in range(10)]
    rows = [{**small, "ts": at(day)} for day, _ in days]
    hits = [day >= 10 and call % 2 == 0 for day, call in days]
    ledger = book(log(*rows), step("semantic", hits, store_usd=Decimal("0.001")))
    (one,) = ledger.steps
    assert one.first_month is not None and one.steady_month is not None
    whole, covered = float(ledger.before.usd), 21 / MONTH_DAYS
    share = (float(one.saved.usd) + 0.001) / whole  # of all of the log's days
    first = covered * share + (1 - covered) * 0.5
    assert float(one.steady_month.usd) == pytest.approx(0.5 * whole - 0.001, rel=1e-3)
    assert float(one.first_month.usd) == pytest.approx(first * whole - 0.001, rel=1e-3)
    assert one.first_month.grade == one.saved.grade


def test_only_a_response_cache_fills_and_only_where_a_second_half_is_known() -> None:
    rows = [{**CALL, "ts": at(day)} for day in range(21)]
    batch = lever("batch", *[BATCH] * 21)
    assert book(log(*rows), batch).steps[0].first_month is None
    week = [{**CALL, "ts": at(day)} for day in range(7)]
    assert book(log(*week), step("semantic", [True] * 7)).steps[0].first_month is None
    # In the second half nothing has a price, so the saving of a full cache is unknown.
    free = [{**row, "model": "gpt-nobody-knows"} if i > 9 else row for i, row in enumerate(rows)]
    hits = [day < 5 for day in range(21)]
    assert book(log(*free), step("semantic", hits)).steps[0].first_month is None
