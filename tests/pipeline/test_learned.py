"""Learned thresholds on whole logs: one question in many words, with one answer or with several."""

import itertools
from pathlib import Path

import costaudit
from costaudit.contracts.semantic import LearnedRow
from costaudit.simulate.semantic.learned import LEAST
from tests.ingest.conftest import chat, write_lines

OPENINGS = ("How do I", "How can I", "How should I", "Where can I", "Where do I", "How would I")
ENDINGS = ("", " please", " now", " today", " again", " here")
ANSWERS = (
    "Open Settings and choose Reset.",
    "Call 555-0199 and ask for Ruth.",
    "That costs 25 euros, within 14 days.",
)


def learned(folder: Path, answers: tuple[str, ...], ttl: str = "") -> LearnedRow | str:
    """Return the row of a log whose 36 wordings of a question get the answers in turn, or why."""
    wordings = itertools.product(OPENINGS, ENDINGS)
    path = write_lines(
        folder / "log.jsonl",
        [
            chat(number, f"{opening} reset my password{ending}?", answer=answers[k])
            for number, (opening, ending) in enumerate(wordings)
            for k in [number % len(answers)]
        ],
    )
    found = costaudit.analyze(path, thresholds="0.8,0.9", max_wrong="5%", ttl=ttl).audit
    assert found.semantic is not None
    return found.semantic.learned or found.semantic.learned_why


def test_one_answer_is_learned_and_served(tmp_path: Path) -> None:
    row = learned(tmp_path, ANSWERS[:1])
    assert isinstance(row, LearnedRow)
    assert (row.exact_hits, row.min_similarity, row.max_wrong_share) == (0, 0.8, 0.05)
    assert LEAST <= row.explored < 35  # the first request has nothing to be compared with
    assert row.hits >= 10
    assert row.hits == 36 - row.peak_entries  # all wordings differ, so each call adds an entry
    assert row.unsafe_served_share.value == 0.0  # equal answers are right
    assert row.raw_hit_share.value == row.hits / 36
    assert row.valid_hit_share.value == row.raw_hit_share.value
    assert row.why.startswith("A threshold that each entry learns (vCache) saves ")


def test_other_answers_are_not_served_beyond_the_bound(tmp_path: Path) -> None:
    row = learned(tmp_path, ANSWERS)
    assert isinstance(row, LearnedRow)
    assert row.explored > 20
    # A third of the answers are right, so up to 5 % / (2/3) of 35 questions are served: 2.6, and 3
    # standard deviations of 1.6 more.
    assert row.hits <= 7


def test_rules_that_it_does_not_know_leave_it_out(tmp_path: Path) -> None:
    why = learned(tmp_path, ANSWERS[:1], ttl="1h")
    assert isinstance(why, str)
    assert "not simulated with a lifetime" in why
