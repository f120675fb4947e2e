"""The estimator against the whole answer, on made-up texts in many groups."""

import dataclasses

import numpy as np
import pytest

from costaudit.contracts.policies import SemanticPolicy
from costaudit.errors import InsufficientDataError, UsageError
from costaudit.simulate.semantic.sample import sampled_hit_shares
from costaudit.simulate.semantic.sweep import sweep
from tests.simulate.semantic.test_sweep import make_stream

POLICIES = [SemanticPolicy(min_similarity=t) for t in (0.7, 0.8, 0.9)]
TOPICS, TEXTS = 150, 3_000


@pytest.fixture(scope="module")
def drawn():
    """3,000 texts in 150 topics, some asked for again; the cheap vectors are a noisy view."""
    rng = np.random.default_rng(11)
    centres = rng.normal(size=(TOPICS, 48))
    topic = rng.integers(TOPICS, size=TEXTS)
    spread = rng.uniform(0.3, 0.9, size=TOPICS)[topic]
    vectors = centres[topic] + rng.normal(size=(TEXTS, 48)) * spread[:, None]
    cheap = vectors + rng.normal(size=vectors.shape) * 0.4
    vectors, cheap = (
        (one / np.linalg.norm(one, axis=1, keepdims=True)).astype(np.float32)
        for one in (vectors, cheap)
    )
    text = np.concatenate([rng.permutation(TEXTS), rng.integers(TEXTS, size=1_500)])
    text = rng.permutation(text)
    zeros = [0] * len(text)
    stream = make_stream(text, zeros, zeros, range(len(text)), zeros)
    truth = (sweep(stream, vectors, POLICIES).served >= 0).mean(axis=1)
    return stream, vectors, cheap, truth


def test_intervals_cover_the_whole_answer(drawn) -> None:
    stream, vectors, cheap, truth = drawn
    covered, errors = [], []
    for seed in range(20):
        found = sampled_hit_shares(
            stream, cheap, lambda rows: vectors[rows], POLICIES, share=0.08, seed=seed
        )
        assert found.embedded_texts < TEXTS * 0.6
        for share, whole in zip(found.hit_share, truth, strict=True):
            covered.append(share.low <= whole <= share.high)
            errors.append(share.value - whole)
            assert share.grade == "estimated"
    assert np.mean(covered) > 0.8  # nominal .95; 20 draws whose thresholds go together
    assert abs(np.mean(errors)) < 0.03


def test_only_the_sample_is_embedded_and_each_text_once(drawn) -> None:
    stream, vectors, cheap, _ = drawn
    asked: list[np.ndarray] = []

    def embed(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        return vectors[rows]

    found = sampled_hit_shares(stream, cheap, embed, POLICIES, share=0.05, seed=1)
    rows = np.concatenate(asked)
    assert len(rows) == len(np.unique(rows)) == found.embedded_texts
    assert found.core_texts < found.embedded_texts


def test_identical_repeats_need_no_estimate(drawn) -> None:
    stream, vectors, cheap, _ = drawn
    exact_only = [SemanticPolicy(min_similarity=1.5)]
    found = sampled_hit_shares(
        stream, cheap, lambda rows: vectors[rows], exact_only, share=0.05, seed=2
    )
    truth = float((sweep(stream, vectors, exact_only).served >= 0).mean())
    assert found.hit_share[0].value == pytest.approx(truth)
    assert found.hit_share[0].low == found.hit_share[0].high == found.hit_share[0].value


def test_the_same_seed_draws_the_same_sample(drawn) -> None:
    stream, vectors, cheap, _ = drawn
    one, two, other = (
        sampled_hit_shares(
            stream, cheap, lambda rows: vectors[rows], POLICIES, share=0.05, seed=seed
        )
        for seed in (3, 3, 4)
    )
    assert dataclasses.asdict(one) == dataclasses.asdict(two)
    assert one.hit_share != other.hit_share


def test_what_can_not_be_drawn_is_refused(drawn) -> None:
    stream, vectors, cheap, _ = drawn
    with pytest.raises(UsageError, match="can't be drawn"):
        sampled_hit_shares(stream, cheap, lambda rows: vectors[rows], POLICIES, share=1.0)
    small = make_stream(range(40), [0] * 40, [0] * 40, range(40), [0] * 40)
    with pytest.raises(InsufficientDataError, match="too few"):
        sampled_hit_shares(small, cheap[:40], lambda rows: vectors[rows], POLICIES, share=0.5)
