"""Models are found by the names that proxies and platforms use, at each platform's price."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from costaudit.costing.cost import billed_classes, cost
from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.prices.names import spellings
from costaudit.costing.prices.quote import quote
from costaudit.costing.prices.rate_card import PriceKey, rate_card
from costaudit.costing.prices.second_table import find_second, second_names
from tests.costing.logs import log

DAY = date(2026, 11, 20)


def rates(provider: str | None, model: str, **key: Any) -> tuple[Decimal, ...] | None:
    """Return the rates of a short request on DAY at noon."""
    day = key.pop("day", DAY)
    band = key.pop("tokens", 1)
    known = {"service_tier": None, "is_batch": None, "region": None, **key}
    card = rate_card(PriceKey(provider, model, **known), None)
    cell = card.cells[card.number(day, 43_200, band)] if card else None
    return cell.rates if cell else None


@pytest.mark.parametrize(
    ("provider", "logged", "plain"),
    [
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google", "publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash"),
        (
            "google",
            "projects/p1/locations/us-east5/publishers/anthropic/models/claude-opus-5",
            "claude-opus-5",
        ),
        ("google", "vertex_ai/claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("google", "claude-haiku-4-5@latest", "claude-haiku-4-5"),
        ("azure_ai", "gpt-5.4", "gpt-5.4"),
        ("azure", "azure_ai/gpt-5.4", "gpt-5.4"),
        ("azure", "azure/gpt-5.1-codex-2025-11-13", "gpt-5.1-codex"),
        ("mistral", "mistral/mistral-large-latest", "mistral-large-2512"),
        ("x-ai", "xai/grok-4", "grok-4"),
        ("moonshot", "kimi-k2.5", "kimi-k2.5"),
        ("anthropic", "claude-sonnet-4-5[1m]", "claude-sonnet-4-5"),
        ("anthropic", "anthropic/claude-opus-5", "claude-opus-5"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme:x:1", "ft:gpt-4o-mini-2024-07-18"),
        ("azure", "gpt-4o-mini-2024-07-18.ft-0a1b2c", "ft:gpt-4o-mini-2024-07-18"),
        ("openai", "ft:gpt-4.1-2025-04-14:acme::Bx1", "ft:gpt-4.1-2025-04-14"),
        ("openrouter", "anthropic/claude-sonnet-4.5:nitro", "anthropic/claude-sonnet-4.5"),
        (
            "aws",
            "bedrock/converse/global.amazon.nova-2-lite-v1:0",
            "global.amazon.nova-2-lite-v1:0",
        ),
        (
            "aws",
            "arn:aws:bedrock:us-east-1:111122223333:inference-profile/global.anthropic.claude-opus-4-6-v1",
            "global.anthropic.claude-opus-4-6-v1",
        ),
        (
            "aws",
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0:300k",
            "amazon.nova-pro-v1:0",
        ),
        ("dashscope", "dashscope/qwen-max", "qwen-max"),
        ("fireworks", "deepseek-v3p1", "accounts/fireworks/models/deepseek-v3p1"),
    ],
)
def test_a_written_name_costs_what_the_model_costs(provider: str, logged: str, plain: str) -> None:
    found = rates(provider, logged)
    assert found is not None and found == rates(provider, plain)


def test_the_head_of_a_name_is_the_provider_where_none_is_logged() -> None:
    assert rates(None, "azure_ai/gpt-5.4") == rates("azure", "gpt-5.4")
    assert rates("some-proxy", "anthropic/claude-opus-5") == rates("anthropic", "claude-opus-5")
    assert rates("some-proxy", "claude-opus-5") is None  # the billing provider is unknown


@pytest.mark.parametrize(
    ("profile", "usd"),
    [("global", "3"), ("us", "3.3"), ("eu", "3.3"), ("jp", "3.3"), ("us-gov", "3.6")],
)
def test_an_inference_profile_has_its_price(profile: str, usd: str) -> None:
    found = rates("aws", f"{profile}.anthropic.claude-sonnet-4-5-20250929-v1:0")
    assert found is not None and found[0] == Decimal(usd)


def test_govcloud_costs_a_fifth_more_where_no_table_lists_it() -> None:
    model = "anthropic.claude-opus-4-5-20251101-v1:0"
    assert find_second("aws", f"us-gov.{model}") is None
    everywhere, gov = rates("aws", f"global.{model}"), rates("aws", f"us-gov.{model}")
    assert everywhere and gov == tuple(rate * Decimal("1.2") for rate in everywhere)


def test_the_region_of_a_call_decides_where_a_table_lists_it() -> None:
    model = "meta.llama3-8b-instruct-v1:0"
    assert rates("aws", model, region="eu-west-2")[0] == Decimal("0.39")  # type: ignore[index]
    assert rates("aws", model, region="us-east-1")[0] == Decimal("0.3")  # type: ignore[index]


def test_the_place_in_an_azure_name_decides() -> None:
    plain, eu = rates("azure", "gpt-4o"), rates("azure", "azure/eu/gpt-4o")
    assert plain and eu and (plain[0], eu[0]) == (Decimal("2.5"), Decimal("2.75"))


def test_a_free_variant_at_openrouter_costs_nothing_and_elsewhere_is_not_known() -> None:
    assert rates("openrouter", "deepseek/deepseek-r1:free") == (Decimal(0),) * 6
    assert rates("deepseek", "deepseek-unheard-of:free") is None


def test_a_longer_name_is_not_taken_for_the_shorter_model() -> None:
    cyber, plain = (rates("google", f"gemini-3.8-flash{tail}") for tail in ("-cyber", ""))
    assert cyber and plain and (cyber[0], plain[0]) == (Decimal("1.5"), Decimal("0.75"))


def test_twelve_hour_writes_cost_twice_the_short_ones() -> None:
    short = {"model": "gpt-5.6-sol", "cache_write_other_tokens": 100_000}
    rows = [
        {**short, "cache_write_other_ttl": "12h"},
        {**short, "cache_write_other_ttl": "30m"},
        short,
        {**short, "cache_write_other_ttl": "12h", "is_batch": True},
        {**short, "cache_write_other_ttl": "12h", "cache_write_other_tokens": 300_000},
    ]
    requests = log(*rows)
    pricing, classes = price_requests(requests), billed_classes(requests)
    usd = [cost(classes[i : i + 1], pricing.of([i])).total_usd for i in range(len(rows))]  # type: ignore[arg-type]
    # 5.00 per million for short prompts; half in a batch; above 272,000 tokens all rates double.
    assert usd == [Decimal(x) for x in ("1", "0.5", "0.5", "0.5", "6")]


@pytest.mark.parametrize(
    ("provider", "model", "day", "place", "usd"),
    [
        ("anthropic", "claude-sonnet-5-5", date(2026, 10, 6), 1, "0.20"),
        ("anthropic", "claude-sonnet-5-5", date(2026, 10, 7), 1, "0.10"),
        ("google", "claude-sonnet-5-5@20260901", date(2026, 10, 6), 1, "0.20"),
        ("aws", "us.anthropic.claude-sonnet-5-5", date(2026, 10, 6), 1, "0.22"),
        ("aws", "us.anthropic.claude-sonnet-5-5", date(2026, 10, 7), 1, "0.11"),
        ("openai", "gpt-5.6-sol", date(2026, 8, 20), 0, "5"),
        ("openai", "gpt-5.6-sol", date(2026, 8, 21), 0, "4"),
        ("openai", "o3", date(2025, 6, 1), 0, "10"),
        ("openai", "o3", date(2025, 6, 20), 0, "2"),
        ("deepseek", "deepseek-chat", date(2025, 8, 1), 0, "0.27"),
        ("deepseek", "deepseek-chat", date(2025, 9, 10), 0, "0.56"),
        ("deepseek", "deepseek-chat", date(2025, 10, 1), 0, "0.28"),
        ("mistral", "mistral-large-latest", date(2025, 11, 1), 0, "2"),
        ("mistral", "mistral-large-latest", date(2026, 11, 1), 0, "0.5"),
    ],
)
def test_a_price_is_that_of_the_day(
    provider: str, model: str, day: date, place: int, usd: str
) -> None:
    found = rates(provider, model, day=day)
    assert found is not None and found[place] == Decimal(usd)


@pytest.mark.parametrize(
    ("when", "usd"),
    [
        (datetime(2026, 11, 20, 7, tzinfo=UTC), "1.32"),  # a Friday's peak
        (datetime(2026, 11, 21, 7, tzinfo=UTC), "0.66"),  # a Saturday
        (datetime(2026, 8, 14, 7, tzinfo=UTC), "0.435"),  # before there were peaks
    ],
)
def test_deepseeks_peak_hours_are_those_of_weekdays(when: datetime, usd: str) -> None:
    row = {"provider": "deepseek", "model": "deepseek-v4-pro", "input_uncached_tokens": 1_000_000}
    requests = log({**row, "ts": when})
    total = cost(billed_classes(requests), price_requests(requests)).total_usd
    assert total == Decimal(usd)
    assert f"{usd} " in str(quote("deepseek-v4-pro", "deepseek", when))


@pytest.mark.parametrize(
    ("provider", "model", "tier", "times"),
    [
        ("google", "gemini-2.5-pro", "flex", "0.5"),
        ("google", "gemini-2.5-pro", "priority", "1.8"),
        ("azure", "gpt-5.4", "priority", "2"),
        ("aws", "amazon.nova-pro-v1:0", "flex", "0.5"),
        ("aws", "amazon.nova-pro-v1:0", "priority", "1.75"),
    ],
)
def test_a_tier_that_only_the_second_table_knows_is_priced(
    provider: str, model: str, tier: str, times: str
) -> None:
    standard, found = rates(provider, model), rates(provider, model, service_tier=tier)
    assert standard and found and found[0] == standard[0] * Decimal(times)


def test_long_prompts_on_bedrock_cost_more() -> None:
    model = "global.anthropic.claude-sonnet-4-5-20250929-v1:0"
    short, long = (rates("aws", model, tokens=tokens) for tokens in (200_000, 200_001))
    assert short and long and (short[0], long[0]) == (Decimal(3), Decimal(6))


def test_a_price_of_nothing_is_no_price() -> None:
    # LiteLLM writes 0 for subscriptions and for missing prices.
    assert "github_copilot" not in second_names("github_copilot")
    assert all(find_second("ollama", name) is None for name in second_names("ollama"))


def test_tables_that_differ_are_shown() -> None:
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    text = str(quote("grok-code-fast-1", "x-ai", at))
    assert "differs: litellm 1.110.2" in text and "input 1 for 0.2" in text
    assert "differs:" not in str(quote("gpt-4o", "openai", at))


def test_spellings_come_from_long_to_short_and_end() -> None:
    names = [
        s.name for s in spellings("google", "Vertex_AI/publishers/google/models/Gemini-2.5-Pro")
    ]
    assert names == [
        "vertex_ai/publishers/google/models/gemini-2.5-pro",
        "publishers/google/models/gemini-2.5-pro",
        "gemini-2.5-pro",
    ]
