"""Verdicts on pairs of requests, from their logged answers."""

from dataclasses import replace

import numpy as np
import pytest

from costaudit.answers.consistency import ASSUMED_LIMIT, Consistency
from costaudit.answers.kinds import CUT, JSON, TEXT
from costaudit.answers.repeats import repeats
from costaudit.answers.traps.detectors import TRAP_NAMES
from tests.answers.builder import WIDE, log_of, near

PAIRS = np.arange(0, 8, 2, dtype=np.int32), np.arange(1, 8, 2, dtype=np.int32)


def judged(answers: list[str], vectors: np.ndarray | None = None, **log: object) -> Consistency:
    questions = [f"question {k}" for k in range(len(answers))]
    return Consistency(log_of(questions, answers, answer_vectors=vectors, **log))  # type: ignore[arg-type]


def test_without_repeats_the_limit_is_assumed() -> None:
    rng = np.random.default_rng(1)
    centre = np.eye(WIDE)[0]
    vectors = np.array([near(centre, s, rng) if k % 2 else centre
                        for k, s in enumerate([1, 0.91, 1, 0.89, 1, 0.95, 1, 0.2])])  # fmt: skip
    check = judged(["Yes, a.", "Yes, b.", "Yes, c.", "Yes, d.", "It takes 3 days.",
                    "It takes 4 days.", "Yes, g.", "Yes, h."], vectors)  # fmt: skip
    assert check.floor.limit == ASSUMED_LIMIT == 0.90
    assert check.floor.grade == "assumed"
    verdicts = check.judge(*PAIRS)
    # 0.91 is above the limit, 0.89 below; 0.95 is above but three days are not four; 0.2 is below
    assert verdicts.right.tolist() == [1, 0, 0, 0]
    assert verdicts.names(2) == ("numbers", "answer_numbers", "answer_units")
    np.testing.assert_allclose(verdicts.similarity, [0.91, 0.89, 0.95, 0.2], atol=1e-6)


def test_identical_answers_are_right_and_missing_ones_unknown() -> None:
    check = judged(["Same.", "Same.", "", "Other.", "Said.", "", "", ""])
    verdicts = check.judge(*PAIRS)
    assert verdicts.right.tolist() == [1, -1, -1, -1]
    assert verdicts.certain.tolist() == [True, False, False, False]


def test_kinds_settle_what_they_can() -> None:
    answers = ["Open it.", "I'm sorry, I can't help with that.", '{"a": 1}', '{"a": 2}',
               '{"a": 1, "b": 2}', '{"b": 2, "a": 1}', "Cut her", "Cut here."]  # fmt: skip
    kinds = [TEXT, 4, JSON, JSON, JSON, JSON, CUT, TEXT]
    check = judged(answers, np.tile(np.eye(WIDE)[0], (8, 1)), kinds=kinds)
    verdicts = check.judge(*PAIRS)
    assert verdicts.right.tolist() == [0, 0, 1, -1]
    assert "refusal" in verdicts.names(0)
    assert "structure" in verdicts.names(1)
    assert "cut" in verdicts.names(3)


def test_two_refusals_agree() -> None:
    answers = ["I'm sorry, I can't help with that.", "I can't assist with that request."] * 4
    vectors = np.tile(np.eye(WIDE)[0], (8, 1))
    assert judged(answers, vectors).judge(*PAIRS).right.tolist() == [1, 1, 1, 1]


def test_repeats_pair_a_prompt_within_its_scope_only() -> None:
    questions = ["a", "a", "a", "b", "a"]
    log = log_of(questions, ["1", "2", "3", "4", "5"], scope=[0, 0, 1, 0, 0])
    pairs = repeats(log)
    found = sorted(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    assert found == [(0, 1), (0, 4), (1, 4)]
    by_pair = dict(zip(found, pairs.gap_s.tolist(), strict=False))
    assert by_pair[(0, 1)] == 3600.0


@pytest.fixture(scope="module")
def chatty() -> Consistency:
    """Sixty prompts, asked five times each; the answers to one topic have a cosine around 0.8."""
    rng = np.random.default_rng(7)
    centres = np.linalg.qr(rng.normal(size=(60, 60)))[0]
    questions, answers, vectors, hours = [], [], [], []
    for k in range(300):
        topic = k % 60
        questions.append(f"What about topic {chr(97 + topic % 26)}{chr(97 + topic // 26)}?")
        answers.append(f"Wording {rng.integers(10**9)} of it" if topic < 55 else f"It is {k}.")
        vectors.append(near(centres[topic], np.sqrt(rng.uniform(0.7, 0.9)), rng))
        hours.append(k / 10)
    return Consistency(log_of(questions, answers, answer_vectors=np.array(vectors), hours=hours))


def test_the_floor_is_a_low_quantile_of_the_repeats(chatty: Consistency) -> None:
    floor = chatty.floor
    assert floor.grade == "estimated"
    assert floor.pairs == len(chatty.calibration.similarity) > 100
    below = (chatty.calibration.similarity < floor.limit).mean()
    assert below == pytest.approx(0.05, abs=0.01)


def test_a_detector_that_fires_between_repeats_tells_nothing(chatty: Consistency) -> None:
    # most answers contain a random code, on which no two repeats agree
    odds = dict(zip(TRAP_NAMES, chatty.calibration.scale.odds[-1], strict=True))
    assert chatty.calibration.false_alarms["identifiers"] > 0.5
    assert odds["identifiers"] == 0
    assert odds["dates"] > np.log(20)


def test_live_data_is_no_noise(chatty: Consistency) -> None:
    # the answers on five topics have another number each time, the others have none
    live = np.isin(chatty.repeats.prompt, chatty.calibration.live)
    topics = {chatty.log.questions[q] for q in chatty.log.question[chatty.repeats.first[live]]}
    assert len(topics) == 5
    odds = dict(zip(TRAP_NAMES, chatty.calibration.scale.odds[-1], strict=True))
    assert odds["numbers"] > np.log(20)


def test_prose_in_structured_answers_is_compared_as_prose() -> None:
    said = ["You can return it within a month and pay nothing at all.",
            "Items from the sale can not be returned once they have been paid for."]  # fmt: skip
    rng = np.random.default_rng(2)
    vectors = np.array([np.eye(WIDE)[0], near(np.eye(WIDE)[0], 0.3, rng)] * 4)
    plain = judged(said * 4, vectors)
    structured = judged([f'{{"answer": "{text}"}}' for text in said] * 4, vectors)
    assert plain.judge(*PAIRS).right.tolist() == structured.judge(*PAIRS).right.tolist() == [0] * 4


def test_yes_is_never_no_and_says_what_follows() -> None:
    answers = ["Yes.", "No.", "Yes, of course.", "Yes, it is.", "Yes, on Monday.",
               "Yes, on Friday.", "No problem.", "Yes."]  # fmt: skip
    verdicts = judged(answers, np.tile(np.eye(WIDE)[0], (8, 1))).judge(*PAIRS)
    assert verdicts.right.tolist()[:3] == [0, 1, 0]
    assert verdicts.certain.tolist() == [True, True, False, False]


def certainly_right(first: str, second: str, *questions: str) -> bool:
    log = log_of(questions or ("a", "b"), [first, second],
                 answer_vectors=np.tile(np.eye(WIDE)[0], (2, 1)))  # fmt: skip
    found = Consistency(log).judge(np.array([0], np.int32), np.array([1], np.int32))
    return bool(found.certain[0] and found.right[0] == 1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("No, it is.", "No, it isn't."),
        ("Yes, you can.", "Yes, you can't."),
        ("Of course.", "Of course not."),
        ("Claro.", "Claro que no."),
        ("Sí, se puede.", "Sí, no se puede."),
        ("No se puede.", "No, se puede."),
    ],
)
def test_a_negation_inside_a_reply_is_never_taken_for_agreement(first: str, second: str) -> None:
    assert not certainly_right(first, second)
    assert not certainly_right(second, first)


@pytest.mark.parametrize(
    ("first", "second"),
    [("No.", "Of course not."), ("No.", "Nope."), ("Yes.", "Yes, it is."), ("No", "Claro que no."),
     ("Sí.", "Claro que sí.")],
)  # fmt: skip
def test_replies_without_a_doubt_agree(first: str, second: str) -> None:
    assert certainly_right(first, second)


@pytest.mark.parametrize("answer", ['{"answer": "Yes."}', '{"ok": [true]}', "Yes."])
def test_an_equal_reply_to_opposite_questions_can_not_be_judged(answer: str) -> None:
    other = answer.replace("Yes", "yes").replace(": [", ":[")
    opposite = ("Is it refundable?", "Is it not refundable?")
    for second in (answer, other):
        log = log_of(opposite, [answer, second])
        found = Consistency(log).judge(np.array([1], np.int32), np.array([0], np.int32))
        assert found.right.tolist() == [-1] and not found.certain[0]
        assert certainly_right(answer, second, "Is it refundable?", "Is it refundable, please?")
        assert certainly_right(answer, second, "Is it refundable?", "Why can't I pay?")
    assert certainly_right('{"id": 1}', '{"id":1}', *opposite)


def test_users_and_time_make_differences_that_are_no_noise() -> None:
    # ten users ask twenty prompts twice each; every user has their own number
    questions, answers, users, hours = [], [], [], []
    for slot in range(400):
        prompt, user = slot % 20, slot // 20 % 10
        questions.append(f"What is my {chr(97 + prompt)} balance?")
        answers.append(f"Your balance is {1000 + 37 * user} euros.")
        users.append(user)
        hours.append(float(slot))
    vectors = np.tile(np.eye(WIDE)[0], (400, 1))
    log = log_of(questions, answers, answer_vectors=vectors, hours=hours)
    check = Consistency(replace(log, users=np.array(users, np.int32)))
    assert check.calibration.differs_by_user
    asked, matched = np.array([20, 200], np.int32), np.array([0, 0], np.int32)
    assert check.judge(asked, matched).right.tolist() == [0, 1]  # another user, the same user


def test_numbers_of_users_are_no_noise_on_topics_whose_users_ask_nothing_twice() -> None:
    # balances are known to depend on the user where eight users ask often; the users of another
    # topic ask once each, so that only the numbers show that its answers hold their data too
    rng = np.random.default_rng(0)
    balance, points, help_ = np.eye(WIDE)[:3]
    asked = [(f"Balance {k}?", user, balance) for k in range(12) for user in (*range(8), *range(8))]
    asked += [(f"Points {k}?", 8 + 2 * k + who, points) for k in range(20) for who in range(2)]
    asked += [(f"Help {k}?", user, help_) for k in range(24) for user in (*range(8), *range(8))]
    asked = [asked[k] for k in rng.permutation(len(asked))]
    words = ("fine", "good", "great")
    answers = [
        f"All is {words[rng.integers(3)]}, {''.join(rng.choice(list('abcdef'), 9))}."
        + ("" if centre is help_ else f" You have {1000 + 37 * user}.")
        for _, user, centre in asked
    ]
    log = log_of(
        [text for text, _, _ in asked],
        answers,
        question_vectors=np.stack([near(centre, 0.9, rng) for _, _, centre in asked]),
        answer_vectors=np.stack([near(np.eye(WIDE)[3], 0.95, rng) for _ in asked]),
        hours=[float(k) for k in range(len(asked))],
    )
    log = replace(log, users=np.array([user for _, user, _ in asked], np.int32))
    calibration = Consistency(log).calibration
    alone = np.array([text.startswith("Points") for text, _, _ in asked])
    assert len(calibration.settled) > 200
    assert not alone[calibration.settled.second].any()
    assert calibration.false_alarms["numbers"] < 0.005


def test_users_with_the_same_answers_rarely_look_different() -> None:
    # answers in one of three wordings with a number by chance, whoever asks: the many signs that
    # are compared between users, and between short and long gaps, must not add up to false alarms
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        questions = [f"about {k}" for k in rng.integers(0, 60, 600)]
        words = rng.choice(["fine", "not good", "great before noon"], 600)
        answers = [
            f"It is {word}, {n} of 9."
            for word, n in zip(words, rng.integers(1, 4, 600), strict=True)
        ]
        log = log_of(
            questions,
            answers,
            answer_vectors=np.stack([near(np.eye(WIDE)[0], 0.9, rng) for _ in questions]),
            hours=np.sort(rng.uniform(0, 300, 600)).tolist(),
        )
        log = replace(log, users=rng.integers(0, 12, 600).astype(np.int32))
        one = Consistency(log).calibration
        found += one.differs_by_user or one.differs_by_time
    assert not found


def test_a_rare_prompt_is_no_noise_where_its_topic_holds_data_of_users() -> None:
    # answers about orders greet the user; each rare prompt about orders is asked by two users who
    # ask nothing else, so that their names are not known to depend on the user
    names = ["anna", "bruno", "clara", "david", "elena", "felix", "gloria", "hugo"]
    names += [f"{first}o{second}" for first in "bcdfgh" for second in "klmn"]
    rng = np.random.default_rng(0)
    orders, help_ = np.eye(WIDE)[0], np.eye(WIDE)[1]
    asked = [(f"Order {k}?", user, orders) for k in range(12) for user in (*range(8), *range(8))]
    asked += [
        (f"Rare order {k}?", user, orders) for k in range(12) for user in (8 + 2 * k, 9 + 2 * k)
    ]
    asked += [(f"Help {k}?", user, help_) for k in range(24) for user in (*range(8), *range(8))]
    asked = [asked[k] for k in rng.permutation(len(asked))]
    words = ("fine", "good", "great")
    answers = [
        f"Hello {names[user]}, it is {words[rng.integers(3)]} {k}."
        if centre is orders
        else f"Hello there, it is {words[rng.integers(3)]} {k}."
        for k, (_, user, centre) in enumerate(asked)
    ]
    vectors = np.stack([near(centre, 0.9, rng) for _, _, centre in asked])
    log = log_of(
        [text for text, _, _ in asked],
        answers,
        question_vectors=vectors,
        answer_vectors=np.stack([near(np.eye(WIDE)[2], 0.95, rng) for _ in asked]),
        hours=[float(k) for k in range(len(asked))],
    )
    log = replace(log, users=np.array([user for _, user, _ in asked], np.int32))
    settled = Consistency(log).calibration.settled
    rare = np.array([text.startswith("Rare") for text, _, _ in asked])
    assert len(settled) > 200
    assert not (rare[settled.second] & ~settled.same_user).any()
