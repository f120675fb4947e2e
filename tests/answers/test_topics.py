"""False alarms by topic: a topic's own share is shrunk towards that of the whole log."""

import numpy as np
import pytest

from costaudit.answers.topics import Alarms


def shares(topic: list[int], fired: list[int], share: float) -> Alarms:
    held = np.array(fired, float)
    return Alarms.of(np.array(topic, np.int32), held, np.ones(len(held)), max(topic) + 2, share)


def test_topics_that_differ_are_read_by_their_own_repeats() -> None:
    # topic 0 always differs, the nine others never do
    topic = np.repeat(np.arange(10), 20).tolist()
    found = shares(topic, [1] * 20 + [0] * 180, 0.1)
    by_topic = found.by_topic()
    assert found.strength == 4.0  # the lower limit
    assert by_topic[0] == pytest.approx((20 + 0.4) / 24)
    assert by_topic[1] == pytest.approx(0.4 / 24)
    assert by_topic[10] == pytest.approx(0.1)  # no repeats: the whole log's share


def test_topics_that_differ_by_chance_are_read_by_the_whole_log() -> None:
    rng = np.random.default_rng(3)
    topic = np.repeat(np.arange(50), 20).tolist()
    found = shares(topic, (rng.random(1000) < 0.2).astype(int).tolist(), 0.2)
    assert found.strength > 50
    assert np.abs(found.by_topic() - 0.2).max() < 0.12


def test_a_pair_does_not_vouch_for_itself() -> None:
    found = shares([0, 0, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0], 1 / 6)
    own = found.without(np.array([0, 0], np.int32), np.array([1.0, 0.0]), np.ones(2))
    lean = found.strength
    np.testing.assert_allclose(own, [(lean / 6) / (1 + lean), (1 + lean / 6) / (1 + lean)])
