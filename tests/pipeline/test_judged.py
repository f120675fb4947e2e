"""What people say about a sample of hits changes what later analyses expect detectors to miss."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

import costaudit
from costaudit.cli.main import main
from costaudit.contracts.semantic import SemanticSection
from tests.ingest.conftest import chat, write_lines

START = datetime(2026, 10, 5, tzinfo=UTC)
DEEDS = ("return", "cancel", "change", "track", "insure")
THINGS = ("parcel", "order", "invoice", "gift card", "plan", "booking")
WAYS = ("How do I {} my {}?", "How can I {} my {} please?")
SAID = (
    "Open the page of {1}s and choose {0}.",
    "On the page of {1}s, you can choose {0}.",
    "Please open the {1}s page, then choose {0}.",
)


def log_of(folder: Path) -> Path:
    """Write a log that asks about each deed and thing in two ways, eight times each."""
    asked = [(way, deed, thing) for way in WAYS for deed in DEEDS for thing in THINGS] * 8
    chance = np.random.default_rng(0)
    calls = []
    for number, (way, deed, thing) in enumerate(asked):
        answer = SAID[chance.integers(3)].format(deed, thing)
        call = chat(number, way.format(deed, thing), answer=answer)
        call["timestamp"] = (START + timedelta(minutes=7 * number)).isoformat()
        calls.append(call)
    return write_lines(folder / "log.jsonl", calls)


def analysed(log: Path, run: Path) -> SemanticSection:
    found = costaudit.analyze(log, thresholds="0.8,0.9", out=run).audit.semantic
    assert found is not None
    return found


def judged(run: Path, form: Path, verdict: str) -> None:
    """Let a person give one verdict on every pair of the form."""
    ask = ["judge", str(run), "--judge", f"human:{form}", "--threshold", "0.8", "--sample", "60"]
    assert main(ask) == 0
    with form.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    with form.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "verdict": verdict} for row in rows)
    assert main(ask) == 0


def wrong(section: SemanticSection) -> float:
    share = section.points[0].unsafe_served_share
    assert share is not None
    return share.value


def test_verdicts_change_what_detectors_are_expected_to_miss(tmp_path: Path) -> None:
    log, run = log_of(tmp_path), tmp_path / "run"
    before = analysed(log, run)
    assert before.misses is None

    judged(run, tmp_path / "right.csv", "right")
    fine = analysed(log, run)
    assert fine.misses is not None and fine.misses.judge == "human:right.csv"
    assert fine.misses.verdicts == 60
    assert (fine.misses.missed, fine.misses.unexplained) == (0.0, 0.0)
    assert wrong(fine) <= wrong(before)

    judged(run, tmp_path / "wrong.csv", "wrong")
    bad = analysed(log, run)
    assert bad.misses is not None
    hidden = bad.misses.missed + bad.misses.unexplained
    assert hidden > 10 * max(bad.misses.seen, 1.0)  # they look right to all detectors
    assert wrong(bad) > wrong(before) + 0.2


def test_a_file_that_no_judge_wrote_is_ignored(tmp_path: Path) -> None:
    log, run = log_of(tmp_path), tmp_path / "run"
    analysed(log, run)
    for text in ('{"judge":"x","verdicts":3,"missed":9,"seen":0}', "[", '{"missed":"much"}'):
        (run / "misses.json").write_text(text)
        assert analysed(log, run).misses is None
