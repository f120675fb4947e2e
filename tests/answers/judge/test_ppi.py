"""Prediction-powered shares: hand calculations, width and coverage."""

import numpy as np
import pytest

from costaudit.answers.judge.ask import Sample, sample_pairs
from costaudit.answers.judge.ppi import JudgeError, agreement, corrected_share, judge_error


def census(probability: np.ndarray) -> Sample:
    n = len(probability)
    return Sample(np.arange(n), np.zeros(n, np.int32), np.array([n]))


def test_a_census_gives_the_share_itself() -> None:
    said = np.array([1, 1, 0, 1], np.int8)
    found = corrected_share(np.array([0.9, 0.8, 0.3, 0.2]), census(said), said)
    assert found.share.value == pytest.approx(0.75)
    assert found.share.low == found.share.high == pytest.approx(0.75)  # everything was sampled


def test_by_hand() -> None:
    # 8 hits, 4 judged: the comparison says 1, 1, 0, 0 for them and all verdicts agree, so lambda is
    # 1, and the share is the mean of the comparison, 6/8, without spread.
    probability = np.array([1.0, 1, 0, 0, 1, 1, 1, 1])
    sample = Sample(np.arange(4), np.zeros(8, np.int32), np.array([4]))
    found = corrected_share(probability, sample, np.array([1, 1, 0, 0], np.int8))
    assert found.weight == pytest.approx(1.0)
    assert found.share.value == pytest.approx(6 / 8)
    assert found.share.low == pytest.approx(6 / 8)
    # alone: mean 1/2; sample variance 1/3, over 4, times the unsampled half: 1/24
    assert found.verdicts_alone.value == pytest.approx(0.5)
    assert found.verdicts_alone.high == pytest.approx(0.5 + 1.959964 * np.sqrt(1 / 24))


def test_a_known_judge_error_is_taken_out() -> None:
    # 90 % of right and 20 % of wrong pairs are called right; 60 % right makes 0.54 + 0.08 = 0.62
    said = np.repeat([1, 0], [62, 38]).astype(np.int8)
    found = corrected_share(np.full(100, 0.5), census(said), said, JudgeError(0.9, 0.2, 0, 0))
    assert found.share.value == pytest.approx(0.6)


def test_controls_measure_the_judge() -> None:
    truth = np.repeat([True, False], [19, 9])
    verdict = np.array([1] * 18 + [0] + [0] * 8 + [-1], np.int8)
    error = judge_error(truth, verdict)
    assert error.right_called_right == pytest.approx(18.5 / 20)
    assert error.wrong_called_right == pytest.approx(0.5 / 9)
    assert (error.right_controls, error.wrong_controls) == (19, 8)
    assert error.is_useful


def test_intervals_cover_and_are_narrower_than_from_the_verdicts_alone() -> None:
    rng = np.random.default_rng(0)
    covered = narrower = 0
    widths = []
    for trial in range(300):
        probability = rng.beta(0.4, 0.4, 3000)
        truth = rng.random(3000) < probability
        said = np.where(rng.random(3000) < 0.9, truth, ~truth)
        sample = sample_pairs(probability, rng.uniform(0.8, 1, 3000).astype(np.float32),
                              np.ones(3000), threshold=0.8, size=200, seed=trial)  # fmt: skip
        found = corrected_share(probability, sample, said[sample.rows].astype(np.int8))
        random = rng.choice(3000, 200, replace=False)
        plain = 1.96 * np.std(said[random], ddof=1) / np.sqrt(200)
        assert found.share.low is not None and found.share.high is not None
        covered += found.share.low <= said.mean() <= found.share.high
        widths.append((found.share.high - found.share.low) / (2 * plain))
        narrower += widths[-1] < 1
    assert covered >= 0.92 * 300
    assert narrower == 300


def test_a_sample_takes_most_where_doubt_and_money_are() -> None:
    probability = np.repeat([0.99, 0.5], [900, 100])
    value = np.ones(1000)
    similarity = np.full(1000, 0.99, np.float32)
    plain = sample_pairs(probability, similarity, value, threshold=0.8, size=100)
    assert len(plain.rows) == len(set(plain.rows.tolist())) == 100
    doubtful = (plain.rows >= 900).sum()
    assert 20 < doubtful < 60  # 10 % of the hits, but most of the uncertainty
    value[900:] = 50.0
    rich = sample_pairs(probability, similarity, value, threshold=0.8, size=100)
    assert (rich.rows >= 900).sum() > doubtful
    assert sample_pairs(probability, similarity, value, threshold=0.8, size=5000).rows.size == 1000


def test_each_prefix_is_spread_over_the_strata() -> None:
    probability = np.tile([0.01, 0.5, 0.99], 300)
    sample = sample_pairs(probability, np.full(900, 0.99, np.float32), np.ones(900),
                          threshold=0.8, size=90)  # fmt: skip
    half = sample.stratum[sample.rows[:45]]
    whole = sample.stratum[sample.rows]
    assert np.abs(np.bincount(half, minlength=3) * 2 - np.bincount(whole, minlength=3)).max() <= 4


def test_agreement_by_hand() -> None:
    # 10 pairs: both right 5, both wrong 2, different 3. p = 0.7, q = 0.6:
    # expected 0.42 + 0.12 = 0.54, kappa (0.7 - 0.54) / 0.46 = 0.3478
    first = np.array([1] * 5 + [0] * 2 + [1, 1, 0] + [-1], np.int8)
    second = np.array([1] * 5 + [0] * 2 + [0, 0, 1] + [1], np.int8)
    found = agreement(first, second)
    assert found.pairs == 10
    assert found.share == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.16 / 0.46)
    assert agreement(np.ones(4, np.int8), np.ones(4, np.int8)).kappa is None
    assert agreement(np.array([-1], np.int8), np.array([1], np.int8)).pairs == 0
