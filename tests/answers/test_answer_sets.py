"""Two prompts with one distribution of answers are told from two with different ones."""

from itertools import combinations

import numpy as np
import pytest

from costaudit.answers.logged import Logged
from costaudit.answers.mixture.answer_sets import NULL, AnswerSets, evidence
from tests.answers.builder import WIDE, log_of


def asked(sets: list[np.ndarray]) -> tuple[Logged, list[int]]:
    """Return a log in which each set is the answers to one prompt, and their first requests."""
    vectors = np.concatenate(sets)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    questions = [f"question {k}" for k, one in enumerate(sets) for _ in one]
    starts = np.cumsum([0, *(len(one) for one in sets[:-1])]).tolist()
    answers = [f"answer {k}" for k in range(len(vectors))]
    return log_of(questions, answers, answer_vectors=vectors), starts


def p_values(sets: list[np.ndarray]) -> np.ndarray:
    """Return the p-value of each set and the next one, of sets 0 and 1, 2 and 3, and so on."""
    log, starts = asked(sets)
    first = np.array(starts, np.int32)
    return AnswerSets(log, np.arange(len(log), dtype=np.int32)).p_values(first[::2], first[1::2])


def near(rng: np.random.Generator, centre: int, many: int, noise: float = 0.25) -> np.ndarray:
    return np.asarray(np.eye(WIDE)[centre] + noise * rng.normal(size=(many, WIDE)))


def test_a_p_value_is_the_share_of_splits_at_least_as_far_apart() -> None:
    rng = np.random.default_rng(0)
    one, other = near(rng, 0, 4, 0.5), near(rng, 1, 3, 0.5)
    both = np.concatenate([one, other])
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    z = np.arctanh(np.clip(both @ both.T, -0.999, 0.996))

    def energy(mine: tuple[int, ...]) -> float:
        rest = [k for k in range(7) if k not in mine]
        within = z[np.ix_(mine, mine)].mean() + z[np.ix_(rest, rest)].mean()
        return float(within - 2 * z[np.ix_(mine, rest)].mean())

    told = energy((0, 1, 2, 3))
    expected = np.mean([energy(mine) >= told - 1e-6 for mine in combinations(range(7), 4)])
    assert p_values([one, other])[0] == pytest.approx(expected)


@pytest.mark.parametrize(("many", "rest"), [(8, 8), (5, 3), (20, 1)])
def test_small_p_values_are_as_rare_as_they_say_for_one_prompt(many: int, rest: int) -> None:
    rng = np.random.default_rng(1)
    sets = []
    for _ in range(400):  # answers in one of three wordings
        for size in (many, rest):
            wording = rng.integers(0, 3, size)
            sets.append(np.eye(WIDE)[wording] + 0.2 * rng.normal(size=(size, WIDE)))
    found = p_values(sets)
    for level in (0.05, 0.1, 0.3):
        assert (found <= level).mean() <= level + 0.03
    classes = np.bincount(evidence(found), minlength=len(NULL)) / len(found)
    assert (np.cumsum(classes[1:-1]) <= np.cumsum(NULL[1:-1]) + 0.03).all()


def test_other_answers_are_seen_although_each_is_as_near_as_a_repeat() -> None:
    # the wordings of one prompt are as far from each other as from those of the other prompt
    rng = np.random.default_rng(2)
    sets = []
    for _ in range(50):
        for half in (0, 1):
            wording = 3 * half + rng.integers(0, 3, 8)
            sets.append(np.eye(WIDE)[wording] + 0.05 * rng.normal(size=(8, WIDE)) + 0.5)
    assert (p_values(sets) < 0.05).mean() > 0.9


def test_nothing_is_told_about_one_prompt_or_about_too_few_answers() -> None:
    rng = np.random.default_rng(3)
    log, starts = asked([near(rng, 0, 9), near(rng, 1, 1), near(rng, 2, 2)])
    sets = AnswerSets(log, np.arange(len(log), dtype=np.int32))
    first, second = np.array([0, 9, 9], np.int32), np.array([1, 10, 10], np.int32)
    assert np.isnan(sets.p_values(first, second)).all()
    assert not np.isnan(sets.p_values(np.array([0], np.int32), np.array([9], np.int32))).any()
    read = AnswerSets(log, np.array([0, 9], np.int32))  # the other answers stay unread
    assert np.isnan(read.p_values(np.array([0], np.int32), np.array([9], np.int32))).all()
    assert starts == [0, 9, 10]


def test_equal_answers_to_two_prompts_are_no_evidence_against_them() -> None:
    same = np.repeat(np.eye(WIDE)[:1], 8, axis=0)
    log = log_of(["a"] * 8 + ["b"] * 8, ["Yes, of course."] * 16)
    sets = AnswerSets(log, np.arange(16, dtype=np.int32))
    assert sets.p_values(np.array([8], np.int32), np.array([0], np.int32)).tolist() == [1.0]
    assert p_values([same, same]).tolist() == [1.0]


def test_classes_of_evidence_by_hand() -> None:
    p = np.array([np.nan, 0.001, 0.01, 0.02, 0.05, 0.29, 0.3, 1.0])
    assert evidence(p).tolist() == [0, 1, 2, 2, 3, 4, 5, 5]
    np.testing.assert_allclose(NULL, [1.0, 0.01, 0.02, 0.07, 0.2, 0.7])
