"""The evidence of all hits of one question on one entry is pooled."""

import numpy as np
import pytest

from costaudit.answers.mixture.answer_sets import NULL
from costaudit.answers.mixture.mixture import ALIKE, CELLS, Fit, Places, latent_spread, pooled

LIKE, UNLIKE = 100, 20  # cells


def fitted(topic_if_like: float, topic_if_unlike: float, share: float, ratio: float = 1.0) -> Fit:
    """One stratum; pairs in a cell are right unless they are on different topics.

    ratio: the likelihood ratio of the first class of evidence.
    """
    topic = np.full((1, 1, CELLS), 0.5)
    topic[0, 0, LIKE], topic[0, 0, UNLIKE] = topic_if_like, topic_if_unlike
    shares = np.array([[[0.9 * (1 - share), 0.1 * (1 - share), share, 0.0]]])
    told = np.ones((1, len(NULL)))
    told[0, 1] = ratio
    return Fit(0.9 * (1 - topic), topic, np.zeros_like(topic), shares, told)


def right(of: Fit, cell: list[int], group: list[int], evidence: int = 0) -> np.ndarray:
    none = np.zeros(len(cell), np.int64)
    return pooled(of, Places(none, np.array(cell), none + evidence), np.array(group))


def test_a_single_hit_is_judged_by_its_own_answers() -> None:
    np.testing.assert_allclose(right(fitted(0.1, 0.6, 0.3), [LIKE, UNLIKE], [0, 1]), [0.81, 0.36])


def test_hits_of_a_group_speak_for_each_other() -> None:
    # share 0.5: the odds of one topic are 9 to 1 if answers are alike. Three such hits count as
    # 3 / (1 + 2 * 0.3) = 1.875 hits, so 9**1.875 = 61.6 to 1. A tenth has a wrong detail.
    odds = 9 ** (3 / (1 + 2 * ALIKE))
    found = right(fitted(0.1, 0.9, 0.5), [LIKE] * 3, [0] * 3)
    np.testing.assert_allclose(found, 0.9 * odds / (1 + odds))
    mixed = right(fitted(0.1, 0.9, 0.5), [LIKE, LIKE, UNLIKE], [0] * 3)
    odds = 9 ** (1 / (1 + 2 * ALIKE))  # one hit cancels one of the two others
    np.testing.assert_allclose(mixed, 0.9 * odds / (1 + odds))


def test_one_odd_answer_settles_nothing() -> None:
    found = right(fitted(0.1, 1 - 1e-12, 0.5), [LIKE] * 9 + [UNLIKE], [0] * 10)
    assert found[0] > 0.8  # nine to one, although the tenth alone makes it nearly impossible


def test_the_sets_of_answers_of_a_group_count_once() -> None:
    # odds 9 to 1 for one topic by each answer and 1 to 20 by the sets, whatever the number of hits;
    # the tenth of wrong details becomes 20 times as likely too
    odds = 9 ** (3 / (1 + 2 * ALIKE)) / 20
    found = right(fitted(0.1, 0.9, 0.5, ratio=20.0), [LIKE] * 3, [0] * 3, evidence=1)
    np.testing.assert_allclose(found, odds / (1 + odds) * 0.9 / (0.9 + 0.1 * 20))


def test_what_stays_open_hangs_on_groups_not_on_hits() -> None:
    # two groups of 50 hits, each wrong with probability 1/2: 50 * 50 * 1/4, twice
    off, group = np.full(100, 0.5), np.repeat([0, 1], 50)
    assert latent_spread(off, group) == pytest.approx(np.sqrt(2 * 50 * 50 / 4))
    # the same hits without groups: 100 * 1/4
    assert latent_spread(off, np.arange(100)) == pytest.approx(5.0)
    assert latent_spread(np.zeros(9), np.zeros(9, np.int64)) == 0.0
    assert latent_spread(np.zeros(0), np.zeros(0, np.int64)) == 0.0
