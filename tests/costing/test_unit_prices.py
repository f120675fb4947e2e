"""Billed units other than text tokens are priced, or the call counts as not fully priced."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from costaudit.contracts.requests import REQUESTS
from costaudit.contracts.spend import CostMode, Spend
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend
from costaudit.costing.tariff import tariff
from costaudit.costing.traffic import Traffic

_DAY = datetime(2026, 5, 4, 9, tzinfo=UTC)


def _unit(name: str, quantity: float, model: str | None = None) -> dict[str, Any]:
    return {"unit": name, "quantity": quantity, "model": model}


def _requests(*rows: dict[str, Any]) -> pl.DataFrame:
    filled = [dict.fromkeys(REQUESTS) | {"request_id": str(i), "ts": _DAY} | row
              for i, row in enumerate(rows)]  # fmt: skip
    return pl.DataFrame(filled, schema=REQUESTS)


def _spend(requests: pl.DataFrame, prices: Path | None = None, mode: CostMode = "auto") -> Spend:
    pricing = price_requests(requests, prices)
    found = spend(requests, pricing, mode)
    traffic = Traffic.logged(tariff(requests, pricing, mode, prices))
    apart = traffic.cost().total_usd - found.total.total_usd  # the ledger starts at the spend
    assert abs(apart) < Decimal("1e-15")
    return found


GPT = {"provider": "openai", "model": "gpt-4o"}  # 2.50 in, 10 out
MILLION = GPT | {"input_uncached_tokens": 1_000_000}


def test_searches_cost_ten_dollars_a_thousand() -> None:
    claude = {"provider": "anthropic", "model": "claude-sonnet-4-5", "input_uncached_tokens": 1000}
    found = _spend(_requests(claude | {"billed_units": [_unit("web_search", 6)]}))
    assert found.total.total_usd == Decimal("0.063")  # 1,000 x $3 / M, and 6 x $0.01
    assert found.total.units_usd == Decimal("0.06")
    assert found.unpriced_share == 0


def test_audio_tokens_have_a_rate_of_their_own() -> None:
    audio = {"provider": "openai", "model": "gpt-audio", "input_uncached_tokens": 1_000_000}
    text = _spend(_requests(audio)).total.total_usd
    heard = _spend(_requests(audio | {"billed_units": [_unit("audio_input_token", 500_000)]}))
    from genai_prices.data_snapshot import get_snapshot

    _, info = get_snapshot().find_provider_model("gpt-audio", None, "openai", None)
    rates: Any = info.get_prices(_DAY)
    assert text == rates.input_mtok
    assert heard.total.total_usd == (rates.input_mtok + rates.input_audio_mtok) / 2


@pytest.mark.parametrize(
    ("provider", "model", "unit", "count", "usd"),
    [
        ("openai", "whisper-1", "audio_second", 90, "0.009"),  # $0.006 a minute
        ("groq", "whisper-large-v3-turbo", "audio_second", 900, "0.01"),  # $0.04 an hour
        ("azure", "whisper", "audio_second", 60, "0.006"),
        ("cohere", "rerank-v3.5", "search_unit", 3, "0.006"),  # $2 per 1,000
        ("aws", "cohere.rerank-v3-5:0", "search_unit", 1, "0.002"),
        ("groq", "openai/gpt-oss-120b", "web_search", 2, "0.01"),  # $5 per 1,000
    ],
)
def test_units_have_a_price_where_tokens_have_none(
    provider: str, model: str, unit: str, count: float, usd: str
) -> None:
    row = {"provider": provider, "model": model, "billed_units": [_unit(unit, count)]}
    found = _spend(_requests(row))
    assert (found.total.total_usd, found.unpriced_requests) == (Decimal(usd), 0)


def test_a_name_without_a_date_has_the_price_of_its_dated_versions() -> None:
    # gpt-4o-audio-preview-2024-12-17 and -2025-06-03: text $2.50 and $10, audio $40 and $80.
    units = {"billed_units": [_unit("audio_input_token", 600), _unit("audio_output_token", 100)]}
    call = {"provider": "openai", "model": "gpt-4o-audio-preview",
            "input_uncached_tokens": 1_000, "output_tokens": 150}  # fmt: skip
    found = _spend(_requests(call | units))
    by_hand = 400 * Decimal("2.5") + 600 * 40 + 50 * 10 + 100 * 80
    assert found.total.total_usd == by_hand / 1_000_000
    before = call | units | {"ts": datetime(2024, 11, 1, tzinfo=UTC)}  # of a version not listed
    assert _spend(_requests(before)).unpriced_requests == 1


@pytest.mark.parametrize(
    ("provider", "model", "unit"),
    [
        ("x-ai", "grok-4-0709", "web_search"),  # no table has a price of live search
        ("perplexity", "sonar-pro", "web_search"),  # by size, which the log does not say
        ("openai", "gpt-4o-transcribe", "audio_second"),  # billed by tokens
    ],
)
def test_a_unit_that_no_table_prices_alone_stays_open(provider: str, model: str, unit: str) -> None:
    row = {"provider": provider, "model": model, "billed_units": [_unit(unit, 2)]}
    assert _spend(_requests(row)).unpriced_units == (unit,)


@pytest.mark.parametrize("unit", ["code_session", "audio_output_token", "storage_token_hour"])
def test_a_unit_without_a_price_makes_the_call_not_fully_priced(unit: str) -> None:
    found = _spend(_requests(MILLION | {"billed_units": [_unit(unit, 3)]}, MILLION))
    assert found.unpriced_requests == 1
    assert found.unpriced_share == 0.5
    assert found.unpriced_units == (unit,)
    assert found.total.total_usd == Decimal("5")  # the known part still counts


def test_tokens_of_another_model_are_billed_at_its_rates() -> None:
    units = [_unit("other_model_input_token", 1e6, "gpt-4o-mini"),
             _unit("other_model_output_token", 1e6, "gpt-4o-mini")]  # fmt: skip
    found = _spend(_requests(MILLION | {"billed_units": units}))
    assert found.total.total_usd == Decimal("3.25")  # 2.50 + 0.15 + 0.60
    unknown = _spend(_requests(MILLION | {"billed_units": [_unit("other_model_input_token", 1e6,
                                                                  "nobody-knows")]}))  # fmt: skip
    assert unknown.unpriced_share == 1


def test_a_logged_cost_holds_its_units() -> None:
    row = MILLION | {"billed_units": [_unit("web_search", 10)], "cost_unit": "usd"}
    found = _spend(_requests(row | {"logged_cost": "2.60"}))  # 2.50 and ten searches
    assert found.total.total_usd == Decimal("2.60")
    assert found.prices[0].logged_to_recomputed == pytest.approx(1)
    again = _spend(_requests(row | {"logged_cost": "2.60"}), mode="recomputed")
    assert again.total.total_usd == Decimal("2.60")


# grok-4 at $3 in, $0.75 read, $15 out a million: 400 + 600 + 310 tokens cost $0.0063.
GROK = {"provider": "x-ai", "model": "grok-4-0709", "input_uncached_tokens": 400,
        "cache_read_tokens": 600, "output_tokens": 310, "cost_unit": "usd"}  # fmt: skip
RUNS = {"billed_units": [_unit("code_session", 4)]}  # xAI lists no price for a container


def test_a_logged_cost_may_hold_units_without_a_price() -> None:
    found = _spend(_requests(GROK | RUNS | {"logged_cost": "0.1063"}))
    assert found.total.total_usd == found.logged_usd == Decimal("0.1063")
    assert found.total.units_usd == Decimal("0.1")  # what the tokens leave of it
    assert (found.unpriced_requests, found.unpriced_units) == (0, ())
    again = _spend(_requests(GROK | RUNS | {"logged_cost": "0.1063"}), mode="recomputed")
    assert (again.total.total_usd, again.unpriced_requests) == (Decimal("0.0063"), 1)


def test_its_tokens_keep_their_price() -> None:
    requests = _requests(GROK | RUNS | {"logged_cost": "0.1063"}, GROK | {"logged_cost": "0.0063"})
    priced = tariff(requests, price_requests(requests))
    assert priced.billed.rates["output_per_mtok"][-1] == "15"  # the searches are no tokens' price
    assert priced.unit_usd.to_list() == [Decimal("0.1"), 0]
    assert priced.request_usd.tolist() == [0.1063, 0.0063]


CENTS = (GROK | {"logged_cost": "0.63"}, MILLION | {"logged_cost": "250", "cost_unit": "usd"})


@pytest.mark.parametrize("other", CENTS)
def test_units_do_not_explain_a_cost_that_other_calls_contradict(other: dict[str, Any]) -> None:
    found = _spend(_requests(GROK | RUNS | {"logged_cost": "10.63"}, other))
    assert found.logged_usd == 0
    assert (found.unpriced_requests, found.unpriced_units) == (1, ("code_session",))


def test_a_cost_below_its_tokens_is_not_explained_by_units() -> None:
    found = _spend(_requests(GROK | RUNS | {"logged_cost": "0.0049"}))  # 0.78 of $0.0063
    assert (found.total.total_usd, found.unpriced_requests) == (Decimal("0.0063"), 1)
    within = _spend(_requests(GROK | RUNS | {"logged_cost": "0.0051"}))  # 0.81
    assert (within.total.total_usd, within.unpriced_requests) == (Decimal("0.0051"), 0)


def test_a_call_without_tokens_pays_for_its_units() -> None:
    heard = {"provider": "openai", "model": "nobodys-ears", "cost_unit": "usd"}
    found = _spend(_requests(heard | {"logged_cost": "0.006",
                                      "billed_units": [_unit("audio_second", 60)]}))  # fmt: skip
    assert found.total.total_usd == found.total.units_usd == Decimal("0.006")


def test_a_given_price_or_discount_wins_over_the_log(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('[[discount]]\nprovider = "openai"\nmultiplier = "0.85"\n')
    row = MILLION | {"logged_cost": "2.50", "cost_unit": "usd"}
    assert _spend(_requests(row)).total.total_usd == Decimal("2.5")
    assert _spend(_requests(row), prices).total.total_usd == Decimal("2.125")
    prices.write_text('[[unit]]\nunit = "code_session"\nusd = "0.03"\n')
    units = {"billed_units": [_unit("code_session", 2)]}
    assert _spend(_requests(MILLION | units), prices).total.total_usd == Decimal("2.56")


@pytest.mark.parametrize(
    "name",
    ["models/gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash"],
)
def test_the_path_before_a_name_does_not_hide_the_model(name: str) -> None:
    row = {"provider": "google", "model": name, "input_uncached_tokens": 1_000_000}
    assert _spend(_requests(row)).total.total_usd == Decimal("0.3")


@pytest.mark.parametrize(
    ("heard", "cached", "usd"),
    [
        (900, 900, "0.00012"),  # 100 x $0.30 / M, and 900 x $0.10 / M
        (900, 600, "0.00039"),  # 100 x $0.30, 300 x $1, and 600 x $0.10
        (900, 0, "0.00093"),  # 100 x $0.30, and 900 x $1
    ],
)
def test_cached_audio_is_a_part_of_audio_input(heard: int, cached: int, usd: str) -> None:
    units = [_unit("audio_cached_token", cached), _unit("audio_input_token", heard)]
    flash = {"provider": "google", "model": "gemini-2.5-flash", "billed_units": units}
    counts = {"input_uncached_tokens": 1000 - cached, "cache_read_tokens": cached}
    other = flash | {"billed_units": units[1:], "input_uncached_tokens": 900}  # another call
    alone = _spend(_requests(other)).total.total_usd
    assert alone == Decimal("0.0009")
    assert _spend(_requests(flash | counts, other)).total.total_usd == Decimal(usd) + alone
