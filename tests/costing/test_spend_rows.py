"""The other figures of spend, by hand: shares, latencies, failures, units, prices and months."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from costaudit.contracts.month import MONTH_DAYS
from costaudit.contracts.spend import CostMode, Spend
from costaudit.costing.months.month import month_of
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import GROUPS, Whole, spend, spend_of
from costaudit.costing.spending.tally import Priced
from costaudit.costing.tariff import tariff
from tests.costing.logs import NOON, log

# One gpt-4o call of 1,000 in and 100 out: 1,000 x 2.50 + 100 x 10 = 3,500 / 10^6.
CALL = {"input_uncached_tokens": 1_000, "output_tokens": 100}
CALL_USD = Decimal("0.0035")
UNKNOWN = {**CALL, "model": "gpt-nobody-knows"}


def searched(count: float | None, unit: str = "web_search") -> dict[str, Any]:
    """Return a call with web searches, which cost a cent each."""
    return {**CALL, "billed_units": [{"unit": unit, "quantity": count}]}


def spent(*rows: dict[str, Any], mode: CostMode = "auto", **options: Any) -> Spend:
    requests = log(*rows)
    return spend(requests, price_requests(requests), mode, **options)


def test_what_was_asked_for_is_in_the_result() -> None:
    found = spent(CALL, mode="recomputed", invoice_usd=Decimal("0.004"))
    assert (found.cost_mode, found.invoice_usd) == ("recomputed", Decimal("0.004"))
    requests = log(CALL)
    default = spend(requests, price_requests(requests))
    assert default.cost_mode == "auto" and default.invoice_usd is None and default.logged_usd == 0


def test_one_token_without_a_price_is_unpriced_and_a_nameless_model_too() -> None:
    found = spent(CALL, {"model": "gpt-nobody-knows", "output_tokens": 1}, {**CALL, "model": None})
    assert found.unpriced_requests == 2
    assert found.unpriced_models == ("", "gpt-nobody-knows")
    assert found.unpriced_share == pytest.approx(1_101 / 2_201)


def test_units_are_added_across_models_and_come_on_top_of_tokens() -> None:
    five = {**searched(2), "model": "gpt-5"}  # tokens: 1,000 x 1.25 + 100 x 10 = 0.00225
    found = spent(searched(3), five, {**CALL, "tenant": "none"})
    assert found.total.units_usd == Decimal("0.05")
    assert found.total.total_usd == 2 * CALL_USD + Decimal("0.00225") + Decimal("0.05")
    units = {row.group: row.cost.units_usd for row in found.by["tenant"]}
    assert units == {"": Decimal("0.05"), "none": 0}
    assert found.unpriced_units == ()


def test_a_unit_without_a_price_is_named_where_the_log_tells_no_cost() -> None:
    odd = searched(3, "audio_input_tokens")
    assert spent(odd).unpriced_units == ("audio_input_tokens",)
    told = {**odd, "logged_cost": "0.004", "cost_unit": "usd"}
    assert spent(told, mode="logged").unpriced_units == ()


def test_a_logged_cost_holds_the_price_of_its_units_or_what_its_tokens_leave() -> None:
    priced = {**searched(3), "logged_cost": "0.0335", "cost_unit": "usd"}
    odd = {**searched(3, "audio_input_tokens"), "logged_cost": "0.004", "cost_unit": "usd"}
    found = spent(priced, odd, searched(1), mode="logged")
    assert found.total.units_usd == Decimal("0.03") + Decimal("0.0005") + Decimal("0.01")
    assert found.total.total_usd == Decimal("0.0335") + Decimal("0.004") + CALL_USD + Decimal(
        "0.01"
    )


def test_a_logged_cost_above_the_list_is_shared_by_tokens_and_units_alike() -> None:
    """$0.0335 at list prices and $0.0402 logged: the searches' $0.03 become $0.036."""
    requests = log({**searched(3), "logged_cost": "0.0402", "cost_unit": "usd"}, CALL)
    pricing = price_requests(requests)
    found = spend(requests, pricing)
    assert found.total.units_usd == Decimal("0.036")
    assert found.total.total_usd == Decimal("0.0402") + CALL_USD
    assert tariff(requests, pricing).unit_usd.to_list() == [Decimal("0.036"), 0]


def test_logged_costs_of_two_models_are_added() -> None:
    four = {**CALL, "logged_cost": "0.003"}
    five = {**CALL, "model": "gpt-5", "logged_cost": "0.002"}
    found = spent(four, five, mode="logged")
    assert found.total.total_usd == found.logged_usd == Decimal("0.005")
    assert found.total.units_usd == 0


def test_exactly_as_many_groups_as_are_shown_need_no_row_of_others() -> None:
    rows = [{"output_tokens": 1 + i, "tenant": f"t{i:03}"} for i in range(200)]
    tenants = spent(*rows).by["tenant"]
    assert len(tenants) == 200 and tenants[-1].group == "t000"


def test_latencies_and_failures_of_a_group() -> None:
    rows = [{**CALL, "latency_ms": 3.0 * i} for i in range(4)]  # 0, 3, 6, 9
    (row,) = spent(*rows, {**CALL, "status": "error"}).by["endpoint"]
    assert row.latency_p50_ms == 4.5 and row.failed == 1
    assert row.latency_p95_ms == pytest.approx(8.55)


def test_a_log_that_cost_nothing_has_no_shares() -> None:
    (row,) = spent({}).by["endpoint"]
    assert row.share == 0


def test_ranks_are_in_their_own_order() -> None:
    rows = [{"output_tokens": 200 - n, "user": f"u{n:03}"} for n in range(110)]
    found = spent(*rows, groups={"user_rank": pl.col("user")}).by["user_rank"]
    shown = [row.group for row in found]
    assert shown == ["1–5", "6–11", "12–55", "56–110"] != sorted(shown)


def test_prices_are_those_used_most_and_say_where_they_are_from() -> None:
    nameless = {**CALL, "provider": None, "ts": None}
    found = spent(
        *[{**CALL, "model": "o3"}] * 3, CALL, CALL, {**CALL, "model": "gpt-5"}, nameless
    ).prices
    assert [(one.provider, one.model, one.requests) for one in found] == [
        ("openai", "o3", 3), ("openai", "gpt-4o", 2), ("openai", "gpt-5", 1), ("", "gpt-4o", 1),
    ]  # fmt: skip
    assert {(one.priced_as, one.service_tier) for one in found} == {
        ("gpt-4o", "standard"), ("gpt-5", "standard"), ("o3", "standard"),
    }  # fmt: skip
    assert all(one.source.startswith("genai-prices ") for one in found)
    assert [one.since for one in found] == [one.until for one in found]
    assert [one.since for one in found] == ["2026-11-20"] * 3 + [""]


def test_prices_that_are_used_equally_are_in_the_order_of_their_names() -> None:
    names = ["gpt-4.1", "gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5-mini", "gpt-5-nano", "o3"]
    found = spent(*({**CALL, "model": name} for name in reversed(names))).prices
    assert [one.model for one in found] == names


def test_a_price_names_its_band_and_why_a_logged_cost_does_not_count() -> None:
    # Above 200,000 tokens: 300,000 x 2.50 + 100 x 15 = 0.7515; logged in cents.
    long = {**CALL, "provider": "google", "model": "gemini-2.5-pro",
            "input_uncached_tokens": 300_000, "logged_cost": "75.15"}  # fmt: skip
    (one,) = spent(long).prices
    assert one.note.startswith("over 200,000 input tokens; logged cost is 100 x")
    # A one-hour write of 9,634 tokens at 6.00 per million that was logged at 3.75.
    usd = (12 * 3 + 9_634 * 3.75 + 5 * 15) / 1e6
    hour = {"provider": "anthropic", "model": "claude-sonnet-4-5", "input_uncached_tokens": 12,
            "cache_write_1h_tokens": 9_634, "output_tokens": 5,
            "logged_cost": str(usd)}  # fmt: skip
    (one,) = spent(hour).prices
    assert one.note.startswith("the logged cost does not count: one-hour cache writes")
    assert spent(CALL).prices[0].note == ""


def by_month(*rows: dict[str, Any], days: float, **groups: pl.Expr | pl.Series) -> Spend:
    requests = log(*rows)
    pricing = price_requests(requests)
    priced = tariff(requests, pricing)
    whole = Whole(Priced(requests, pricing, priced.basis))
    return spend_of(whole, groups or GROUPS, month=month_of(requests, days))


def test_each_group_costs_its_part_of_the_month() -> None:
    # Two weeks with one call per day to each of three endpoints, at 1, 2 and 5 cents.
    rows = [
        {"input_uncached_tokens": 4_000 * cents, "ts": NOON + timedelta(days=day), "endpoint": name}
        for day in range(14)
        for name, cents in (("a", 1), ("b", 2), (None, 5))
    ]
    served = {**rows[0], "endpoint": "served", "served_by": "gateway_cache"}  # is in no group
    requests = log(*rows, served)
    told = by_month(*rows, served, days=14.0)
    usd = np.append(np.tile([0.01, 0.02, 0.05], 14), 0)
    whole = month_of(requests, 14.0).money(usd, "measured")
    by_name = {row.group: row.month for row in told.by["endpoint"]}
    for name, share in (("a", 1 / 8), ("b", 2 / 8), ("", 5 / 8)):
        money = by_name[name]
        assert money is not None and money.grade == "estimated"
        assert float(money.usd) == pytest.approx(share * float(whole.usd), rel=1e-5)
        assert money.low_usd is not None and whole.low_usd is not None
        assert float(money.low_usd) == pytest.approx(share * float(whole.low_usd), rel=1e-4)
    assert float(whole.usd) == pytest.approx(0.08 * MONTH_DAYS, rel=1e-3)
    assert all(row.month is None for row in (*told.by["day"], *told.by["hour"]))
    (model,) = told.by["model"]
    assert model.month is not None and abs(model.month.usd - whole.usd) <= Decimal("0.000001")


def test_the_month_of_the_other_groups_is_what_the_shown_ones_lack() -> None:
    rows = [
        {"output_tokens": 1 + i, "tenant": f"t{i:03}", "ts": NOON + timedelta(days=day)}
        for day in range(3)
        for i in range(250)
    ]
    told = by_month(*rows, days=3.0)
    months = [float(row.month.usd) for row in told.by["tenant"] if row.month is not None]
    month = month_of(log(*rows), 3.0)
    dearer = [float(month.usd(np.tile(np.arange(250) == i, 3) * (1 + i) * 1e-5)) for i in (249, 51)]
    assert len(months) == 200 and months[0] == pytest.approx(dearer[0], rel=1e-3)
    assert months[198] == pytest.approx(dearer[1], rel=1e-3)
    others = np.tile(np.where(np.arange(250) < 51, 1.0 + np.arange(250), 0.0), 3) * 1e-5
    assert months[199] == pytest.approx(float(month.usd(others)), rel=1e-4)


def test_other_groups_and_logs_without_a_month_have_none() -> None:
    rows = [
        {**CALL, "ts": datetime(2026, 11, 2 + day, tzinfo=UTC), "user": f"u{day}"}
        for day in range(7)
    ]
    told = by_month(*rows, days=7.0, user_rank=pl.col("user"), tenant=pl.col("tenant"))
    assert told.by["user_rank"][0].month is None and told.by["tenant"][0].month is not None
    assert by_month(CALL, days=1.0).by["tenant"][0].month is None
    assert by_month(days=7.0).by["tenant"] == ()
