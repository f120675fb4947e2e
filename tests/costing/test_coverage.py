"""Nearly every chat model of LiteLLM's first-party sections has a price and a cache rule."""

import importlib.util
import json
from datetime import date
from pathlib import Path

import pytest

from costaudit.costing.prices.rate_card import PriceKey, rate_card
from costaudit.costing.prices.second_table import second_models
from costaudit.simulate.prefix.rules.rules import rules_for

DAY = date(2026, 11, 28)
FIRST_PARTY = (
    "openai", "anthropic", "google", "mistral", "x-ai", "deepseek", "cohere", "moonshotai", "zai",
    "minimax", "dashscope", "perplexity", "aws", "azure",
)  # fmt: skip
SECTIONS = (
    "openai", "anthropic", "gemini", "mistral", "xai", "deepseek", "cohere_chat", "moonshot", "zai",
    "minimax", "dashscope", "vertex_ai-language-models", "vertex_ai-anthropic_models",
)  # fmt: skip
UNKNOWN = "No prompt cache known"


def is_priced(provider: str, model: str) -> bool:
    card = rate_card(PriceKey(provider, model, None, None, None), None)
    return card is not None and card.cells[card.number(DAY, 43_200, 1)] is not None


def test_at_least_95_percent_are_priced_and_have_a_rule() -> None:
    told, lacking, every = 0, [], 0
    for provider in FIRST_PARTY:
        for model in second_models(provider, ("chat", "responses", "completion")):
            if "commitment" in model:
                continue  # priced per hour, not per token
            every += 1
            if is_priced(provider, model) and rules_for(provider, model, DAY).label != UNKNOWN:
                told += 1
            else:
                lacking.append(f"{provider}/{model}")
    print(f"{told:,} of {every:,} chat models are priced and have a rule: {told / every:.1%}")
    assert every > 1_000 and told / every >= 0.95, lacking


@pytest.mark.live
def test_litellms_own_names_are_priced_too() -> None:
    # The names as LiteLLM writes them, with section and region, not as our table does.
    found = importlib.util.find_spec("litellm")
    if found is None or not found.submodule_search_locations:
        pytest.skip("litellm is not installed: its table of names is not here")
    folder = Path(next(iter(found.submodule_search_locations)))
    document = json.loads((folder / "model_prices_and_context_window_backup.json").read_text())
    names = [
        (str(one["litellm_provider"]), name)
        for name, one in document.items()
        if one.get("mode") == "chat" and one.get("litellm_provider") in SECTIONS
        and (one.get("input_cost_per_token") or one.get("tiered_pricing"))
    ]  # fmt: skip
    priced = [name for section, name in names if is_priced(section, name)]
    assert len(priced) >= 0.95 * len(names)


@pytest.mark.parametrize(
    ("provider", "model", "rules"),
    [
        ("azure", "eu/gpt-4.1", "openai_classic"),
        ("google", "models/gemini-2.5-pro", "gemini"),
        ("aws", "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock"),
        ("aws", "global.amazon.nova-2-lite-v1:0", "bedrock_nova"),
        ("cohere", "command-r-08-2024", "no_cached_price"),
        ("aws", "eu.meta.llama3-2-1b-instruct-v1:0", "hosted_no_cached_price"),
    ],
)
def test_a_written_name_has_its_models_rules(provider: str, model: str, rules: str) -> None:
    assert rules_for(provider, model, DAY).name == rules


def test_the_read_price_of_sonnet_5_5_has_a_day() -> None:
    before, after = (
        rules_for("anthropic", "claude-sonnet-5-5", day)
        for day in (date(2026, 10, 6), date(2026, 10, 7))
    )
    assert (before.read_mult, after.read_mult) == ("0.10", "0.05")
