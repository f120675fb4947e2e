"""The likely number of distinct texts holds the planted one, whatever the share of repeats."""

import numpy as np
import pytest

from costaudit.embed.distinct import distinct_texts

N = 40_000


def drawn(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return the texts of N requests, as numbers."""
    if kind.startswith("fresh"):  # this share was never asked before, and the rest are 300 texts
        text = rng.integers(0, 300, N)
        is_fresh = rng.random(N) < float(kind.split()[1])
        text[is_fresh] = 300 + np.arange(is_fresh.sum())
        return text
    if kind.startswith("pool"):
        return rng.integers(0, int(kind.split()[1]), N)
    if kind == "zipf":
        return rng.zipf(1.3, N)
    return np.arange(N) // 2  # each is asked twice, one after the other


KINDS = ("fresh 0.01", "fresh 0.1", "fresh 0.5", "fresh 0.9", "pool 50", "pool 2000",
         "pool 20000", "zipf", "pairs")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [4, 20])
def test_the_planted_number_is_likely(kind: str, part: int) -> None:
    """By the law of two standard deviations at each end, at least 19 of 20 logs hold it."""
    rng, held = np.random.default_rng(part), 0
    for _ in range(20):
        text = drawn(kind, rng)
        low, high = distinct_texts(text[: N // part], N)
        held += low <= len(np.unique(text)) <= high
    assert held >= 19


def test_the_range_is_narrow_where_the_trial_shows_much() -> None:
    text = drawn("fresh 0.5", np.random.default_rng(0))
    low, high = distinct_texts(text[: N // 4], N)
    assert high - low < 0.15 * N / 2


def test_nothing_is_estimated_of_what_was_read() -> None:
    assert distinct_texts(np.array([3, 1, 3, 7]), 4.0) == (3.0, 3.0)
    assert distinct_texts(np.empty(0, np.int32), 9.0) == (0.0, 0.0)


def test_the_ends_are_those_computed_by_hand() -> None:
    """16 requests: 9 texts once, 2 twice, 1 three times; one new text in the last four."""
    text = np.array([0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 9, 10, 11, 11, 8])
    low, high = distinct_texts(text, 116.0)
    once, twice = 9 - 2 * 3, 2 + 2 * np.sqrt(3)
    never = once**2 / (2 * (twice + 1))
    more = never * (1 - (1 - once / (16 * never + once)) ** 100)
    assert low == pytest.approx(12 + max(more - 2 * np.sqrt(more), 0))
    assert high == pytest.approx(12 + 100 * min((1 + 2 * np.sqrt(2) + 1) / 4, 1))
