"""The waterfall adds up, whatever the levers do to one another."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.ledger import EFFECT, Ledger, Lever
from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.costing.cost import cost
from costaudit.costing.ledger import SimulatedStep, build_ledger
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend
from costaudit.costing.tariff import Tariff, tariff
from costaudit.costing.traffic import Traffic
from tests.costing.logs import log


def effect(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([{**dict.fromkeys(EFFECT), **row} for row in rows], schema=EFFECT)


def lever(name: str, *rows: dict[str, Any]) -> Lever:
    return Lever(name, name.title(), name, "Because.", "Do it.", "assumed", effect(*rows))


def step(name: str, removed: Sequence[bool], **more: Any) -> SimulatedStep:
    gone = pl.Series(removed, dtype=pl.Boolean)
    return SimulatedStep(
        **{
            "lever": name, "label": name, "section": name, "grade": "simulated",
            "removed": gone, "alone_removed": gone, **more,
        }
    )  # fmt: skip


def book(requests: pl.DataFrame, *steps: Any, days: float = 30.0, **more: Any) -> Ledger:
    prices = tariff(requests, price_requests(requests))
    total = spend(requests, prices.table).total.total_usd
    simulated = [one for one in steps if isinstance(one, SimulatedStep)]
    levers = [one for one in steps if isinstance(one, Lever)]
    as_is = more.pop("as_is", prices.classes)
    return build_ledger(prices, total, as_is, simulated, levers, days, **more)


def saved(ledger: Ledger) -> list[str]:
    return [str(one.saved.usd.normalize()) for one in ledger.steps]


# gpt-4o at 2.50 in, 1.25 cached, 10 out: 400,000 x 2.50 = 1.00 and 100,000 x 10 = 1.00.
CALL = {"input_uncached_tokens": 400_000, "output_tokens": 100_000}
NONE = [False, False, False, False]


def test_a_waterfall_by_hand() -> None:
    requests = log(CALL, CALL, CALL, CALL)
    # 8.00 in the log. The second call is a duplicate of the first, the third is semantic.
    # The fourth alone is left to read half of its input from the provider's cache, and alone
    # the provider's cache would have given that to the second, third and fourth.
    half = prices_half(requests)
    ledger = book(
        requests,
        step("duplicates", [False, True, False, False]),
        step(
            "semantic",
            [False, True, True, False],
            alone_removed=pl.Series([False, True, True, False]),
            running_usd=Decimal("0.25"),
        ),
        step(
            "prompt_caching",
            [False, True, True, False],
            classes=half([False, False, False, True]),
            alone_removed=pl.Series(NONE),
            alone_classes=half([False, True, True, True]),
        ),
    )
    # 200,000 of the input at 1.25 instead of 2.50 saves 0.25 a call.
    assert saved(ledger) == ["2", "1.75", "0.25"]
    assert [str(one.alone.usd.normalize()) for one in ledger.steps] == ["2", "3.75", "0.75"]
    assert ledger.before.usd == 8 and ledger.after.usd == 4
    assert ledger.overlap.usd == Decimal("2.5")  # 6.50 promised, 4.00 kept
    assert [(one.requests_before, one.requests_after) for one in ledger.steps] == [
        (4, 3), (3, 2), (2, 2),
    ]  # fmt: skip
    assert ledger.steps[-1].cost_after.total_usd == Decimal("3.75")
    assert ledger.after.grade == "simulated"


def prices_half(requests: pl.DataFrame) -> Any:
    """Simulate today's traffic with half of the input read from the cache in some requests."""

    def classes(reading: list[bool]) -> pl.DataFrame:
        whole = requests.select(TOKEN_CLASSES)
        read = pl.Series(reading)
        half = pl.col("input_uncached_tokens") // 2
        return whole.with_columns(
            input_uncached_tokens=pl.when(read).then(half).otherwise("input_uncached_tokens"),
            cache_read_tokens=pl.when(read).then(half).otherwise("cache_read_tokens"),
        )

    return classes


@pytest.mark.parametrize(("days", "month"), [(30.0, "60"), (15.0, "120"), (0.0, "43200")])
def test_a_month_is_thirty_days(days: float, month: str) -> None:
    requests = log(*[CALL] * 30)
    assert book(requests, days=days).before.usd == Decimal(month)


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
        ({"unit": "a", "model": "gpt-4"}, "0"),  # dearer
    ],
)
def test_a_lever_saves_by_the_price_difference(rows: dict[str, Any], expected: str) -> None:
    assert saved(book(log(CALL), lever("x", rows))) == [expected]


def test_a_lever_says_how_many_requests_it_changed() -> None:
    requests = log(CALL, CALL, {**CALL, "served_by": "gateway_cache"})
    moved = {"unit": "a", "model": "gpt-4o-mini"}
    ledger = book(requests, lever("routing", moved, {}, moved))
    assert ledger.steps[0].note == "1 request. Because."


def test_a_request_without_a_price_is_not_moved_to_one() -> None:
    requests = log({**CALL, "model": "gpt-nobody-knows"})
    ledger = book(requests, lever("routing", {"unit": "a", "model": "gpt-4o-mini"}))
    assert ledger.before.usd == ledger.after.usd == 0


def test_a_cold_batch_loses_its_cache_reads() -> None:
    # Opus 5: a million reads cost 0.50; as uncached batch input 2.50, so the batch costs more.
    warm = {"provider": "anthropic", "model": "claude-opus-5", "cache_read_tokens": 1_000_000}
    assert saved(
        book(log(warm), lever("batch", {"unit": "a", "is_batch": True, "cold": True}))
    ) == ["0"]
    # With 100,000 output tokens (2.50, as batch 1.25) it is still 0.75 dearer: 3.75 against 3.00.
    more = {**warm, "output_tokens": 100_000}
    rows = [{"unit": "a", "is_batch": True, "cold": True}] * 2
    assert saved(book(log(more, more), lever("batch", *rows))) == ["0"]
    # Together with an endpoint that reads nothing (5.00 against 2.50) the unit as a whole saves.
    cold = {**warm, "cache_read_tokens": 0, "input_uncached_tokens": 1_000_000}
    assert saved(book(log(more, cold), lever("batch", *rows))) == ["1.75"]
    apart = [rows[0], {**rows[0], "unit": "b"}]
    assert saved(book(log(more, cold), lever("batch", *apart))) == ["2.5"]


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
    assert (money.low_usd, money.usd, money.high_usd) == (Decimal("1.8"), 2, Decimal("2.4"))
    assert (ledger.after.low_usd, ledger.after.high_usd) == (Decimal("1.6"), Decimal("2.2"))


def test_a_gateways_hits_are_not_saved_again() -> None:
    ledger = book(
        log(CALL, {**CALL, "served_by": "gateway_cache"}), step("duplicates", [False, True])
    )
    assert ledger.before.usd == 2 and saved(ledger) == ["0"]
    assert ledger.steps[0].requests_before == 1


MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-nobody-knows")
ROW = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "logged_cost": st.sampled_from([None, "0.01", "0.002"]),
        "served_by": st.sampled_from(["provider", "provider", "gateway_cache"]),
        **{name: st.integers(0, 3_000) for name in TOKEN_CLASSES},
    }
)
EFFECT_ROW = st.fixed_dictionaries(
    {
        "unit": st.sampled_from([None, "a", "b"]),
        "removed": st.sampled_from([None, True]),
        "output_tokens": st.sampled_from([None, 100]),
        "model": st.sampled_from([None, *MODELS]),
        "is_batch": st.sampled_from([None, True]),
        "cold": st.sampled_from([None, True]),
    }
)


@st.composite
def ledgers(draw: Any) -> tuple[Tariff, Ledger, list[Any]]:
    rows = draw(st.lists(ROW, min_size=1, max_size=8))
    n = len(rows)
    requests = log(*rows)
    prices = tariff(requests, price_requests(requests))
    counts = st.tuples(*[st.integers(0, 3_000)] * len(TOKEN_CLASSES))
    tables = st.lists(counts, min_size=n, max_size=n).map(
        lambda t: pl.DataFrame(t, schema=dict.fromkeys(TOKEN_CLASSES, pl.Int64), orient="row")
    )
    masks = st.lists(st.booleans(), min_size=n, max_size=n)
    gone = [draw(masks), draw(masks)]
    steps = [
        step("duplicates", gone[0]),
        step(
            "semantic",
            [a or b for a, b in zip(*gone, strict=True)],
            alone_removed=pl.Series(gone[1]),
            running_usd=draw(st.sampled_from([Decimal(0), Decimal("0.0123")])),
            classes=draw(tables),
            alone_classes=draw(tables),
        ),
    ]
    effects = st.lists(EFFECT_ROW, min_size=n, max_size=n)
    levers = [lever("routing", *draw(effects)), lever("batch", *draw(effects))]
    total = spend(requests, prices.table).total.total_usd
    as_is = draw(tables)
    days = draw(st.floats(0.01, 400))
    return prices, build_ledger(prices, total, as_is, steps, levers, days), levers


@settings(deadline=None, max_examples=40)
@given(ledgers())
def test_the_laws_of_the_ledger(drawn: tuple[Tariff, Ledger, list[Any]]) -> None:
    prices, ledger, levers = drawn
    total_saved = sum(one.saved.usd for one in ledger.steps)
    assert ledger.before.usd - total_saved == ledger.after.usd
    assert sum(one.alone.usd for one in ledger.steps) - total_saved == ledger.overlap.usd
    sent = [ledger.steps[0].requests_before, *(one.requests_after for one in ledger.steps)]
    assert sent == sorted(sent, reverse=True)
    for one, lever_given in zip(ledger.steps[2:], levers, strict=True):
        assert one.saved.usd >= -Decimal("0.000002") and one.alone.usd >= 0
        alone = Traffic.logged(prices).under(lever_given.effect)
        assert cost(alone.classes, alone.pricing, alone.sent) == alone.cost()
    for one in ledger.steps:
        parts = one.cost_after
        assert parts.total_usd == (
            parts.input_uncached_usd + parts.cache_read_usd + parts.cache_write_usd
            + parts.output_usd
        )  # fmt: skip
