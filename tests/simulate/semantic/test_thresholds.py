"""Thresholds as users write them, on the scales of their products."""

from decimal import Decimal

import pytest

from costaudit.errors import UsageError
from costaudit.report.products import PRODUCTS, translate
from costaudit.simulate.semantic.thresholds import SCALES, parse_thresholds, scale_named


def test_a_range_holds_both_ends_and_exact_steps() -> None:
    found = parse_thresholds("0.70:0.99:0.01")
    assert len(found) == 30
    assert found[:3] == (0.7, 0.71, 0.72)
    assert found[-1] == 0.99


def test_values_and_ranges_mix_and_repeat_once() -> None:
    assert parse_thresholds(" 0.9, 0.8:0.9:0.05 ,cos:0.85") == (0.8, 0.85, 0.9)


@pytest.mark.parametrize(
    ("text", "cosine"),
    [
        ("redis:0.1", 0.9),  # cosine distance: 1 - .1
        ("redisvl:0.1", 0.9),
        ("betterdb:0.12", 0.88),
        ("gptcache:0.8", 0.6),  # squared distance (1 - .8) x 4 = .8; cosine 1 - .8 / 2
        ("langcache:0.95", 0.9),  # distance 2 - 2 x .95 = .1
        ("l2:0.8", 0.6),  # 1 - .8 / 2
        ("portkey:0.95", 0.95),
        ("litellm:0.8", 0.8),
        ("khazad:0.9", 0.8),  # Redis vector sets score (1 + cosine) / 2
    ],
)
def test_products_scales_become_cosines(text: str, cosine: float) -> None:
    assert parse_thresholds(text) == (cosine,)


def test_a_range_of_distances_becomes_rising_cosines() -> None:
    assert parse_thresholds("redis:0.05:0.15:0.05") == (0.85, 0.9, 0.95)


@pytest.mark.parametrize("name", sorted(SCALES))
def test_equal_texts_are_at_cosine_1_on_every_scale(name: str) -> None:
    best = Decimal(0) if name in ("redis", "l2") else Decimal(1)  # distances, similarities
    assert scale_named(name).cosine(best) == 1


@pytest.mark.parametrize("similarity", [0.7, 0.79, 0.83, 1.0])
@pytest.mark.parametrize("product", [one.name for one in PRODUCTS])
def test_a_products_setting_in_the_report_reads_back_as_the_same_cosine(
    product: str, similarity: float
) -> None:
    scale = {"LangCache through RedisVL": "redis", "LangCache": "cos"}.get(
        product, product.split()[0].lower()
    )
    setting = next(one.value for one in translate(similarity) if one.product == product)
    assert parse_thresholds(f"{scale}:{setting}") == (similarity,)


@pytest.mark.parametrize(
    "text",
    ["", "high", "0.7:0.9", "0.9:0.7:0.1", "0.7:0.9:0", "0.7:0.9:-0.1", "0", "-0.5", "1.01", "nan",
     "inf", "redis:1.0", "gptcache:0.4", "milvus:0.9", "0.1:0.9:0.00001", "0.7:0.8:0.1:0.1",
     "redis:", "0.9,,0.8"],
)  # fmt: skip
def test_what_can_not_be_used_says_what_to_write(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_thresholds(text)
    assert caught.value.hint
