"""A cache whose entries learn their own thresholds: the plain loop, the laws, and planted truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.simulate.semantic.division import Search
from costaudit.simulate.semantic.pairs import Sizes
from costaudit.simulate.semantic.policies.learned import LEAST, PairVerdicts, Rule, learn
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import BYPASS, MISS
from tests.simulate.semantic.oracle import replay_learned
from tests.simulate.semantic.streams import (
    Drawn,
    make_stream,
    odd_verdict,
    odd_verdicts,
    streams,
)


@settings(max_examples=30)
@given(streams(), st.sampled_from([0.3, 0.6, 0.8]), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_every_decision_equals_the_plain_loop(drawn: Drawn, lowest: float, bound: float) -> None:
    stream, vectors = drawn
    learned = learn(stream, vectors, Rule(lowest, bound, 5), odd_verdicts, Search())
    assert learned is not None
    expected = replay_learned(
        (
            stream.text.tolist(), stream.partition.tolist(),
            stream.ts_s.tolist(), stream.ready_s.tolist(),
        ),
        vectors, (lowest, bound, LEAST),
        np.random.default_rng(5).random(len(stream.text)).tolist(), odd_verdict,
    )  # fmt: skip
    assert learned.served.tolist() == expected.served
    assert learned.compared.tolist() == expected.compared


@given(streams(), st.integers(0, 9))
def test_each_request_is_a_hit_a_miss_or_a_bypass(drawn: Drawn, seed: int) -> None:
    stream, vectors = drawn
    learned = learn(stream, vectors, Rule(0.5, 0.3, seed), odd_verdicts, Search())
    assert learned is not None
    hit, missed = learned.served >= 0, learned.served == MISS
    bypassed = learned.served == BYPASS
    assert hit.sum() + missed.sum() + bypassed.sum() == len(stream.text)
    assert (bypassed == (stream.text < 0)).all()
    source, asked = learned.served[hit], np.flatnonzero(hit)
    assert (stream.partition[source] == stream.partition[asked]).all()
    assert (stream.ready_s[source] <= stream.ts_s[asked]).all()
    assert missed[source].all()  # only an answer that the model was called for can be served
    same = stream.text[source] == stream.text[asked]
    assert ((learned.similarity[hit] == 1.0) | ~same).all()
    assert missed[learned.compared >= 0].all()  # a comparison needs a call, which pays
    assert learned.entries <= len(np.unique(stream.text[missed])) * (stream.partition.max() + 1)


def same_question(count: int) -> tuple[Stream, np.ndarray]:
    """Build requests in different words that are all equally similar to the first."""
    vectors = np.zeros((count, count + 1), dtype=np.float32)
    vectors[:, 0] = np.sqrt(0.9)
    vectors[np.arange(count), np.arange(count) + 1] = np.sqrt(0.1)
    vectors[0] = 0.0
    vectors[0, 0] = 1.0
    whole = [0] * count
    return make_stream(range(count), whole, whole, range(count), whole), vectors


def verdict_of(one: int) -> PairVerdicts:
    """Return a judge whose verdict on each pair is the same."""
    return lambda asked, matched: np.full(len(asked), one, np.int8)


def test_an_entry_serves_after_enough_right_answers() -> None:
    stream, vectors = same_question(200)
    served = decided(stream, vectors, Rule(0.7, 0.05), verdict_of(1))
    assert (served[: LEAST + 1] == MISS).all()
    assert (served[LEAST + 1 :] >= 0).mean() > 0.5  # at 0.95 the curve has become likely
    assert set(served[served >= 0].tolist()) == {0}
    assert (served[-50:] == 0).all()


def test_an_entry_that_was_wrong_serves_no_more_than_the_bound() -> None:
    stream, vectors = same_question(400)
    served = decided(stream, vectors, Rule(0.7, 0.05), verdict_of(0))
    assert (served >= 0).mean() <= 0.05 * 1.5


def test_without_a_bound_to_spend_only_identical_text_is_served() -> None:
    stream, vectors = same_question(60)
    served = decided(stream, vectors, Rule(0.7, 0.0), verdict_of(1))
    assert (served == MISS).all()


def test_what_can_not_be_compared_teaches_nothing() -> None:
    stream, vectors = same_question(60)
    served = decided(stream, vectors, Rule(0.7, 0.5), verdict_of(-1))
    assert (served == MISS).all()


def test_too_many_similar_pairs_are_not_simulated() -> None:
    stream, vectors = same_question(60)
    few = Search(sizes=Sizes(listed_pairs=100))
    assert learn(stream, vectors, Rule(0.5, 0.5), odd_verdicts, few) is None


def decided(stream: Stream, vectors: np.ndarray, rule: Rule, judge: PairVerdicts) -> np.ndarray:
    learned = learn(stream, vectors, rule, judge, Search())
    assert learned is not None
    return learned.served


TOPICS, ASKED = 20, 1_200


def planted(kind: str, rng: np.random.Generator) -> tuple[Stream, np.ndarray, PairVerdicts]:
    """Plant topics with their own curves; the chance of each pair is fixed by its two requests."""
    topic = rng.integers(TOPICS, size=ASKED)
    middle = rng.normal(size=(TOPICS, 24))
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    away = rng.normal(size=(ASKED, 24)) * rng.uniform(0.02, 0.15, size=(ASKED, 1))
    vectors = middle[topic] + away
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    if kind == "curves":
        midpoint, slope = rng.uniform(0.65, 1.05, size=TOPICS), rng.uniform(10, 80, size=TOPICS)
    else:  # some topics are always right, the others never
        midpoint, slope = np.where(rng.random(TOPICS) < 0.5, 0.0, 2.0), np.full(TOPICS, 60.0)
    lucky = rng.random(ASKED)

    def judge(asked: np.ndarray, matched: np.ndarray) -> np.ndarray:
        alike = (vectors[asked].astype(float) * vectors[matched]).sum(axis=1)
        one = topic[matched]
        chance = 1 / (1 + np.exp(-slope[one] * (alike - midpoint[one])))
        chance = np.where(topic[asked] == one, chance, 0.0)
        right: np.ndarray = (lucky[asked] + lucky[matched] * 7.0) % 1.0 < chance
        return right.astype(np.int8)

    zero = [0] * ASKED
    return make_stream(range(ASKED), zero, zero, range(ASKED), zero), vectors, judge


@pytest.mark.parametrize("kind", ["curves", "always or never"])
def test_wrong_answers_stay_within_the_bound_on_planted_truth(kind: str) -> None:
    bound, wrong, served = 0.02, [], []
    for seed in range(24):
        stream, vectors, judge = planted(kind, np.random.default_rng(seed))
        decisions = decided(stream, vectors, Rule(0.7, bound, seed), judge)
        hits = np.flatnonzero(decisions >= 0)
        wrong.append((judge(hits, decisions[hits]) == 0).sum() / ASKED)
        served.append(len(hits) / ASKED)
    assert np.mean(wrong) <= bound
    assert max(wrong) <= bound + 3 * np.sqrt(bound * (1 - bound) / ASKED)
    assert np.mean(served) > 0.1
