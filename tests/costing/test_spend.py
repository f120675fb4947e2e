"""Cost by who and what caused it, and when the logged cost counts."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from costaudit.contracts.spend import CostMode, Spend
from costaudit.costing.cost import billed_classes, cost
from costaudit.costing.logged import basis, calibrate, logged_usd, ratio_note
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend
from tests.costing.logs import log

# One gpt-4o call of 1,000 in and 100 out: 1,000 x 2.50 + 100 x 10 = 3,500 / 10^6.
CALL = {"input_uncached_tokens": 1_000, "output_tokens": 100}
CALL_USD = Decimal("0.0035")


def spent(*rows: dict[str, Any], mode: CostMode = "auto", **options: Any) -> Spend:
    requests = log(*rows)
    return spend(requests, price_requests(requests), mode, **options)


def test_groups_add_up_to_the_total() -> None:
    rows = [
        {
            **CALL,
            "endpoint": "chat" if i % 3 else "search",
            "tenant": f"t{i % 4}",
            "model": "gpt-4o" if i % 2 else "gpt-5",
            "ts": datetime(2026, 11, 1 + i, i, tzinfo=UTC),
            "latency_ms": float(i),
        }
        for i in range(12)
    ]
    found = spent(*rows)
    # Six gpt-4o calls and six of gpt-5 at 1,000 x 1.25 + 100 x 10 = 2,250 / 10^6.
    assert found.total.total_usd == 6 * CALL_USD + 6 * Decimal("0.00225")
    for groups in found.by.values():
        assert sum(row.cost.total_usd for row in groups) == found.total.total_usd
        assert sum(row.cost.requests for row in groups) == 12
        assert sum(row.share for row in groups) == pytest.approx(1)
    assert [row.group for row in found.by["endpoint"]] == ["chat", "search"]
    assert [row.group for row in found.by["hour"]] == [f"{hour:02}" for hour in range(12)]
    assert found.by["day"][0].group == "2026-11-01"
    search = found.by["endpoint"][1]  # latencies 0, 3, 6, 9
    assert (search.latency_p50_ms, search.mean_input_tokens) == (4.5, 1_000)


def test_days_and_models_add_up_to_the_total() -> None:
    rows = [
        {
            **CALL,
            "model": "gpt-4o" if i % 2 else "gpt-5",
            "ts": datetime(2026, 11, 1 + i // 6, i, tzinfo=UTC),
            "logged_cost": "0.004" if i % 5 == 0 else None,
            "cost_unit": "usd" if i % 5 == 0 else None,
        }
        for i in range(12)
    ]
    found = spent(*rows, {**CALL, "ts": None}, {**CALL, "model": None})
    keys = [(row.day, row.provider, row.model) for row in found.daily]
    assert keys == [
        ("", "openai", "gpt-4o"),
        ("2026-11-01", "openai", "gpt-4o"), ("2026-11-01", "openai", "gpt-5"),
        ("2026-11-02", "openai", "gpt-4o"), ("2026-11-02", "openai", "gpt-5"),
        ("2026-11-20", "openai", ""),
    ]  # fmt: skip
    for name in (field for field in vars(found.total) if field not in ("requests", "unpriced")):
        assert sum(getattr(row.cost, name) for row in found.daily) == getattr(found.total, name)
    assert [row.cost.requests for row in found.daily] == [1, 3, 3, 3, 3, 1]
    assert [row.cost.unpriced for row in found.daily] == [{}] * 5 + [CALL]
    assert [row.only_logged for row in found.daily] == [{}] * 6


def test_a_day_s_tokens_without_a_list_price_are_those_of_calls_with_and_without_a_cost() -> None:
    unknown = {**CALL, "model": "gpt-nobody-knows"}
    (found,) = spent(unknown, {**unknown, "logged_cost": "0.5", "cost_unit": "usd"}).daily
    assert (found.cost.unpriced, found.only_logged) == (CALL, CALL)
    assert found.cost.total_usd == Decimal("0.5")


def test_a_gateways_hits_cost_nothing_and_an_unknown_model_is_never_free() -> None:
    found = spent(
        CALL,
        {**CALL, "served_by": "gateway_cache", "logged_cost": "0.5"},
        {**CALL, "model": "gpt-nobody-knows"},
        {"model": "gpt-nobody-knows", "status": "error"},
    )
    assert found.total.total_usd == CALL_USD
    assert (found.gateway_hits, found.unpriced_requests) == (1, 1)
    assert found.unpriced_models == ("gpt-nobody-knows",)
    assert found.unpriced_share == pytest.approx(0.5)


def test_many_groups_end_in_one_row() -> None:
    rows = [{"output_tokens": 1 + i, "tenant": f"t{i:03}"} for i in range(250)]
    tenants = spent(*rows).by["tenant"]
    assert len(tenants) == 200
    assert tenants[0].group == "t249" and tenants[-1].group == "(other)"
    assert tenants[-1].cost.requests == 51
    assert tenants[-1].cost.output_tokens == sum(range(1, 52))


@pytest.mark.parametrize(
    ("mode", "logged", "expected"),
    [
        ("recomputed", "0.003", CALL_USD),
        ("logged", "0.003", Decimal("0.003")),
        ("logged", "0.35", Decimal("0.35")),
        ("logged", None, CALL_USD),
        ("auto", "0.003", Decimal("0.003")),  # 0.857 x: a discount
        ("auto", "0.35", CALL_USD),  # 100 x: cents
        ("auto", "0.00175", CALL_USD),  # 0.5 x
        ("auto", "0", CALL_USD),
        ("auto", "-0.003", CALL_USD),
        ("auto", "nonsense", CALL_USD),
        ("auto", "3.5e-03", CALL_USD),
    ],
)
def test_each_mode_takes_the_figure_it_names(
    mode: CostMode, logged: str | None, expected: Decimal
) -> None:
    found = spent({**CALL, "logged_cost": logged}, mode=mode)
    assert found.total.total_usd == expected


@pytest.mark.parametrize(
    ("cost", "unit", "expected"),
    [
        ("1.5", None, "1.5"),
        ("1.5", "USD", "1.5"),
        ("1.5", "cents", "0.015"),
        ("3500000", "usd_e9", "0.0035"),
        ("1.5", "eur", None),
    ],
)
def test_units_become_dollars(cost: str, unit: str | None, expected: str | None) -> None:
    found = logged_usd(log({"logged_cost": cost, "cost_unit": unit})).to_list()
    assert found == [None if expected is None else Decimal(expected)]


def test_the_ratio_of_logged_to_recomputed_is_shown_per_rate() -> None:
    found = spent(
        {**CALL, "logged_cost": "0.35"},
        {**CALL, "logged_cost": "0.35"},
        {**CALL, "model": "gpt-5", "logged_cost": "0.00225"},
    )
    four, five = found.prices
    assert four.logged_to_recomputed == pytest.approx(100) and "cents" in four.note
    assert five.logged_to_recomputed == pytest.approx(1) and not five.note
    assert (four.requests, four.since, four.until) == (2, "2026-11-20", "2026-11-20")


@pytest.mark.parametrize(
    ("ratio", "word"),
    [(100, "cents"), (1e9, "billionths"), (0.5, "batch"), (0.1, "cache reads"), (1.1, "region"),
     (0.85, "discount"), (2, "priority"), (7, "reason")],
)  # fmt: skip
def test_a_telling_ratio_is_named(ratio: float, word: str) -> None:
    assert word in ratio_note(ratio)


def test_an_unpriced_request_with_a_logged_cost_is_spend() -> None:
    found = spent({**CALL, "model": "gpt-nobody-knows", "logged_cost": "0.02"})
    assert found.total.total_usd == found.logged_usd == Decimal("0.02")
    assert found.unpriced_requests == 0


@pytest.mark.parametrize(("invoice", "gap"), [("0.004", 0.125), ("0.0035", 0.0), ("0.003", -1 / 6)])
def test_an_invoice_is_compared(invoice: str, gap: float) -> None:
    found = spent(CALL, invoice_usd=Decimal(invoice))
    assert found.invoice_gap_share == pytest.approx(gap)


def test_calibrated_rates_reproduce_what_the_log_says() -> None:
    requests = log(
        {**CALL, "logged_cost": "0.0031"},
        {**CALL, "input_uncached_tokens": 3_000, "logged_cost": "0.0077"},
        CALL,
        {**CALL, "model": "gpt-nobody-knows", "logged_cost": "0.011"},
        {**CALL, "model": "gpt-nobody-knows"},
    )
    pricing, classes = price_requests(requests), billed_classes(requests)
    calibrated = calibrate(requests, classes, pricing, basis(requests, classes, pricing, "auto"))
    # The first two together; the third is not logged and stays at the list price.
    assert float(cost(classes, calibrated).total_usd) == pytest.approx(
        0.0031 + 0.0077 + 0.0035 + 0.011, rel=1e-12
    )
    assert calibrated.rate_ids.to_list() == [1, 1, 0, 2, None]
    assert calibrated.rates["output_per_mtok"][2] == "10"  # 0.011 / 1,100 tokens x 10^6


def test_an_empty_log_costs_nothing() -> None:
    found = spent()
    assert found.total.total_usd == 0
    assert found.by["day"] == () and found.unpriced_share == 0


def test_calls_without_counts_are_not_priced() -> None:
    bare = {"usage_source": "missing", "input_uncached_tokens": None, "output_tokens": None}
    found = spent(CALL, CALL, CALL, bare)  # assumed to be as large as the others: one of four
    assert found.total.total_usd == 3 * CALL_USD
    assert found.unpriced_share == pytest.approx(0.25)
    half = {**bare, "input_uncached_tokens": 1_000}
    assert spent(CALL, half).unpriced_share > 0  # its output tokens are unknown
    assert spent(bare).unpriced_share == 1
    told = {**bare, "logged_cost": "0.004", "cost_unit": "usd"}
    assert spent(CALL, told, mode="logged").unpriced_share == 0
    failed = {**bare, "status": "error"}
    assert spent(CALL, failed).unpriced_share == 0
