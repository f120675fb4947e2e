"""A few verdicts of a judge that errs correct the comparison."""

import numpy as np
import pytest

from costaudit.answers.judge.ask import sample_pairs
from costaudit.answers.judge.ppi import JudgeError, corrected_share, recalibrated_share


def test_many_verdicts_recover_a_share_that_the_comparison_has_wrong() -> None:
    # the truth has odds (p / (1 - p)) ** 0.5 * e: the comparison is too sure, and too pessimistic
    rng = np.random.default_rng(1)
    probability = rng.uniform(0.05, 0.95, 20_000)
    chance = 1 / (1 + np.exp(-(1 + 0.5 * np.log(probability / (1 - probability)))))
    truth = rng.random(20_000) < chance
    said = np.where(rng.random(20_000) < 0.9, truth, ~truth).astype(float)
    value, error = recalibrated_share(probability, np.arange(20_000), said, 0.9, 0.1)
    assert value == pytest.approx(truth.mean(), abs=4 * error)
    assert error < 0.01
    assert abs(probability.mean() - truth.mean()) > 0.1  # the error to correct


def test_without_verdicts_the_comparison_stands() -> None:
    probability = np.array([0.2, 0.6, 0.7])
    value, error = recalibrated_share(probability, np.zeros(0, np.int64), np.zeros(0), 1.0, 0.0)
    assert value == pytest.approx(0.5)
    assert error > 0.05  # due to the prior


def test_erring_judges_give_honest_and_narrow_intervals() -> None:
    rng = np.random.default_rng(2)
    covered, ratios = 0, []
    for trial in range(200):
        probability = np.clip(rng.beta(1.0, 0.25, 3000), 0.005, 0.995)
        truth = rng.random(3000) < probability
        said = np.where(rng.random(3000) < 0.9, truth, ~truth).astype(np.int8)
        sample = sample_pairs(probability, np.full(3000, 0.9, np.float32), np.ones(3000),
                              threshold=0.8, size=200, seed=trial)  # fmt: skip
        error = JudgeError(0.9, 0.1, 0, 0)
        found = corrected_share(probability, sample, said[sample.rows], error)
        assert found.share.low is not None and found.share.high is not None
        covered += found.share.low <= truth.mean() <= found.share.high
        plain = rng.choice(3000, 200, replace=False)
        alone = 2 * 1.96 * np.std(said[plain], ddof=1) / np.sqrt(200) / 0.8
        ratios.append((found.share.high - found.share.low) / alone)
    assert covered >= 0.93 * 200
    assert np.mean(ratios) < 2 / 3


def test_a_comparison_that_misleads_is_given_up() -> None:
    # right pairs have a probability of 0.9 or 0.1, and wrong ones lie between: no power of the
    # odds fits that, so the estimate without assumptions is used
    probability = np.tile([0.1, 0.5, 0.9], 1000)
    truth = np.tile([1, 0, 1], 1000).astype(np.int8)
    sample = sample_pairs(probability, np.full(3000, 0.9, np.float32), np.ones(3000),
                          threshold=0.8, size=300)  # fmt: skip
    found = corrected_share(probability, sample, truth[sample.rows])
    assert found.share.low is not None and found.share.high is not None
    assert found.share.low - 0.01 <= 2 / 3 <= found.share.high + 0.01
