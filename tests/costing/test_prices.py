"""Which rate prices which request: bands, dates, tiers, unknown models, the user's own prices."""

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from genai_prices import Usage, calc_price

from costaudit.contracts.grades import RATES
from costaudit.contracts.requests import check_table
from costaudit.costing.cost import billed_classes, cost
from costaudit.costing.prices.lookup import price_requests
from costaudit.errors import InputError
from tests.costing.logs import log


def usd(*parts: tuple[int, str]) -> Decimal:
    """Add up tokens times USD per million."""
    return sum((tokens * Decimal(rate) for tokens, rate in parts), Decimal(0)) / 1_000_000


def total(requests: pl.DataFrame, **options: Any) -> Decimal:
    return cost(billed_classes(requests), price_requests(requests, **options)).total_usd


def test_a_plain_call_costs_its_list_price() -> None:
    # gpt-4o: 2.50 in, 1.25 cached, 10.00 out per million.
    requests = log(
        {"input_uncached_tokens": 2_000, "cache_read_tokens": 1_024, "output_tokens": 300}
    )
    # 2,000 x 2.50 = 5,000; 1,024 x 1.25 = 1,280; 300 x 10 = 3,000; together 9,280 / 10^6
    assert total(requests) == Decimal("0.00928") == usd((2000, "2.5"), (1024, "1.25"), (300, "10"))


def test_anthropic_writes_are_priced_by_ttl() -> None:
    requests = log(
        {
            "provider": "anthropic",
            "model": "claude-opus-5",
            "input_uncached_tokens": 10,
            "cache_read_tokens": 1_000,
            "cache_write_5m_tokens": 100,
            "cache_write_1h_tokens": 200,
            "output_tokens": 50,
        }
    )
    assert total(requests) == usd((10, "5"), (1000, "0.5"), (100, "6.25"), (200, "10"), (50, "25"))


@pytest.mark.parametrize(
    ("input_tokens", "rate", "output_rate"), [(272_000, "4", "20"), (272_001, "8", "30")]
)
def test_a_band_is_a_cliff_on_the_total_input(
    input_tokens: int, rate: str, output_rate: str
) -> None:
    # The half that is read counts for the band too: gpt-5.6-sol reads cost a tenth of the input.
    read = 100_000
    requests = log(
        {
            "model": "gpt-5.6-sol",
            "input_uncached_tokens": input_tokens - read,
            "cache_read_tokens": read,
            "output_tokens": 1_000,
        }
    )
    tenth = str(Decimal(rate) / 10)
    assert total(requests) == usd((input_tokens - read, rate), (read, tenth), (1000, output_rate))


@pytest.mark.parametrize(
    ("ts", "rate"),
    [
        (datetime(2026, 8, 20, 23, 59, 59, 999_999, tzinfo=UTC), "5"),
        (datetime(2026, 8, 21, tzinfo=UTC), "4"),
    ],
)
def test_a_price_change_begins_at_midnight_utc(ts: datetime, rate: str) -> None:
    requests = log({"model": "gpt-5.6-sol", "ts": ts, "input_uncached_tokens": 1_000})
    assert total(requests) == usd((1000, rate))


@pytest.mark.parametrize(("hour", "rate"), [(0, "0.66"), (1, "1.32"), (4, "0.66"), (6, "1.32")])
def test_a_rate_can_depend_on_the_hour(hour: int, rate: str) -> None:
    ts = datetime(2026, 9, 1, hour, tzinfo=UTC)
    requests = log(
        {"provider": "deepseek", "model": "deepseek-v4-pro", "ts": ts, "input_uncached_tokens": 1}
    )
    assert total(requests) == usd((1, rate))


@pytest.mark.parametrize(
    ("row", "rate"),
    [
        # The library has batch rates only since 2026-10-14; before that, the overlay halves.
        ({"model": "gpt-5", "is_batch": True, "ts": datetime(2026, 9, 1, tzinfo=UTC)}, "0.625"),
        ({"model": "gpt-5", "is_batch": True}, "0.625"),
        ({"model": "gpt-5", "service_tier": "batch"}, "0.625"),
        ({"model": "gpt-5", "service_tier": "flex"}, "0.625"),
        ({"model": "gpt-5", "service_tier": "priority"}, "2.5"),
        ({"model": "gpt-5", "service_tier": None, "is_batch": None}, "1.25"),
        ({"provider": "anthropic", "model": "claude-opus-5", "service_tier": "fast"}, "10"),
        ({"provider": "anthropic", "model": "claude-opus-5", "region": "us"}, "5.5"),
        ({"model": "gpt-5.4", "region": "eu"}, "2.75"),
        # grok-4.3 at 1.25 with xAI's 20 % discount, before the library has its batch rate.
        (
            {
                "provider": "x-ai",
                "model": "grok-4.3",
                "is_batch": True,
                "ts": datetime(2026, 9, 1, tzinfo=UTC),
            },
            "1",
        ),
    ],
)
def test_a_tier_has_its_own_rate(row: dict[str, Any], rate: str) -> None:
    assert total(log({**row, "input_uncached_tokens": 1_000})) == usd((1000, rate))


@pytest.mark.parametrize(
    "row",
    [
        {"model": "gpt-nobody-knows"},
        {"model": None},
        {"model": ""},
        {"provider": "a-gateway-of-our-own"},
        {"service_tier": "scale"},
        {"model": "gpt-4o-mini", "service_tier": "flex"},  # which OpenAI never offered
        {"provider": "anthropic", "model": "claude-opus-5", "service_tier": "priority"},
        {"model": "gpt-5", "is_batch": True, "ts": datetime(2023, 1, 1, tzinfo=UTC)},
    ],
)
def test_what_nobody_knows_has_no_rate(row: dict[str, Any]) -> None:
    pricing = price_requests(log({**row, "input_uncached_tokens": 1_000}, {"output_tokens": 1}))
    assert pricing.rate_ids.to_list() == [None, 0]


def test_a_model_without_a_provider_is_found_by_its_name() -> None:
    requests = log({"provider": None, "model": "claude-opus-5", "output_tokens": 1})
    assert total(requests) == usd((1, "25"))


def test_requests_without_a_time_take_the_given_day_or_the_logs_last() -> None:
    untimed = {"model": "gpt-5.6-sol", "ts": None, "input_uncached_tokens": 1_000}
    assert total(log(untimed), as_of=date(2026, 8, 20)) == usd((1000, "5"))
    timed = {"model": "gpt-5.6-sol", "ts": datetime(2026, 8, 20, tzinfo=UTC)}
    assert total(log(untimed, timed)) == usd((1000, "5"))
    assert "2026-08-20" in price_requests(log(untimed, timed)).rates["note"][0]
    assert total(log(untimed)) == usd((1000, "4"))


def test_rates_are_the_halls_table_and_have_no_row_in_vain() -> None:
    days = [datetime(2026, 8, day, tzinfo=UTC) for day in (1, 20, 21, 30)]
    requests = log(*({"model": "gpt-5.6-sol", "ts": ts, "output_tokens": 1} for ts in days))
    pricing = price_requests(requests)
    check_table(pricing.rates, RATES, "rates")
    assert pricing.rates["since"].to_list() == [None, date(2026, 8, 21)]
    assert pricing.rate_ids.to_list() == [0, 0, 1, 1]


def test_nothing_at_all_can_be_priced() -> None:
    pricing = price_requests(log())
    assert len(pricing.rates) == len(pricing.rate_ids) == 0


MODELS = [
    ("openai", "gpt-4o"), ("openai", "gpt-4o-mini-2024-07-18"), ("openai", "gpt-5.6-sol"),
    ("openai", "gpt-4"), ("openai", "text-embedding-3-small"), ("azure", "gpt-4o"),
    ("anthropic", "claude-sonnet-4-6"), ("anthropic", "claude-3-haiku-20240307"),
    ("anthropic", "claude-haiku-5-5"), ("google", "gemini-2.5-pro"),
    ("deepseek", "deepseek-v4-pro"),
    ("aws", "us.anthropic.claude-haiku-4-5-20251001-v1:0"), ("x-ai", "grok-4"),
    ("mistral", "mistral-large-2411"), ("groq", "llama-3.3-70b-versatile"),
]  # fmt: skip


def random_rows(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        provider, model = rng.choice(MODELS)
        scale = rng.choice([100, 10_000, 300_000])
        rows.append(
            {
                "provider": provider,
                "model": model,
                "ts": datetime.fromtimestamp(rng.randrange(1_735_689_600, 1_795_000_000), UTC),
                "input_uncached_tokens": rng.randrange(scale),
                "cache_read_tokens": rng.choice([0, rng.randrange(scale)]),
                "cache_write_5m_tokens": rng.choice([0, rng.randrange(scale)]),
                "output_tokens": rng.randrange(scale),
            }
        )
    return rows


def by_the_library(row: dict[str, Any]) -> Decimal:
    """Return the price of one row by genai-prices, whose input count is the total."""
    read, write = row["cache_read_tokens"], row["cache_write_5m_tokens"]
    usage = Usage(
        input_tokens=row["input_uncached_tokens"] + read + write,
        cache_read_tokens=read,
        cache_write_tokens=write,
        output_tokens=row["output_tokens"],
    )
    at = row["ts"]
    if row["provider"] == "deepseek" and (at.weekday() >= 5 or at.date() < date(2026, 8, 17)):
        at = at.replace(hour=12)  # off-peak, because the library's format has no peak hours
    price = calc_price(usage, row["model"], provider_id=row["provider"], genai_request_timestamp=at)
    return price.total_price


def test_a_thousand_rows_cost_what_the_library_says() -> None:
    rows = random_rows(1_000, seed=20261123)
    requests = log(*rows)
    pricing = price_requests(requests)
    classes = billed_classes(requests)
    for i in range(0, len(rows), 20):
        mask = pl.Series([j == i for j in range(len(rows))])
        assert cost(classes, pricing, mask).total_usd == by_the_library(rows[i]), rows[i]
    assert cost(classes, pricing).total_usd == sum(map(by_the_library, rows))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_users_prices_come_first(tmp_path: Path) -> None:
    prices = write(
        tmp_path / "prices.toml",
        """
        source = "Contract 17"
        [[price]]
        provider = "openai"
        models = ["our-model*"]
        input_per_mtok = "1"
        output_per_mtok = 2.5
        [[price]]
        models = ["our-model*"]
        since = 2026-11-01
        input_per_mtok = "0.8"
        cache_read_per_mtok = "0.1"
        output_per_mtok = "2"
        [[price]]
        models = ["our-model*"]
        since = 2026-11-01
        over_tokens = 1000
        input_per_mtok = "1.6"
        output_per_mtok = "2"
        [[alias]]
        provider = "azure"
        models = ["prod-chat"]
        use_provider = "azure"
        use_model = "gpt-4o"
        [[discount]]
        provider = "anthropic"
        multiplier = "0.9"
        """,
    )
    october = datetime(2026, 10, 31, tzinfo=UTC)
    counts = {"input_uncached_tokens": 500, "cache_read_tokens": 500, "output_tokens": 100}
    ours = {"model": "Our-Model-2", **counts}
    assert total(log({**ours, "ts": october}), overrides=prices) == usd((1000, "1"), (100, "2.5"))
    assert total(log(ours), overrides=prices) == usd((500, "0.8"), (500, "0.1"), (100, "2"))
    long = {**ours, "input_uncached_tokens": 501}
    assert total(log(long), overrides=prices) == usd((1001, "1.6"), (100, "2"))
    deployed = log({"provider": "azure", "model": "prod-chat", "output_tokens": 7})
    assert total(deployed, overrides=prices) == usd((7, "10"))
    claude = log({"provider": "anthropic", "model": "claude-opus-5", "output_tokens": 7})
    assert total(claude, overrides=prices) == usd((7, "22.5"))
    assert price_requests(log(ours), prices).rates["source"].to_list() == ["Contract 17"]
    # The batch price of a user's own model is unknown, except by OpenAI's batch rule.
    batch = log({**ours, "provider": "elsewhere", "is_batch": True})
    assert price_requests(batch, prices).rate_ids.to_list() == [None]


@pytest.mark.parametrize(
    "text",
    [
        "[[price]]\ninput_per_mtok = 1",
        "[[price]\n",
        "[[price]]\nmodels = ['a']\ninput_per_mtok = 'cheap'\noutput_per_mtok = 1",
        "[[price]]\nmodels = ['a']\ninput_per_mtok = '-1'\noutput_per_mtok = 1",
        "[[price]]\nmodels = ['a']\ninput_per_mtok = 'nan'\noutput_per_mtok = 1",
        "[[discounts]]\nmultiplier = 1",
    ],
)
def test_a_price_file_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"prices\.toml"):
        price_requests(log({}), write(tmp_path / "prices.toml", text))


def test_a_missing_price_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        price_requests(log({}), tmp_path / "prices.toml")
