"""What verdicts show about the detectors, on planted wrong details."""

import numpy as np
import pytest

from costaudit.answers.judge.ask import Sample
from costaudit.answers.judge.misses import missed_details
from costaudit.answers.judge.ppi import PERFECT, JudgeError
from costaudit.answers.mixture.mixture import Missed

HITS, DRAWN = 4_000, 600


def planted(share_missed: float, error: JudgeError, seed: int) -> Missed:
    """Draw hits of which some have wrong details; return what verdicts show.

    A detector sees the others. Hits that it sees are drawn ten times as often as the rest.
    """
    rng = np.random.default_rng(seed)
    wrong = rng.random(HITS) < 0.1
    seen = wrong & (rng.random(HITS) >= share_missed)
    looks_right = 0.1 * 0.05 / (0.1 * 0.05 + 0.9)  # by the prior, of what no detector sees
    kinds = np.stack([np.where(seen, 0, looks_right), seen * 0.98, np.zeros(HITS)])
    stratum = seen.astype(np.int32)
    order = [rng.permutation(np.flatnonzero(stratum == k)) for k in (0, 1)]
    rows = np.concatenate([order[0][: DRAWN // 2], order[1][: DRAWN // 2]])
    called_right = np.where(wrong[rows], error.wrong_called_right, error.right_called_right)
    said = (rng.random(len(rows)) < called_right).astype(np.int8)
    drawn = np.bincount(stratum[rows], minlength=2)
    return missed_details(kinds, Sample(rows, stratum, drawn), said, error)


@pytest.mark.parametrize("error", [PERFECT, JudgeError(0.95, 0.1, 50, 50)], ids=["sure", "errs"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
def test_the_share_missed_is_found_although_the_judge_errs(error: JudgeError, share: float) -> None:
    found = [planted(share, error, seed) for seed in range(20)]
    missed = sum(one.missed + one.unexplained for one in found)
    assert missed / (missed + sum(one.seen for one in found)) == pytest.approx(share, abs=0.1)


def test_wrong_hits_without_any_wrong_detail_are_unexplained() -> None:
    # a quarter of the hits is wrong, and nothing tells them from the others
    kinds = np.zeros((3, 200))
    sample = Sample(np.arange(200), np.zeros(200, np.int32), np.array([200]))
    said = (np.arange(200) % 4 > 0).astype(np.int8)
    found = missed_details(kinds, sample, said)
    assert (found.missed, found.seen) == (0.0, 0.0)
    assert found.unexplained == pytest.approx(50.0)
    assert found.explained == pytest.approx(150.0)


def test_no_verdict_shows_nothing() -> None:
    rows = np.arange(3)
    sample = Sample(rows, np.zeros(3, np.int32), np.array([3]))
    found = missed_details(np.full((3, 3), 0.1), sample, np.full(3, -1, np.int8))
    assert found == Missed(0.0, 0.0, 0.0, 0.0)


def test_verdicts_of_right_show_that_little_is_missed() -> None:
    # ten details that a detector sees are wrong, and 200 hits that look right are right
    kinds = np.zeros((3, 210))
    kinds[0, :200], kinds[1, 200:] = 0.05, 1.0
    sample = Sample(np.arange(210), np.zeros(210, np.int32), np.array([210]))
    said = (np.arange(210) < 200).astype(np.int8)
    found = missed_details(kinds, sample, said)
    assert (found.missed, found.unexplained) == (0.0, 0.0)
    assert found.seen == pytest.approx(10.0)
