"""A cache with reviewed answers: the plain loop, the laws, and a case by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from costaudit.contracts.policies import SemanticPolicy
from costaudit.simulate.semantic.policies.curated import Reviewed, Served, most_asked, serve_curated
from costaudit.simulate.semantic.stream import Stream
from costaudit.simulate.semantic.sweep import BYPASS, MISS, sweep
from tests.simulate.semantic.oracle import replay_curated
from tests.simulate.semantic.streams import (
    Drawn,
    make_stream,
    odd_verdict,
    odd_verdicts,
    streams,
)


def curated(drawn: Drawn, threshold: float, reviewed: Reviewed) -> Served:
    stream, vectors = drawn
    policy = SemanticPolicy(min_similarity=threshold)

    def below(passed: Stream) -> np.ndarray:
        served: np.ndarray = sweep(passed, vectors, [policy]).served[0]
        return served

    return serve_curated(stream, vectors, reviewed, (0.3, threshold), below, odd_verdicts)


@settings(max_examples=60)
@given(streams(), st.sampled_from([0.5, 0.8, 0.95, 1.01]), st.floats(0, 1), st.integers(0, 9))
def test_every_decision_equals_the_plain_loop(
    drawn: Drawn, threshold: float, part: float, most: int
) -> None:
    stream, vectors = drawn
    reviewed = most_asked(stream, int(part * len(stream.text)), most)
    found = curated(drawn, threshold, reviewed)
    assert found.served.tolist() == replay_curated(
        (
            stream.text.tolist(), stream.partition.tolist(),
            stream.ts_s.tolist(), stream.ready_s.tolist(),
        ),
        vectors, (0.3, threshold), (reviewed.requests.tolist(), reviewed.start), odd_verdict,
    )  # fmt: skip


@given(streams(), st.sampled_from([0.5, 0.8, 1.01]))
def test_verification_changes_answers_but_no_hit(drawn: Drawn, threshold: float) -> None:
    stream = drawn[0]
    reviewed = most_asked(stream, len(stream.text) // 2, 5)
    found = curated(drawn, threshold, reviewed)
    assert ((found.served == BYPASS) == (stream.text < 0)).all()
    assert not found.direct[: reviewed.start].any()
    assert not found.verified[: reviewed.start].any()
    assert (found.served[found.verified] == MISS).all()  # only a call has an answer to compare
    taken = found.promoted >= 0
    assert found.verified[taken].all()
    assert np.isin(found.promoted[taken], reviewed.requests).all()
    hit = found.served >= 0
    assert (stream.partition[found.served[hit]] == stream.partition[hit]).all()


def test_the_last_answer_to_what_was_asked_most_is_reviewed() -> None:
    text = [0, 1, 1, 2, 2, 2, 1, 2, 2]
    stream = make_stream(text, [0] * 9, [0] * 9, range(9), [0] * 9)
    assert most_asked(stream, 7, 9).requests.tolist() == [6, 5]  # both three times: the first seen
    assert most_asked(stream, 7, 1).requests.tolist() == [6]
    assert most_asked(stream, 4, 9).requests.tolist() == [2]  # the others were asked once
    assert most_asked(stream, 0, 9).requests.tolist() == []


def test_a_verified_answer_reaches_repeats_and_other_wordings() -> None:
    # Question 0 is reviewed. Question 1 is like it at 0.8, below the threshold; question 2 is like
    # question 1 at 0.96, and less like question 0.
    vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8]], dtype=np.float32)
    stream = make_stream([0, 0, 1, 1, 2, 0], [0] * 6, [0] * 6, range(6), [0] * 6)
    policy = SemanticPolicy(min_similarity=0.9)

    def served(verdict: int) -> list[int]:
        found = serve_curated(
            stream, vectors, most_asked(stream, 2, 9), (0.7, 0.9),
            lambda passed: sweep(passed, vectors, [policy]).served[0],
            lambda asked, matched: np.full(len(asked), verdict, np.int8),
        )  # fmt: skip
        return [int(one) for one in found.served]

    assert served(1) == [-1, 0, -1, 1, 1, 1]  # request 2 is called; then its entry has answer 1
    assert served(0) == [-1, 0, -1, 2, 2, 1]
