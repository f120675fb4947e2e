"""Policies by topic: what is chosen where the answers of topics differ."""

import numpy as np

from costaudit.answers.by_topic import by_topic
from costaudit.answers.consistency import Consistency
from costaudit.answers.rates import Rated, rates
from costaudit.answers.tally import Population
from tests.answers.builder import log_of

EACH = 100  # requests of a topic
LOOSE, STRICT = 0, 1


def rated_runs(answers: list[str], worth: list[float]) -> Rated:
    """Rate a run in which odd requests get the answer before theirs, and one without hits."""
    count = len(answers)
    check = Consistency(log_of([f"question {k}" for k in range(count)], answers))
    served = np.full((2, count), -1, np.int32)
    served[LOOSE, 1::2] = np.arange(0, count, 2)
    everyone = Population(
        np.ones(count, bool), np.arange(count, dtype=np.int32), worth=np.array(worth)
    )
    return rates(check, served, everyone)


def choices(rated: Rated, topic: np.ndarray) -> list[list[int]]:
    found: list[list[int]] = by_topic(rated, topic).tolist()
    return found


def test_a_topic_with_wrong_answers_gets_the_strict_run() -> None:
    # the answers of topic 0 are right, three of four in topic 1 are wrong
    apart = ["Same." if k % 8 < 2 else f"Other {k}." for k in range(EACH)]
    rated = rated_runs(["Go."] * EACH + apart, [1.0] * (2 * EACH))
    topic = np.repeat([0, 1], EACH).astype(np.int32)
    # at the highest prices, what is wrong in the whole log counts in topic 0 as well
    both, one, none = choices(rated, topic)
    assert (both, one, none) == ([LOOSE, LOOSE], [LOOSE, STRICT], [STRICT, STRICT])


def test_only_counted_requests_of_a_topic_decide() -> None:
    wrong = [f"Other {k}." for k in range(EACH)]
    rated = rated_runs(["Go."] * EACH + wrong, [1.0] * (2 * EACH))
    early = rated.fitted.within(np.arange(2 * EACH) < EACH)
    seen = early.rated(rated.pairs, rated.verdicts, rated.place)
    assert seen.points[LOOSE].hits == EACH // 2
    topic = np.repeat([0, -1], EACH).astype(np.int32)
    assert choices(seen, topic) == [[LOOSE]]


def test_a_topic_that_was_never_asked_gets_what_is_best_for_all() -> None:
    rated = rated_runs(["Go."] * EACH, [1.0] * EACH)
    topic = np.full(EACH, 1, np.int32)
    assert choices(rated, topic) == [[LOOSE, LOOSE]]


def test_without_any_hit_the_strictest_run_is_chosen() -> None:
    rated = rated_runs([f"Other {k}." for k in range(EACH)], [0.0] * EACH)
    assert choices(rated, np.zeros(EACH, np.int32)) == [[STRICT]]
