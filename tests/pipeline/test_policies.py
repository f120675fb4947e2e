"""Other cache policies on whole logs: what they learn, what they add, and what is left out."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import costaudit
from costaudit.contracts.audit import Audit
from costaudit.contracts.semantic import PolicyRow, PolicyTrials
from tests.ingest.conftest import chat, write_lines

OPENINGS = ("How do I", "How can I", "How should I", "Where can I", "Where do I", "How would I")
ENDINGS = ("", " please", " now", " today", " again", " here")
WORDINGS = [f"{opening} reset my password{end}?" for opening in OPENINGS for end in ENDINGS]
RESET = "Open Settings and choose Reset."


START = datetime(2026, 10, 5, tzinfo=UTC)


def audited(
    folder: Path,
    asked: list[tuple[str, str]],
    minutes: int = 10,
    model: str = "gpt-4o",
    ttl: str = "",
) -> Audit:
    """Audit a log of questions and answers, one every few minutes."""
    calls = []
    for k, (question, answer) in enumerate(asked):
        call = chat(k, question, answer=answer)
        call["timestamp"] = (START + timedelta(minutes=minutes * k)).isoformat()
        call["request"]["model"] = call["response"]["model"] = model
        calls.append(call)
    path = write_lines(folder / "log.jsonl", calls)
    return costaudit.analyze(path, thresholds="0.8,0.9,0.99", max_wrong="5%", ttl=ttl).audit


def trials_of(audit: Audit) -> PolicyTrials:
    assert audit.semantic is not None and audit.semantic.trials is not None
    return audit.semantic.trials


def rows_of(trials: PolicyTrials) -> dict[str, PolicyRow]:
    return {row.kind: row for row in trials.rows}


def fee(plan: int) -> tuple[str, str]:
    """Return a question that differs from others in a number only, and its answer."""
    return f"What is the monthly fee of plan number {plan}?", f"Plan {plan} costs {7 * plan} euros."


def test_topics_get_the_thresholds_that_suit_them(tmp_path: Path) -> None:
    # Wordings of one question have one answer; plans that differ in their number don't. Both are
    # asked all the time, so that each half of the hours has both.
    asked = [
        (WORDINGS[k % 36], RESET) if turn else fee(11 + 3 * k)
        for k in range(144)
        for turn in (0, 1)
    ]
    trials = trials_of(audited(tmp_path, asked))
    rows = rows_of(trials)
    assert set(rows) == {"exact", "one", "entry", "topic", "topic_ttl", "curated"}
    assert trials.requests == 144
    assert rows["exact"].hits < rows["topic"].hits
    assert rows["topic"].unsafe_served_share.value <= 0.05
    saved = {kind: row.saved.usd for kind, row in rows.items() if row.saved is not None}
    assert saved["topic"] >= saved["one"] >= saved["exact"]
    for kind, row in rows.items():
        if row.more is not None:
            assert abs(row.more.usd - (saved[kind] - saved["one"])) <= saved["one"] / 100
    assert rows["one"].more is None


def test_one_answer_is_learned_and_served(tmp_path: Path) -> None:
    rows = rows_of(trials_of(audited(tmp_path, [(one, RESET) for one in WORDINGS] * 2)))
    assert rows["entry"].unsafe_served_share.value == 0.0  # equal answers are right
    assert rows["entry"].hits >= rows["exact"].hits > 0
    assert "were compared with an entry's answer" in rows["entry"].how


def test_rules_that_other_policies_do_not_know_leave_them_out(tmp_path: Path) -> None:
    trials = trials_of(audited(tmp_path, [(one, RESET) for one in WORDINGS] * 2, ttl="100h"))
    assert set(rows_of(trials)) == {"exact", "one"}
    assert "are not simulated with a lifetime" in trials.why


def test_nothing_to_review_is_said(tmp_path: Path) -> None:
    trials = trials_of(audited(tmp_path, [(one, RESET) for one in WORDINGS]))
    assert "curated" not in rows_of(trials)
    assert "no question is asked twice in the first half" in trials.why


def test_a_log_without_prices_claims_no_saving(tmp_path: Path) -> None:
    asked = [(one, RESET) for one in WORDINGS] * 2
    trials = trials_of(audited(tmp_path, asked, model="our-own-model"))
    assert {(row.saved, row.more) for row in trials.rows} == {(None, None)}


def test_a_log_of_one_hour_has_no_second_half(tmp_path: Path) -> None:
    trials = trials_of(audited(tmp_path, [(one, RESET) for one in WORDINGS], minutes=1))
    assert not trials.rows
    assert "no half can choose for the other" in trials.why
