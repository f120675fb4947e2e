"""The evidence of all hits of one question on one entry is pooled."""

import numpy as np
import pytest

from costaudit.answers.mixture import ALIKE, CELLS, Pool, latent_spread

LIKE, UNLIKE, UNKNOWN = 100, 20, CELLS + 2  # places; the last one is no cell


def pool(topic_if_like: float, topic_if_unlike: float, share: float) -> Pool:
    """One stratum; pairs in a cell are right unless they are on different topics."""
    topic = np.full((1, CELLS), 0.5)
    topic[0, LIKE], topic[0, UNLIKE] = topic_if_like, topic_if_unlike
    return Pool(right=0.9 * (1 - topic), topic=topic, share=np.array([share]))


def right(of: Pool, cell: list[int], group: list[int]) -> np.ndarray:
    return of.right_of(np.zeros(len(cell), np.int64), np.array(cell), np.array(group))


def test_a_single_hit_is_judged_by_its_own_answers() -> None:
    np.testing.assert_allclose(right(pool(0.1, 0.6, 0.3), [LIKE, UNLIKE], [0, 1]), [0.81, 0.36])


def test_hits_of_a_group_speak_for_each_other() -> None:
    # share 0.5: the odds of one topic are 9 to 1 if answers are alike. Three such hits count as
    # 3 / (1 + 2 * 0.3) = 1.875 hits, so 9**1.875 = 61.6 to 1. A tenth has a wrong detail.
    odds = 9 ** (3 / (1 + 2 * ALIKE))
    found = right(pool(0.1, 0.9, 0.5), [LIKE] * 3, [0] * 3)
    np.testing.assert_allclose(found, 0.9 * odds / (1 + odds))
    mixed = right(pool(0.1, 0.9, 0.5), [LIKE, LIKE, UNLIKE], [0] * 3)
    odds = 9 ** (1 / (1 + 2 * ALIKE))  # one hit cancels one of the two others
    np.testing.assert_allclose(mixed, 0.9 * odds / (1 + odds))


def test_one_odd_answer_settles_nothing() -> None:
    found = right(pool(0.1, 1 - 1e-12, 0.5), [LIKE] * 9 + [UNLIKE], [0] * 10)
    assert found[0] > 0.8  # nine to one, although the tenth alone makes it nearly impossible


def test_pairs_in_no_cell_are_left_alone() -> None:
    found = right(pool(0.1, 0.9, 0.5), [UNKNOWN, LIKE], [0, 0])
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(0.81)


def test_what_stays_open_hangs_on_groups_not_on_hits() -> None:
    # two groups of 50 hits, each wrong with probability 1/2: 50 * 50 * 1/4, twice
    off, group = np.full(100, 0.5), np.repeat([0, 1], 50)
    assert latent_spread(off, group) == pytest.approx(np.sqrt(2 * 50 * 50 / 4))
    # the same hits without groups: 100 * 1/4
    assert latent_spread(off, np.arange(100)) == pytest.approx(5.0)
    assert latent_spread(np.zeros(9), np.zeros(9, np.int64)) == 0.0
    assert latent_spread(np.zeros(0), np.zeros(0, np.int64)) == 0.0
