"""Rates of simulated runs: their arithmetic, laws and intervals."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from costaudit.answers.consistency import Consistency, Verdicts
from costaudit.answers.rates import rates
from costaudit.answers.tally import HitPairs, Judged, Population, Tally, blocks_of, deal, resample
from tests.answers.builder import WIDE, log_of, served_row


def test_shares_by_hand() -> None:
    # 8 requests, 6 eligible. Hits: 1 serves 0 (same answer: right), 3 serves 2 (cosine 0: wrong),
    # 5 serves 4 (same answer: right). Raw 3/6, over all 3/8, valid 2/6, unsafe 1/8.
    answers = ["Go.", "Go.", "Stop.", "Wait.", "Sit.", "Sit.", "Run.", "Hop."]
    check = Consistency(log_of([f"question {k}" for k in range(8)], answers))
    eligible = np.array([True] * 6 + [False] * 2)
    rated = rates(
        check,
        served_row(-1, 0, -1, 2, -1, 4, -2, -2),
        Population(eligible, np.arange(8, dtype=np.int32), steady=np.arange(8) >= 2),
    )
    point = rated.points[0]
    assert (point.hits, point.judged) == (3, 3)
    assert point.raw_hit_share.value == pytest.approx(3 / 6)
    assert point.raw_hit_share_all.value == pytest.approx(3 / 8)
    assert point.steady_hit_share is not None
    assert point.steady_hit_share.value == pytest.approx(2 / 4)
    assert point.valid_hit_share is not None and point.unsafe_served_share is not None
    assert point.valid_hit_share.value == pytest.approx(2 / 6)
    assert point.unsafe_served_share.value == pytest.approx(1 / 8)
    assert point.unsafe_served_share.grade == "assumed"  # no repeats to learn from
    assert rated.right_by_request(0).tolist() == [-1, 1, -1, 0, -1, 1, -1, -1]


def test_a_pair_alone_gets_the_verdict_that_judges_hits() -> None:
    answers = ["Go.", "Go.", "Stop.", "Wait.", ""]
    check = Consistency(log_of([f"question {k}" for k in range(5)], answers))
    everyone = Population(np.ones(5, bool), np.arange(5, dtype=np.int32))
    fitted = rates(check, served_row(-1, 0, -1, -1, -1), everyone).fitted
    asked, matched = np.array([[1, 3, 4], [0, 2, 0]], np.int32)
    assert fitted.verdicts_on(asked, matched).tolist() == [1, 0, -1]  # the last has no answer


def test_valid_and_unsafe_add_up_to_the_hits() -> None:
    rng = np.random.default_rng(2)
    n = 300
    topic = rng.integers(0, 20, n)
    vectors = np.eye(WIDE)[topic] + 0.1 * rng.normal(size=(n, WIDE))
    questions = [f"about {t} in wording {rng.integers(3)}" for t in topic]
    check = Consistency(log_of(questions, [f"say {k}" for k in range(n)], answer_vectors=vectors))
    served = np.stack([np.where(rng.random(n) < p, rng.integers(0, n, n), -1) for p in (0.2, 0.7)])
    served = np.where(served < np.arange(n), served, -1).astype(np.int32)
    everyone = np.ones(n, bool)
    block = (np.arange(n) // 10).astype(np.int32)
    rated = rates(check, served, Population(everyone, block))
    for run, point in enumerate(rated.points):
        assert point.valid_hit_share is not None and point.unsafe_served_share is not None
        total = point.valid_hit_share.value + point.unsafe_served_share.value
        assert total == pytest.approx((served[run] >= 0).mean())
        for share in (point.raw_hit_share, point.valid_hit_share, point.unsafe_served_share):
            assert share.low is not None and share.high is not None
            assert 0 <= share.low <= share.value <= share.high <= 1
            assert {type(share.low), type(share.value), type(share.high)} == {float}  # for JSON
    again = rates(check, served, Population(everyone, block))
    assert again.points == rated.points  # the seed decides
    alone = rates(check, served[1:], Population(everyone, block))
    assert alone.points[0].raw_hit_share == rated.points[1].raw_hit_share


def test_decided_pairs_stay_out_of_the_mixture() -> None:
    # 60 prompts, asked twice each in other words, which are enough to fit the mixture; the last hit
    # serves the same answer to another prompt
    rng = np.random.default_rng(3)
    topic = np.append(np.repeat(np.arange(60) % 20, 2), [0, 0])
    vectors = np.eye(WIDE)[topic] + 0.1 * rng.normal(size=(122, WIDE))
    questions = [f"about {k // 2}" for k in range(120)] + ["one", "other"]
    answers = [f"say {k}" for k in range(120)] + ["the same", "the same"]
    vectors[121] = vectors[120]
    check = Consistency(log_of(questions, answers, answer_vectors=vectors))
    served = np.full((1, 122), -1, np.int32)
    served[0, 1:120:2], served[0, 121] = np.arange(0, 120, 2), 120
    everyone = Population(np.ones(122, bool), (np.arange(122) // 10).astype(np.int32))
    rated = rates(check, served, everyone)
    assert check.floor.grade == "estimated"
    assert rated.probability[-1] == 1.0 and rated.verdicts.certain.tolist()[-1]
    assert not rated.verdicts.certain[:-1].any()


def test_answers_that_repeat_their_question_tell_nothing_by_their_sets() -> None:
    # two prompts with the same answers; in the second log each answer begins with its question,
    # which makes the sets of answers to both prompts differ
    rng = np.random.default_rng(4)
    asked = ["how do I block my card", "what should I do to block a card"]
    questions = [asked[k % 2] for k in range(40)]
    wordings = ["Tap Block.", "Open Cards and tap Block.", "Choose Block in the app."]
    said = [wordings[k] for k in rng.integers(0, 3, 40)]
    echoing = [f"{question}: {text}" for question, text in zip(questions, said, strict=True)]
    shift = np.array([2 * np.eye(WIDE)[3 + k % 2] for k in range(40)])
    centres = np.array([np.eye(WIDE)[wordings.index(text)] + np.eye(WIDE)[5] for text in said])
    everyone = Population(np.ones(40, bool), (np.arange(40) // 4).astype(np.int32))
    served = np.full((1, 40), -1, np.int32)
    served[0, 2:] = 0
    p_values = []
    for answers, vectors in ((said, centres), (echoing, centres + shift)):
        log = log_of(questions, answers, answer_vectors=vectors)
        sets = rates(Consistency(log), served, everyone, replicates=5).fitted.sets
        p_values.append(sets.p_values(np.array([3], np.int32), np.array([0], np.int32))[0])
    assert p_values[0] > 0.05
    assert np.isnan(p_values[1])


def test_hits_on_one_whole_prompt_are_judged_one_by_one() -> None:
    # the answer of one entry is in a wording that no other answer to its prompt has: all hits on it
    # are unlike it, and yet on the same topic, because the prompt is the same
    rng = np.random.default_rng(7)
    wording = rng.integers(0, 3, 600)
    wording[0] = 3
    strength = np.array([0.6, 0.6, 0.6, 2.0])[wording, None]
    vectors = np.eye(WIDE)[0] + strength * np.eye(WIDE)[1 + wording]
    other = rng.normal(size=(60, WIDE))  # now and then the model says something else
    vectors[rng.choice(np.arange(10, 600), 60, replace=False)] = other
    vectors += 0.05 * rng.normal(size=vectors.shape)
    answers = [f"answer {k % 10} {wording[k]} {k}" for k in range(600)]
    log = log_of([f"about {k % 10}" for k in range(600)], answers, answer_vectors=vectors)
    served = np.full((1, 600), -1, np.int32)
    served[0, 10:] = np.arange(10, 600) % 10
    everyone = Population(np.ones(600, bool), (np.arange(600) // 10).astype(np.int32))
    rated = rates(Consistency(log), served, everyone)
    alone = rated.right_at[0]
    bias = rated.right_at[1:].mean(axis=0) - alone
    expected = np.clip(alone - bias, 0, 1)[rated.judged.place]
    np.testing.assert_allclose(rated.probability, expected)


def test_without_answers_nothing_is_claimed() -> None:
    check = Consistency(log_of(["a", "a", "b"], ["", "", ""]))
    point = rates(
        check, served_row(-1, 0, -1), Population(np.ones(3, bool), np.zeros(3, np.int32))
    ).points[0]
    assert point.hits == 1
    assert point.judged == 0
    assert point.valid_hit_share is None
    assert point.unsafe_served_share is None


def test_without_repeats_every_hit_in_other_words_may_be_wrong() -> None:
    # 4 different answers have a cosine of 1 with the served one: none looks wrong, 4 of 8 may be.
    vectors = np.tile(np.eye(WIDE)[0], (8, 1))
    answers = [f"Wording {chr(97 + k)}." for k in range(8)]
    check = Consistency(
        log_of([f"question {k}" for k in range(8)], answers, answer_vectors=vectors)
    )
    rated = rates(
        check,
        served_row(-1, 0, -1, 2, -1, 4, -1, 6),
        Population(np.ones(8, bool), np.arange(8, dtype=np.int32)),
    )
    share = rated.points[0].unsafe_served_share
    assert share is not None
    assert share.value == 0
    assert share.high == pytest.approx(4 / 8)


def test_hit_pairs_stand_once() -> None:
    pairs = HitPairs.of(np.array([[-1, 0, 0], [-1, 0, 1], [-2, -1, -1]], np.int32))
    found = list(zip(pairs.asked.tolist(), pairs.matched.tolist(), strict=True))
    assert found == [(1, 0), (2, 0), (2, 1)]
    assert pairs.row.tolist() == [[-1, 0, 1], [-1, 0, 2], [-1, -1, -1]]


@pytest.mark.slow
def test_intervals_cover_at_their_rate() -> None:
    # Whole blocks hit or miss together: a binomial interval over requests would be far too narrow.
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(100):
        hit = np.repeat(rng.random(60) < 0.4, 8)
        served = np.where(hit, 0, -1)
        served[0] = -1
        n = len(hit)
        check = Consistency(log_of(["q"] * n, ["same"] * n))
        block = np.repeat(np.arange(60, dtype=np.int32), 8)
        share = (
            rates(
                check,
                served[None].astype(np.int32),
                Population(np.ones(n, bool), block),
                replicates=100,
            )
            .points[0]
            .raw_hit_share
        )
        assert share.low is not None and share.high is not None
        covered += share.low <= 0.4 <= share.high
    assert covered >= 0.88 * 100


def frame(conversations: list[str | None], hours: list[float]) -> pl.DataFrame:
    stamps = pl.Series([int(h * 3.6e9) for h in hours]).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"conversation": pl.Series(conversations, dtype=pl.String), "ts": stamps})


def test_blocks_are_conversations_where_there_are_any() -> None:
    blocks = blocks_of(frame(["x", "x", "y", "x", "y", "y"], [0, 1, 2, 3, 4, 5]))
    assert blocks.tolist() == [0, 0, 1, 0, 1, 1]


def test_blocks_are_hours_otherwise() -> None:
    blocks = blocks_of(frame([None] * 4, [0.1, 0.9, 1.5, 7.0]))
    assert blocks.tolist() == [0, 0, 1, 2]


def test_many_groups_are_dealt_out_evenly() -> None:
    dealt = deal(np.arange(5000, dtype=np.int32) * 7)
    assert np.bincount(dealt).tolist() == [10] * 500


def test_a_replicate_draws_as_many_blocks_as_there_are() -> None:
    weight = resample(30, 50, seed=1)
    assert weight.shape == (51, 30)
    assert (weight[0] == 1).all()
    assert (weight.sum(axis=1) == 30).all()


def test_wrong_details_that_nothing_shows_are_a_guess_that_the_interval_holds() -> None:
    # some wrong details escape all detectors, so a share of the hits that look right counts as
    # wrong; the interval extends down to none of them being wrong
    tally = Tally(
        Population(np.ones(4, bool), np.arange(4, dtype=np.int32)), np.ones((3, 4)), "estimated"
    )
    row = np.array([-1, 0, 1, 2])
    verdicts = Verdicts(
        right=np.ones(3, np.int8),
        similarity=np.full(3, 0.9, np.float32),
        level=np.zeros(3, np.int8),
        certain=np.ones(3, bool),
        flags=np.zeros(3, np.uint32),
    )
    judged = Judged(
        verdicts,
        place=np.zeros(3, np.int64),
        group=np.arange(3),
        probability=np.full(3, 1.0),
        missed=np.zeros(3),
        open=np.zeros(3, bool),
    )
    unsafe = tally.point(row, judged, np.ones((3, 1))).unsafe_served_share
    assert unsafe is not None and (unsafe.low, unsafe.value) == (0.0, 0.0)
    guessed = replace(judged, probability=np.full(3, 0.8), missed=np.full(3, 0.2))
    known = replace(judged, probability=np.full(3, 0.8))
    shares = [
        tally.point(row, one, np.full((3, 1), 0.8)).unsafe_served_share for one in (guessed, known)
    ]
    assert shares[0] is not None and shares[1] is not None
    assert shares[0].value == shares[1].value == pytest.approx(0.15)
    assert shares[0].low is not None and shares[1].low is not None
    assert shares[0].low == pytest.approx(max(0.0, shares[1].low - 0.15))
    assert shares[0].high == shares[1].high
