"""The estimator compared with the exact result, on made-up texts in many topics."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from costaudit.contracts.grades import Estimate
from costaudit.contracts.policies import SemanticPolicy
from costaudit.errors import InsufficientDataError, UsageError
from costaudit.simulate.semantic.packing import MAX_NODES
from costaudit.simulate.semantic.sample import (
    Draw,
    Sampled,
    Vectors,
    sampled_hit_shares,
)
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import sweep
from tests.simulate.semantic.streams import make_stream

POLICIES = [SemanticPolicy(min_similarity=t) for t in (0.7, 0.8, 0.9)]
TOPICS, TEXTS, REPEATS, EMBEDDED = 80, 1_500, 700, 300
DRAWS = 24


Drawn = tuple[Stream, np.ndarray, np.ndarray, np.ndarray]  # requests, vectors, cheap vectors, hits


def unit(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """Return 1,500 texts in 80 topics, some repeated; the cheap vectors are noisy copies."""
    rng = np.random.default_rng(11)
    centres = rng.normal(size=(TOPICS, 48))
    topic = rng.integers(TOPICS, size=TEXTS)
    spread = rng.uniform(0.3, 0.9, size=TOPICS)[topic]
    vectors = centres[topic] + rng.normal(size=(TEXTS, 48)) * spread[:, None]
    cheap = unit(vectors + rng.normal(size=vectors.shape) * 0.6)
    vectors = unit(vectors)
    text = np.concatenate([rng.permutation(TEXTS), rng.integers(TEXTS, size=REPEATS)])
    text = rng.permutation(text)
    zeros = [0] * len(text)
    stream = make_stream(text, zeros, zeros, range(len(text)), zeros)
    return stream, vectors, cheap, sweep(stream, vectors, POLICIES).served >= 0


def bounds(share: Estimate) -> tuple[float, float]:
    """Return both ends of an estimate's interval, which must exist."""
    assert share.low is not None and share.high is not None
    return share.low, share.high


def estimates(drawn: Drawn, seeds: range, **options: Any) -> list[Sampled]:
    stream, vectors, cheap, _ = drawn
    options = {"texts": EMBEDDED, **options}
    return [
        sampled_hit_shares(
            stream, Vectors(cheap, lambda rows: vectors[rows]), POLICIES, Draw(seed=s, **options)
        )
        for s in seeds
    ]


def test_intervals_cover_the_whole_answer_as_often_as_they_claim(drawn: Drawn) -> None:
    truth = drawn[3].mean(axis=1)
    covered, errors = [], []
    for found in estimates(drawn, range(DRAWS)):
        assert found.embedded_texts == EMBEDDED
        for share, whole in zip(found.hit_share, truth, strict=True):
            low, high = bounds(share)
            covered.append(low <= whole <= high)
            errors.append(share.value - whole)
            assert share.grade == "estimated"
    assert np.mean(covered) > 0.9  # nominal .95; 24 draws, with correlated thresholds
    assert abs(np.mean(errors)) < 0.01


def test_what_the_halo_misses_is_put_back(drawn: Drawn) -> None:
    """Without the correction, estimates are too low on average because neighbours are missing."""
    truth = drawn[3].mean(axis=1)

    def bias(**options: Any) -> float:
        found = estimates(drawn, range(DRAWS), **options)
        return float(np.mean([[one.value for one in each.hit_share] for each in found] - truth))

    corrected, plain = bias(), bias(lasting=0.0)
    assert plain < -0.005
    assert abs(corrected) < abs(plain)


def test_dollars_are_estimated_by_their_weight(drawn: Drawn) -> None:
    stream, _, _, hits = drawn
    usd = np.random.default_rng(3).lognormal(size=len(stream.text))
    truth = (hits * usd).sum(axis=1) / usd.sum()
    covered = []
    for found in estimates(drawn, range(12), weight=usd):
        for share, whole in zip(found.weight_share, truth, strict=True):
            low, high = bounds(share)
            covered.append(low <= whole <= high)
    assert np.mean(covered) > 0.85


def test_weighing_all_requests_alike_is_counting_them(drawn: Drawn) -> None:
    stream = drawn[0]
    (found,) = estimates(drawn, range(1), weight=np.full(len(stream.text), 0.25))
    for share, weighed in zip(found.hit_share, found.weight_share, strict=True):
        assert weighed.value == pytest.approx(share.value)
        assert weighed.high == pytest.approx(share.high)


def test_a_sample_of_everything_is_exact(drawn: Drawn) -> None:
    stream, _, _, hits = drawn
    (found,) = estimates(drawn, range(1), texts=TEXTS)
    for share, whole in zip(found.hit_share, hits.mean(axis=1), strict=True):
        assert share.value == pytest.approx(whole)
        low, high = bounds(share)
        assert high - low < 1e-5
    entries = TEXTS - (hits.sum(axis=1) - (len(stream.text) - TEXTS))  # one miss per entry
    assert found.peak_entries == tuple(entries)


def test_fields_that_are_checked_after_the_search_count_in_a_sample_too(drawn: Drawn) -> None:
    stream, vectors, cheap, hits = drawn
    checked = np.random.default_rng(3).integers(3, size=len(stream.text)).astype(np.int32)
    stream = dataclasses.replace(stream, checked=checked)
    policies = [dataclasses.replace(one, scope_after=("tenant",)) for one in POLICIES]
    truth = sweep(stream, vectors, policies).served >= 0
    assert (truth.mean(axis=1) < hits.mean(axis=1) - 0.05).all()
    made = Vectors(cheap, lambda rows: vectors[rows])
    whole = sampled_hit_shares(stream, made, policies, Draw(TEXTS)).hit_share
    assert [share.value for share in whole] == pytest.approx(truth.mean(axis=1).tolist())
    for share, right in zip(
        sampled_hit_shares(stream, made, policies, Draw(2 * EMBEDDED)).hit_share,
        truth.mean(axis=1),
        strict=True,
    ):
        low, high = bounds(share)
        assert low <= right <= high


def test_only_the_sample_is_embedded_and_each_text_once(drawn: Drawn) -> None:
    stream, vectors, cheap, _ = drawn
    asked: list[np.ndarray] = []

    def embed(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        found: np.ndarray = vectors[rows]
        return found

    found = sampled_hit_shares(stream, Vectors(cheap, embed), POLICIES, Draw(EMBEDDED, 1))
    rows = np.concatenate(asked)
    assert len(rows) == len(np.unique(rows)) == found.embedded_texts
    assert found.core_texts < found.embedded_texts


def test_identical_repeats_need_no_estimate(drawn: Drawn) -> None:
    stream, vectors, cheap, _ = drawn
    only = [SemanticPolicy(min_similarity=1.5)]
    found = sampled_hit_shares(
        stream, Vectors(cheap, lambda rows: vectors[rows]), only, Draw(EMBEDDED)
    )
    assert found.hit_share[0].value == pytest.approx(REPEATS / (TEXTS + REPEATS))


class Alike:
    """Cheap vectors that are all the same."""

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray:
        return np.ones((len(rows), 1), np.float32)


@pytest.mark.slow
def test_a_log_may_have_more_texts_than_an_exact_sweep() -> None:
    text = np.append(np.arange(MAX_NODES + 1), [0, 1])
    zeros = np.zeros(len(text), np.int64)
    stream = make_stream(text, zeros, zeros, np.arange(len(text)), zeros)
    rng = np.random.default_rng(0)
    vectors = Vectors(Alike(), lambda rows: unit(rng.normal(size=(len(rows), 64))))
    found = sampled_hit_shares(stream, vectors, POLICIES[-1:], Draw(EMBEDDED))
    assert found.hit_share[0].value == pytest.approx(2 / len(text))


def test_the_same_seed_draws_the_same_sample(drawn: Drawn) -> None:
    one, two, other = (estimates(drawn, range(s, s + 1))[0] for s in (3, 3, 4))
    assert dataclasses.asdict(one) == dataclasses.asdict(two)
    assert one.hit_share != other.hit_share


def test_what_can_not_be_drawn_is_refused(drawn: Drawn) -> None:
    stream, vectors, cheap, _ = drawn

    def draw(policy: SemanticPolicy, texts: int) -> Sampled:
        return sampled_hit_shares(
            stream, Vectors(cheap, lambda rows: vectors[rows]), [policy], Draw(texts)
        )

    with pytest.raises(UsageError, match="size limit"):
        draw(SemanticPolicy(0.9, max_entries=5), EMBEDDED)
    with pytest.raises(InsufficientDataError, match="too few"):
        draw(SemanticPolicy(0.9), 20)


def test_texts_without_words_have_no_cheap_vector(drawn: Drawn) -> None:
    stream, vectors, cheap, _ = drawn
    blank = cheap.copy()
    blank[::7] = 0
    found = sampled_hit_shares(
        stream, Vectors(blank, lambda rows: vectors[rows]), POLICIES, Draw(EMBEDDED, 2)
    )
    for share in found.hit_share:
        low, high = bounds(share)
        assert 0 <= low <= share.value <= high <= 1


def test_bypassed_requests_count_for_nothing(drawn: Drawn) -> None:
    stream, vectors, cheap, _ = drawn
    text = stream.text.copy()
    text[::3] = -1
    used, renumbered = np.unique(text[text >= 0], return_inverse=True)
    text[text >= 0] = renumbered
    part = dataclasses.replace(
        stream,
        texts=stream.texts[used],
        text=text,
        bypass=np.where(text < 0, np.int8(1), stream.bypass),
    )
    near, far = vectors[used], cheap[used]
    hits = sweep(part, near, POLICIES).served >= 0
    found = sampled_hit_shares(
        part, Vectors(far, lambda rows: near[rows]), POLICIES, Draw(len(used))
    )
    for share, whole in zip(found.hit_share, hits.sum(axis=1) / (text >= 0).sum(), strict=True):
        assert share.value == pytest.approx(whole)


def test_where_nothing_can_be_similar_nothing_is_embedded() -> None:
    """Each text has its own partition, so only an identical text can hit."""
    text = [*range(250), *range(50)]
    stream = make_stream(text, text, text, range(300), [0] * 300)
    asked: list[np.ndarray] = []

    def embed(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        return np.ones((len(rows), 1), dtype=np.float32)

    found = sampled_hit_shares(
        stream, Vectors(np.ones((250, 1), dtype=np.float32), embed), POLICIES, Draw(200)
    )
    assert found.embedded_texts == sum(map(len, asked)) == 0
    for share in found.hit_share:
        assert share.low == share.value == share.high == pytest.approx(50 / 300)
