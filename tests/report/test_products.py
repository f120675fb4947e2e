"""One similarity translated into each product's settings."""

import ast
import inspect
import json

import numpy as np
import pytest
import yaml

from costaudit.report.products import PRODUCTS, translate

# Settings for cosine 0.93, worked by hand: 1 - 0.93 = 0.07; (1 + 0.93) / 2 = 0.965
SETTINGS = {
    "RedisVL": "0.07",
    "LangCache": "0.93",
    "LangCache through RedisVL": "0.07",
    "GPTCache with FAISS": "0.965",
    "LiteLLM": "0.93",
    "khazad": "0.965",
    "Portkey": "0.93",
    "BetterDB": "0.07",
    "sulci": "0.93",
}


def test_settings_worked_by_hand() -> None:
    assert {one.product: one.value for one in translate(0.93)} == SETTINGS


@pytest.mark.parametrize("ttl_s", [None, 5400.0])
def test_the_settings_stand_in_snippets_that_parse(ttl_s: float | None) -> None:
    for one in translate(0.8765, ttl_s):
        assert one.value in one.snippet
        assert ("5400" in one.snippet) == (ttl_s is not None and "GPTCache" not in one.product)
        if one.product == "LiteLLM":
            params = yaml.safe_load(one.snippet)["litellm_settings"]["cache_params"]
            assert params.get("ttl") == (None if ttl_s is None else 5400)
        elif one.product == "Portkey":
            for line in one.snippet.splitlines()[1:]:
                config = json.loads(line.partition("  #")[0])
                assert config["cache"] == {"mode": "semantic", "max_age": 5400}
        else:
            ast.parse(one.snippet)


def test_redisvl_takes_the_arguments() -> None:
    from redisvl.extensions.cache import llm

    for name, product in (
        ("SemanticCache", "RedisVL"),
        ("LangCacheSemanticCache", "LangCache through RedisVL"),
    ):
        snippet = next(one.snippet for one in translate(0.9, 60) if one.product == product)
        made = next(
            node.value
            for node in ast.parse(snippet).body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        )
        known = inspect.signature(getattr(llm, name).__init__).parameters
        assert {keyword.arg for keyword in made.keywords} <= set(known)


@pytest.mark.parametrize("cosine", [0.5, 0.79, 0.93])
def test_gptcache_passes_exactly_at_the_threshold(cosine: float) -> None:
    """Its score is 4 - squared L2 distance, and it accepts scores from 4 x the setting on."""
    a, b = np.array([1.0, 0.0]), np.array([cosine, (1 - cosine**2) ** 0.5])
    rank = 4 - np.sum((a - b) ** 2)
    setting = next(one.value for one in translate(cosine) if one.product.startswith("GPTCache"))
    assert rank == pytest.approx(4 * float(setting), abs=4e-4)


def test_distances_of_redis_are_one_less_the_cosine() -> None:
    redisvl = next(product for product in PRODUCTS if product.name == "RedisVL")
    assert redisvl.value(0.9) == pytest.approx(0.1)  # its default
    assert redisvl.default_similarity == 0.90
    gptcache = next(product for product in PRODUCTS if product.name.startswith("GPTCache"))
    assert gptcache.value(gptcache.default_similarity) == pytest.approx(0.8)  # its default
    khazad = next(product for product in PRODUCTS if product.name == "khazad")
    assert khazad.value(khazad.default_similarity) == pytest.approx(0.90)  # its default
