"""The mixture recovers the shares that data were generated with."""

import numpy as np
import pytest
from scipy.stats import beta

from costaudit.answers.calibration import CLEAR_DETAILS, LEVELS
from costaudit.answers.mixture.answer_sets import NULL
from costaudit.answers.mixture.mixture import (
    CELLS,
    GRID,
    MISSED,
    Fit,
    Places,
    Prior,
    cells,
    density,
    fit,
)

START = (0.3, 0.25)


def fit_cells(counts: np.ndarray, right: np.ndarray, unrelated: tuple[float, float] = START) -> Fit:
    """Fit counts (replicates, strata, CELLS) of pairs without evidence from sets of answers."""
    many, strata = counts.shape[:2]
    stratum, cell = np.divmod(np.arange(strata * CELLS), CELLS)
    at = Places(stratum, cell, np.zeros_like(cell))
    return fit(counts.reshape(many, -1), at, right, Prior(strata, unrelated))


def drawn(rng: np.random.Generator, right: int, detail: int, topic: int) -> np.ndarray:
    """Return counts by cell of random pairs of the three kinds; few right pairs contradict."""
    z = np.concatenate([rng.normal(1.3, 0.2, right + detail), rng.normal(0.5, 0.25, topic)])
    level = np.concatenate(
        [
            rng.choice(LEVELS, right, p=[0.7, 0.2, 0.06, 0.03, 0.01, 0.0]),
            rng.choice(LEVELS, detail, p=[0.0, 0.0, 0.02, 0.3, 0.68, 0.0]),
            rng.choice(LEVELS, topic, p=[0.3, 0.2, 0.1, 0.1, 0.2, 0.1]),
        ]
    )
    place = cells(np.tanh(z).astype(np.float32), level.astype(np.int8))
    return np.bincount(place, minlength=CELLS).astype(float)


@pytest.mark.parametrize(
    "counts", [(800, 0, 200), (500, 100, 400), (950, 50, 0), (100, 0, 900), (1000, 0, 0)]
)
def test_the_share_of_right_pairs_is_recovered(counts: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(3)
    noise = density(drawn(rng, 2000, 0, 0)[None])
    found = fit_cells(drawn(rng, *counts)[None, None], noise)
    assert found.share[0, 0, 0] == pytest.approx(counts[0] / sum(counts), abs=0.03)


def test_strata_have_shares_of_their_own() -> None:
    rng = np.random.default_rng(4)
    noise = density(drawn(rng, 2000, 0, 0)[None])
    strata = np.stack([drawn(rng, 900, 0, 100), drawn(rng, 300, 0, 700)])
    found = fit_cells(strata[None], noise)
    np.testing.assert_allclose(found.share[0, :, 0], [0.9, 0.3], atol=0.04)


def test_a_replicate_does_not_depend_on_the_others() -> None:
    rng = np.random.default_rng(5)
    data = np.stack([drawn(rng, 500, 20, 80)[None], drawn(rng, 200, 0, 300)[None]])
    noise = density(np.stack([drawn(rng, 900, 0, 0), drawn(rng, 900, 0, 0)]))
    together = fit_cells(data, noise).right
    alone = fit_cells(data[1:], noise[1:]).right
    np.testing.assert_allclose(together[1:], alone, rtol=1e-9)


def test_a_density_sums_to_one_and_cells_cover_all_similarities() -> None:
    out = density(np.eye(CELLS)[:3])
    np.testing.assert_allclose(out.sum(axis=1), 1.0)
    place = cells(np.array([-1.0, 0.0, 1.0], np.float32), np.array([0, 0, LEVELS - 1], np.int8))
    assert place.min() >= 0
    assert place.max() == CELLS - 1 - (len(GRID) - 1 - np.abs(GRID - np.arctanh(0.996)).argmin())


def plain_fit(
    counts: np.ndarray, right: np.ndarray, start: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Fit one replicate, (strata, classes, CELLS), by a loop over strata with arrays over cells.

    Return the probability of being right, of the same shape, and the likelihood ratios of classes.
    """
    z, level = np.tile(GRID, LEVELS), np.repeat(np.arange(LEVELS), len(GRID))
    margin = np.tile(0.95 * right.reshape(LEVELS, -1).sum(axis=0) + 0.05 / len(GRID), LEVELS)
    leans = np.array([CLEAR_DETAILS, (1, 1, 2, 3, 4, 0.5)], float)
    levels = leans / leans.sum(axis=1, keepdims=True)
    tells = np.array([2, 2, 3, 2.5, 0.2])
    apart = np.array([1.0, *(tells / tells.sum())])
    share = np.tile([0.78, 0.02, 0.18, 0.02], (len(counts), 1))
    mean, spread = np.full(len(counts), start[0]), start[1]
    for last in [False] * 80 + [True]:
        parts = np.empty((len(counts), 4, len(NULL), CELLS))
        for s in range(len(counts)):
            bell = np.exp(-0.5 * ((GRID - mean[s]) / spread) ** 2) + 1e-12
            topic = np.tile(bell / bell.sum(), LEVELS) * levels[1][level]
            data = np.where(level == LEVELS - 1, margin, 0.0)
            alone = np.stack([right, margin * levels[0][level], topic, data])
            told = np.stack([NULL, apart, apart, NULL])
            parts[s] = share[s][:, None, None] * alone[:, None] * told[:, :, None]
        each = parts / parts.sum(axis=1, keepdims=True)
        if last:
            break
        mass = counts[:, None] * each
        pairs = mass.sum(axis=(2, 3))
        share = (pairs + pairs.sum(axis=0) / pairs.sum()) / (pairs.sum(axis=1)[:, None] + 1)
        by_cell = mass.sum(axis=2)
        seen = np.stack([np.bincount(level, by_cell[:, k].sum(axis=0), LEVELS) for k in (1, 2)])
        levels = (seen + leans) / (seen + leans).sum(axis=1, keepdims=True)
        wrong = mass[:, 1:3].sum(axis=(0, 1, 3))[1:] + tells
        apart = np.array([1.0, *(wrong / wrong.sum())])
        topics = by_cell[:, 2]
        overall = ((topics @ z).sum() + 10 * start[0]) / (topics.sum() + 10)
        mean = (topics @ z + 60 * overall) / (topics.sum(axis=1) + 60)
        away = (topics * (z - mean[:, None]) ** 2).sum()
        away += 10 * (start[1] ** 2 + (start[0] - overall) ** 2)
        spread = float(np.sqrt(max(away / (topics.sum() + 10), 0.02)))
    return np.asarray(each[:, 0]), apart / NULL


def test_the_compiled_rounds_are_those_of_the_plain_ones() -> None:
    rng = np.random.default_rng(6)
    noise = density(drawn(rng, 900, 0, 0)[None])
    strata = np.stack([drawn(rng, 700, 30, 200), np.zeros(CELLS), drawn(rng, 90, 0, 300)])
    dealt = rng.multinomial(strata.astype(int), [0.5, 0.05, 0.1, 0.15, 0.1, 0.1])
    counts = np.moveaxis(dealt, 2, 1).astype(float)  # (strata, classes, CELLS)
    stratum, told, cell = (axis.reshape(-1) for axis in np.indices(counts.shape))
    at = Places(stratum, cell, told)
    found = fit(
        np.stack([counts.reshape(-1)] * 2), at, np.repeat(noise, 2, axis=0), Prior(3, START)
    )
    expected, ratio = plain_fit(counts, noise[0], START)
    np.testing.assert_allclose(found.ratio, np.stack([ratio] * 2), rtol=1e-9)
    np.testing.assert_allclose(
        found.right_at(at), np.stack([expected.reshape(-1)] * 2), rtol=1e-7, atol=1e-12
    )


def test_sets_of_answers_show_wrong_pairs_that_look_like_right_ones() -> None:
    # every pair has the similarity and the level of a repeat, so only the p-values of the sets tell
    # the 300 wrong ones from the 700 right ones
    rng = np.random.default_rng(7)
    noise = density(drawn(rng, 2000, 0, 0)[None])
    looks = drawn(rng, 1000, 0, 0)
    wrong = np.array([0.0, 0.5, 0.2, 0.2, 0.1, 0.0])
    share = 0.7 * np.where(np.arange(len(NULL)) > 0, NULL, 0) + 0.3 * wrong
    counts = share[:, None] * looks  # (classes, CELLS), as expected
    told, cell = (axis.reshape(-1) for axis in np.indices(counts.shape))
    at = Places(np.zeros_like(cell), cell, told)
    found = fit(counts.reshape(1, -1), at, noise, Prior(1, START))
    right = (counts.reshape(-1) * found.right_at(at)[0]).sum()
    assert right == pytest.approx(700, abs=40)
    blind = fit_cells(looks[None, None], noise)
    assert (looks * blind.right[0, 0]).sum() > 850


def test_data_of_users_is_known_by_its_words_whatever_the_sets_say() -> None:
    # greetings by name: both prompts get all users' names, so their sets of answers are alike
    rng = np.random.default_rng(8)
    noise = density(drawn(rng, 900, 0, 0)[None])
    named = int(cells(np.array([0.8], np.float32), np.array([LEVELS - 1], np.int8))[0])
    counts = np.append(drawn(rng, 300, 0, 0), 200.0)
    at = Places(
        np.zeros(CELLS + 1, np.int64),
        np.append(np.arange(CELLS), named),
        np.full(CELLS + 1, len(NULL) - 1),
    )
    found = fit(counts[None], at, noise, Prior(1, START)).right_at(at)[0]
    assert found[-1] < 0.02


@pytest.mark.parametrize("looks", [(0.9, 0.1), (0.5, 0.5), (0.03, 0.97)])
def test_missed_details_follow_their_prior_up_to_all_that_look_right(
    looks: tuple[float, float],
) -> None:
    # the prior is a beta distribution of the missed share; more can't be missed than look right
    looks_right, seen = looks
    grid = (np.arange(200_000) + 0.5) / 200_000
    unseen = seen * grid / (1 - grid) / looks_right
    mass = beta(MISSED.missed, MISSED.seen).pdf(grid) * (unseen <= 1)
    expected = float((mass * unseen).sum() / mass.sum())
    one = np.ones((1, 1, CELLS))
    levels = (np.arange(4_000) + 0.5) / 4_000
    shares = np.array([[[looks_right, seen / 2, 0.0, seen / 2]]])  # details, data
    fitted = Fit(one, 0 * one, 0 * one, shares, np.ones((1, len(NULL))))
    at = Places(*np.zeros((3, 1), np.int64))
    found = [fitted.unseen_at(at, np.array([q]))[0, 0] for q in levels[::20]]
    assert np.mean(found) == pytest.approx(expected, rel=0.03)
    assert max(found) <= 1


def test_wrong_details_less_alike_than_any_repeat_are_wrong() -> None:
    # all repeats are nearly equal; hits whose words depend on the user are far from that, and
    # nearer than answers on other topics
    repeated, far = cells(
        np.tanh(np.array([2.4, 1.1])).astype(np.float32), np.array([0, 5], np.int8)
    )
    noise = density(150.0 * np.eye(CELLS)[[repeated]])
    hits = 80.0 * np.eye(CELLS)[repeated] + 60.0 * np.eye(CELLS)[far]
    found = fit_cells(hits[None, None], noise, (0.2, 0.05))
    assert found.right[0, 0, repeated] > 0.95
    assert found.right[0, 0, far] < 0.05
