"""The waterfall adds up, however the levers interact."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.ledger import Ledger
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.costing.ledger import Simulate, Step
from costaudit.costing.plans.worth import Terms
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.tariff import Tariff, tariff
from tests.costing.ledgers import CALL, EFFECT_ROW, ROW, book, lever, step
from tests.costing.logs import NOON, log


def saved(ledger: Ledger) -> list[str]:
    """Return what each step saves; ["0"] for a ledger without steps."""
    return [str(one.saved.usd.normalize()) for one in ledger.steps] or ["0"]


def half_read(requests: pl.DataFrame) -> Simulate:
    """Return a simulation in which the best case reads half of the input from the cache."""

    def classes(removed: np.ndarray, best: bool) -> pl.DataFrame:
        whole = requests.select(TOKEN_CLASSES)
        sent = pl.Series(~removed)
        half = (
            pl.when(sent).then(pl.col("input_uncached_tokens") // (2 if best else 1)).otherwise(0)
        )
        read = pl.when(sent).then(pl.col("input_uncached_tokens") // 2).otherwise(0)
        return whole.with_columns(
            input_uncached_tokens=half,
            cache_read_tokens=read if best else pl.lit(0, pl.Int64),
            output_tokens=pl.when(sent).then("output_tokens").otherwise(0),
        )

    return classes


def test_a_waterfall_by_hand() -> None:
    requests = log(CALL, CALL, CALL, CALL)
    # 8.00 in the log. The second call is a duplicate of the first, the third is semantic, and the
    # cache for similar questions answers both. Prompt caching reads half of each input: 0.25 each.
    ledger = book(
        requests,
        step("duplicates", [False, True, False, False]),
        step("semantic", [False, True, True, False]),
        step("prompt_caching", None),
        simulate=half_read(requests),
        terms=Terms(order="duplicates,semantic,prompt_caching"),
    )
    assert saved(ledger) == ["2", "2", "0.5"]  # two calls are left: 2 x 0.25
    assert [str(one.alone.usd.normalize()) for one in ledger.steps] == ["2", "4", "1"]
    assert ledger.before.usd == 8 and ledger.after.usd == Decimal("3.5")
    # Both claim the second call, but one contains the other: 4 + 1 are promised, 4.50 are real.
    assert ledger.overlap.usd == Decimal("0.5")
    assert [(one.requests_before, one.requests_after) for one in ledger.steps] == [
        (4, 3), (3, 2), (2, 2),
    ]  # fmt: skip
    assert ledger.steps[-1].cost_after.total_usd == Decimal("3.5")
    assert (ledger.before.grade, ledger.after.grade) == ("measured", "simulated")


def test_the_largest_comes_first_and_what_it_contains_is_not_bought_again() -> None:
    requests = log(CALL, CALL, CALL, CALL)
    steps = (
        step("duplicates", [False, True, False, False]),
        step("semantic", [False, True, True, False]),
        step("prompt_caching", None),
    )
    ledger = book(requests, *steps, simulate=half_read(requests))
    assert [one.lever for one in ledger.steps] == ["semantic", "prompt_caching"]
    assert saved(ledger) == ["4", "0.5"] and ledger.left_out == ()
    other = book(
        requests, *steps, simulate=half_read(requests), terms=Terms(order="prompt_caching")
    )
    assert other.steps[0].lever == "prompt_caching"
    assert saved(other) == ["1", "3.5"]  # each call is cheaper by 0.25 when it is removed
    assert other.after.usd == ledger.after.usd


def test_prompt_caching_is_simulated_again_on_the_calls_that_are_left() -> None:
    # The third call reads half of its input, 200,000 x 1.25 = 0.25 less, only if the second one,
    # which writes what it reads, is sent. A duplicate's answer comes from the cache: nothing is
    # read then, and prompt caching saves nothing.
    requests = log(CALL, CALL, CALL)

    def warmed_by_the_second(removed: np.ndarray, best: bool) -> pl.DataFrame:
        read = np.array([0, 0, 200_000 if best and not removed[1] else 0])
        whole = requests.select(TOKEN_CLASSES)
        return whole.with_columns(
            input_uncached_tokens=pl.col("input_uncached_tokens") - pl.Series(read),
            cache_read_tokens=pl.Series(read),
        )

    steps = (step("duplicates", [False, True, False]), step("prompt_caching", None))
    order = Terms(order="duplicates,prompt_caching")
    ledger = book(requests, *steps, simulate=warmed_by_the_second, terms=order)
    assert saved(ledger)[0] == "2" and ledger.after.usd == 4
    assert sum(one.saved.usd for one in ledger.steps if one.lever == "prompt_caching") == 0
    alone = book(requests, steps[1], simulate=warmed_by_the_second)
    assert saved(alone) == ["0.25"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"unit": "a", "model": "gpt-4o-mini"}, "1.88"),  # 0.15 and 0.60: 0.06 + 0.06 = 0.12
        ({"unit": "a", "is_batch": True}, "1"),
        ({"unit": "a", "output_tokens": 40_000}, "0.6"),
        ({"unit": "a", "output_tokens": 200_000}, "0"),
        ({"unit": "a", "removed": True}, "2"),
        ({"unit": None, "removed": True}, "0"),
        ({"unit": "a", "model": "gpt-nobody-knows"}, "0"),  # an unknown price saves nothing
        ({"unit": "a", "model": "gpt-4"}, "0"),  # more expensive
    ],
)
def test_a_lever_saves_by_the_price_difference(rows: dict[str, Any], expected: str) -> None:
    assert saved(book(log(CALL), lever("x", rows))) == [expected]


def test_a_lever_says_how_many_requests_it_changed() -> None:
    requests = log(CALL, CALL, {**CALL, "served_by": "gateway_cache"})
    moved = {"unit": "a", "model": "gpt-4o-mini"}
    ledger = book(requests, lever("routing", moved, {}, moved))
    (one,) = ledger.steps
    assert one.note == "1 request. Because."
    assert one.requests_before == one.requests_after == one.cost_after.requests == 2
    both = book(log(CALL, CALL), lever("routing", moved, moved))
    assert both.steps[0].note == "2 requests. Because."


def test_a_change_that_saves_nothing_is_not_made() -> None:
    ledger = book(log({}), lever("waste", {"unit": "a", "removed": True}))
    assert ledger.steps == ledger.left_out == ()


def test_a_request_without_a_price_is_not_moved_to_one() -> None:
    requests = log({**CALL, "model": "gpt-nobody-knows"})
    ledger = book(requests, lever("routing", {"unit": "a", "model": "gpt-4o-mini"}))
    assert ledger.before.usd == ledger.after.usd == 0


def test_a_call_is_not_moved_to_a_model_without_a_price_where_another_saves() -> None:
    # One of a unit's two calls goes to gpt-4o-mini: 2.00 less 0.12. The other one doesn't change.
    known, unknown = ({"unit": "a", "model": name} for name in ("gpt-4o-mini", "gpt-nobody-knows"))
    ledger = book(log(CALL, CALL), lever("routing", known, unknown))
    assert saved(ledger) == ["1.88"] and ledger.after.usd == Decimal("2.12")


def test_a_cold_batch_loses_its_cache_reads() -> None:
    # Opus 5: a million reads cost 0.50; as uncached batch input 2.50, so the batch costs more.
    warm = {"provider": "anthropic", "model": "claude-opus-5", "cache_read_tokens": 1_000_000}
    assert saved(
        book(log(warm), lever("batch", {"unit": "a", "is_batch": True, "cold": True}))
    ) == ["0"]
    # With 100,000 output tokens (2.50, in batch 1.25) it still costs 0.75 more: 3.75 against 3.00.
    more = {**warm, "output_tokens": 100_000}
    rows = [{"unit": "a", "is_batch": True, "cold": True}] * 2
    assert saved(book(log(more, more), lever("batch", *rows))) == ["0"]
    # Together with an endpoint that reads nothing (5.00 against 2.50) the unit as a whole saves.
    cold = {**warm, "cache_read_tokens": 0, "input_uncached_tokens": 1_000_000}
    assert saved(book(log(more, cold), lever("batch", *rows))) == ["1.75"]
    apart = [rows[0], {**rows[0], "unit": "b"}]
    assert saved(book(log(more, cold), lever("batch", *apart))) == ["2.5"]
    # A call without a price makes the unit no cheaper.
    unpriced = book(log(more, {**more, "model": "unknown"}), lever("batch", *rows))
    assert unpriced.steps == unpriced.left_out == ()


def test_a_discount_in_the_log_carries_over_to_another_model() -> None:
    # Billed at 0.9 of the list: 1.80 now, and 0.9 x 0.12 with the smaller model.
    requests = log({**CALL, "logged_cost": "1.8"})
    assert saved(book(requests, lever("routing", {"unit": "a", "model": "gpt-4o-mini"}))) == [
        "1.692"
    ]


def test_spend_that_no_rate_explains_stays() -> None:
    odd = {"model": "gpt-nobody-knows", "logged_cost": "3", "output_tokens": None}
    ledger = book(log(CALL, odd), step("duplicates", [True, True]))
    assert ledger.before.usd == 5 and ledger.after.usd == 3


def test_a_range_is_carried_to_the_total() -> None:
    ledger = book(log(CALL, CALL), step("semantic", [False, True], saved_bounds=(0.9, 1.2)))
    money = ledger.steps[0].saved
    assert (money.low_usd, money.usd, money.high_usd) == (
        Decimal("1.8"),
        Decimal(2),
        Decimal("2.4"),
    )
    assert (ledger.after.low_usd, ledger.after.high_usd) == (Decimal("1.6"), Decimal("2.2"))
    assert (ledger.saving.low_usd, ledger.saving.high_usd) == (Decimal("1.8"), Decimal("2.4"))
    assert ledger.steps[0].alone == money
    more = book(log(CALL, CALL), step("semantic", [False, True], saved_bounds=(1.0, 1.2)))
    assert more.saving.low_usd == 2 and more.saving.high_usd == Decimal("2.4")
    sure = book(log(CALL, CALL), step("semantic", [False, True]))
    for known in (sure.saving, sure.after, sure.steps[0].alone):  # the log itself has no range
        assert (known.low_usd, known.high_usd) == (None, None)


def test_amounts_of_a_log_are_exact_below_a_millionth() -> None:
    # gpt-4o-mini at 0.15 per million: ten tokens cost 0.0000015. A quarter of the hits' money is
    # kept, so 0.000001125 is forfeited; rounded to millionths, 0.000001.
    tiny = {"model": "gpt-4o-mini", "input_uncached_tokens": 10}
    ledger = book(log(tiny), step("duplicates", [True], right_part=0.25))
    assert ledger.before.usd == Decimal("0.0000015")
    assert ledger.steps[0].alone.usd == ledger.steps[0].saved.usd == Decimal("0.0000005")


def test_a_cache_that_another_contains_is_not_bought_beside_it() -> None:
    # The exact cache would answer one call more, but the similar one is that cache, and more.
    ledger = book(
        log(CALL, CALL, CALL, CALL),
        step("duplicates", [False, True, False, False]),
        step("semantic", [False, False, True, True]),
    )
    assert [one.lever for one in ledger.steps] == ["semantic"] and ledger.left_out == ()


def test_a_step_keeps_its_name_and_its_place_in_the_report() -> None:
    (one,) = book(log(CALL), step("semantic", [True], label="Similar", section="sweep")).steps
    assert (one.lever, one.label, one.section) == ("semantic", "Similar", "sweep")


def test_a_gateways_hits_are_not_saved_again() -> None:
    ledger = book(
        log(CALL, {**CALL, "served_by": "gateway_cache"}), step("duplicates", [False, True])
    )
    assert ledger.before.usd == 2 and ledger.steps == () and ledger.left_out == ()


def test_a_cache_alone_is_worth_what_its_hits_were_billed() -> None:
    # The third call reads 200,000 tokens that the second one wrote. Without the second, which
    # cost 2.00, the third pays 0.25 more: the saving includes that, the lever alone doesn't.
    read = {"input_uncached_tokens": 200_000, "cache_read_tokens": 200_000}
    requests = log(CALL, CALL, {**CALL, **read})

    def simulated(removed: np.ndarray, best: bool) -> pl.DataFrame:
        kept = 0 if removed[1] else 200_000
        return requests.select(TOKEN_CLASSES).with_columns(
            input_uncached_tokens=pl.Series([400_000, 400_000, 400_000 - kept]),
            cache_read_tokens=pl.Series([0, 0, kept]),
        )

    ledger = book(requests, step("duplicates", [False, True, False]), simulate=simulated)
    assert saved(ledger) == ["1.75"] and ledger.steps[0].alone.usd == 2


def test_wrong_hits_save_nothing() -> None:
    # Two of four calls at 2.00 are hits; a quarter of their money is from wrong hits: 4 - 1 = 3.
    hits = step("semantic", [False, True, True, False], right_part=0.75)
    ledger = book(log(CALL, CALL, CALL, CALL), hits)
    assert saved(ledger) == ["3"] and ledger.steps[0].alone.usd == 3
    assert ledger.after.usd == 5


def test_the_wrong_hits_of_two_caches_are_those_of_the_one_that_has_more() -> None:
    # Alone, the exact cache forfeits half of 2.00, and the similar one a quarter of 4.00: 1.00
    # each. Together they answer two calls, 4.00, and forfeit 1.00, not 2.00.
    ledger = book(
        log(CALL, CALL, CALL, CALL),
        step("duplicates", [False, True, False, False], right_part=0.5),
        step("semantic", [False, True, True, False], right_part=0.75),
        terms=Terms(order="duplicates,semantic"),
    )
    assert saved(ledger) == ["1", "2"]
    assert [str(one.alone.usd.normalize()) for one in ledger.steps] == ["1", "3"]


def test_what_is_only_assumed_comes_last_whatever_it_saves() -> None:
    # Routing, which is assumed, would save 4 x 1.88; the cache leaves it three calls.
    moved = {"unit": "a", "model": "gpt-4o-mini"}
    cache = step("duplicates", [False, True, False, False])
    ledger = book(log(CALL, CALL, CALL, CALL), lever("routing", *[moved] * 4), cache)
    assert [one.lever for one in ledger.steps] == ["duplicates", "routing"]
    assert saved(ledger) == ["2", "5.64"]
    assert ledger.saving.usd == 2 and ledger.after_firm.usd == 6  # without the assumption


def test_levers_that_cost_more_than_they_save_are_left_out_firm_and_assumed_ones() -> None:
    # Each would save 1.00 of 2.00 and cost 1.50 to run.
    shorter = lever("output", {"unit": "a", "is_batch": True})
    dear = replace(shorter, running_usd={"a": Decimal("1.5")})
    firm = replace(dear, lever="batch", grade="estimated")
    ledger = book(log(CALL), dear, firm)
    assert ledger.steps == () and ledger.after.usd == 2
    assert [(one.lever, one.saved.usd) for one in ledger.left_out] == [
        ("batch", Decimal("-0.5")), ("output", Decimal("-0.5")),
    ]  # fmt: skip


def test_what_a_cache_saves_while_it_fills_and_once_it_has() -> None:
    # Six weeks with ten calls a day; in the second three weeks, half of the calls are hits. In the
    # first month, 30.44 days, 9 of the 30 whole days have hits: 0.15 of all calls, except for the
    # first and last day, which the log covers only partly.
    days = [(day, call) for day in range(42) for call in range(10)]
    rows = [{**CALL, "ts": NOON + timedelta(days=day, hours=call)} for day, call in days]
    hits = [day >= 21 and call >= 5 for day, call in days]
    ledger = book(log(*rows), step("semantic", hits, saved_bounds=(0.5, 1.5)))
    (only,) = ledger.steps
    assert only.first_month is not None and only.steady_month is not None
    whole = float(ledger.before.usd)
    assert float(only.first_month.usd) == pytest.approx(0.15 * whole, rel=3e-3)
    assert float(only.steady_month.usd) == pytest.approx(0.5 * whole, rel=3e-3)
    for money in (only.first_month, only.steady_month):  # as uncertain as the saving itself
        for name in ("low_usd", "high_usd"):
            ratio = getattr(money, name) / money.usd
            assert float(ratio) == pytest.approx(
                float(getattr(only.saved, name) / only.saved.usd), rel=1e-4
            )


def test_wrong_hits_save_nothing_in_a_month_either() -> None:
    rows = [{**CALL, "ts": NOON + timedelta(days=day)} for day in range(14)]
    hits = [day % 2 == 1 for day in range(14)]
    right, mixed = (
        book(log(*rows), step("semantic", hits, right_part=part)).steps[0] for part in (1.0, 0.75)
    )
    assert float(mixed.saved.usd) == pytest.approx(0.75 * float(right.saved.usd), rel=1e-6)
    assert float(mixed.alone.usd) == pytest.approx(0.75 * float(right.alone.usd), rel=1e-6)


WEEK = [NOON + timedelta(hours=7 * i) for i in range(60)]


@st.composite
def ledgers(draw: Any) -> tuple[Tariff, Ledger, list[Any]]:
    """Draw a log of a moment or of two weeks, caches that answer some of its calls, and levers."""
    timed = draw(st.booleans())
    rows = draw(st.lists(ROW, min_size=20 if timed else 1, max_size=40 if timed else 8))
    n = len(rows)
    requests = log(*({**row, "ts": WEEK[i]} if timed else row for i, row in enumerate(rows)))
    prices = tariff(requests, price_requests(requests))
    masks = st.lists(st.booleans(), min_size=n, max_size=n)
    exact, similar = draw(masks), draw(masks)
    store = draw(st.sampled_from([Decimal(0), Decimal("0.0123")]))
    steps: list[Step] = [
        step("duplicates", exact, store_usd=store),
        step(
            "semantic",
            [a or b for a, b in zip(exact, similar, strict=True)],
            embed_usd=draw(st.sampled_from([Decimal(0), Decimal("0.001")])),
            saved_bounds=draw(st.sampled_from([None, (0.8, 1.1)])),
        ),
        step("prompt_caching", None),
    ]
    effects = st.lists(EFFECT_ROW, min_size=n, max_size=n)
    levers = [lever("routing", *draw(effects)), lever("batch", *draw(effects))]
    order = draw(st.sampled_from(["npv", "payback", "saving", "batch,semantic"]))
    ledger = book(requests, *steps, *levers, simulate=half_read(requests), terms=Terms(order=order))
    return prices, ledger, levers


@settings(max_examples=40)
@given(ledgers())
def test_the_laws_of_the_ledger(drawn: tuple[Tariff, Ledger, list[Any]]) -> None:
    _, ledger, _ = drawn
    total_saved = sum(one.saved.usd for one in ledger.steps)
    names = {one.lever for one in ledger.steps}
    assert ledger.before.usd - total_saved == ledger.after.usd
    contained = {"duplicates"} if "semantic" in names else set()
    alone = sum(one.alone.usd for one in ledger.steps if one.lever not in contained)
    assert alone - total_saved == ledger.overlap.usd
    firm = [one for one in ledger.steps if one.evidence != "assumed"]
    assert ledger.saving.usd == sum(one.saved.usd for one in firm)
    assert ledger.after_firm.usd == ledger.before.usd - ledger.saving.usd
    assert all(one.saved.usd > 0 for one in ledger.steps)
    assert all(one.saved.usd <= 0 for one in ledger.left_out)
    assert [one.evidence for one in ledger.steps] == sorted(
        (one.evidence for one in ledger.steps), key="assumed".__eq__
    )  # assumed levers come last
    for left, right in pairwise(ledger.steps):
        assert left.requests_after == right.requests_before
    for one in (*ledger.steps, *ledger.left_out):
        parts = one.cost_after
        assert parts.total_usd == (
            parts.input_uncached_usd + parts.cache_read_usd + parts.cache_write_usd
            + parts.output_usd
        )  # fmt: skip
        for money in (one.saved, one.alone):
            assert (money.low_usd or money.usd) <= money.usd <= (money.high_usd or money.usd)
            if ledger.month_days > 30 and money.usd:
                assert money.low_usd != money.high_usd
                assert money.grade in ("estimated", "assumed")
