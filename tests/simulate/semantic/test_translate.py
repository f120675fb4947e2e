"""Configurations that can be pasted, with the threshold on the product's own scale."""

import ast
import json
import re

import pytest
import yaml

from costaudit.contracts.policies import SemanticPolicy
from costaudit.simulate.semantic.scales import SCALES
from costaudit.simulate.semantic.sizing import size_cache
from costaudit.simulate.semantic.translate import configurations, on_scale

POLICY = SemanticPolicy(
    min_similarity=0.9, scope=("tenant", "model"), ttl_s=3600.0, ttl_kind="fixed", max_entries=500
)


def texts(policy: SemanticPolicy) -> dict[str, str]:
    return {one.product: one.text for one in configurations(policy, 384)}


def test_thresholds_are_stated_on_each_products_scale() -> None:
    found = texts(POLICY)
    assert "distance_threshold=0.1," in found["RedisVL"]
    assert "distance_threshold=0.1)" in found["Redis LangCache"]
    assert "similarity of 0.95" in found["Redis LangCache"]  # (2 - .1) / 2
    assert "similarity_threshold=0.95)" in found["GPTCache"]  # (1 + .9) / 2
    assert "similarity_threshold: 0.9" in found["LiteLLM"]


@pytest.mark.parametrize("scale", sorted(SCALES))
@pytest.mark.parametrize("similarity", [0.7, 0.79, 0.83, 1.0])
def test_a_stated_threshold_reads_back_as_the_same_cosine(scale: str, similarity: float) -> None:
    from costaudit.simulate.semantic.thresholds import parse_thresholds

    stated = on_scale(SemanticPolicy(min_similarity=similarity), scale)
    assert parse_thresholds(f"{scale}:{stated}") == (similarity,)


@pytest.mark.parametrize("ttl", [None, 90.0])
@pytest.mark.parametrize("scope", [(), ("tenant", "user")])
def test_every_configuration_parses(ttl: float | None, scope: tuple) -> None:
    policy = SemanticPolicy(min_similarity=0.85, scope=scope, ttl_s=ttl)
    readers = {"python": ast.parse, "yaml": yaml.safe_load, "json": json.loads}
    for one in configurations(policy, 384):
        assert readers[one.language](one.text), one.product


def test_redisvl_takes_the_arguments() -> None:
    cache = pytest.importorskip("redisvl.extensions.cache.llm")
    import inspect

    call = ast.parse(texts(POLICY)["RedisVL"]).body[-1].value
    known = inspect.signature(cache.SemanticCache.__init__).parameters
    assert {keyword.arg for keyword in call.keywords} <= set(known)


def test_differences_from_the_policy_are_named() -> None:
    by_product = {one.product: " ".join(one.differences) for one in configurations(POLICY, 384)}
    assert "sliding" in by_product["RedisVL"]
    assert "no TTL" in by_product["GPTCache"]
    assert "system prompt" in by_product["Portkey"]


def test_memory_is_added_up_by_hand() -> None:
    sizing = size_cache(POLICY, 1_000_000, 384, mean_text_bytes=60.4, mean_answer_bytes=900)
    # vectors 2 x 4 x 384 = 3,072; overheads 480 + 160; texts 960.4
    assert sizing.bytes_per_entry == 4_673
    assert sizing.total_bytes == 4_673_000_000
    # 4,673 MB x 1.25 = 5,841,250,000 B = 5,570.65 MiB, and 64 MiB
    assert sizing.maxmemory_mib == 5_635
    assert re.fullmatch("allkeys-lru", sizing.maxmemory_policy)
