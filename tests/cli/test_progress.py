"""Progress messages on stderr during work."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from costaudit.cli.progress import progress_on_stderr
from tests.cli.conftest import records, write_log
from tests.conftest import Said


def test_work_in_pieces_has_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    pieces = [("embed", "texts", 5), ("embed", "answers", 3), ("embed", "answers", 4)]
    with progress_on_stderr(quiet=False) as progress:
        for stage, unit, amount in pieces:
            progress.start(stage, amount, unit)
            progress.advance(amount)
            progress.finish()
        progress.start("report", None, "files")
        progress.finish("a.html")
        progress.start("embed", 2, "answers")
        progress.advance(2)
        progress.finish()
    lines = re.sub(r"\([\d.]+ s\)", "", capsys.readouterr().err).split("\n")
    assert [" ".join(line.split()) for line in lines if line] == [
        "embed 5 texts", "embed 7 answers", "report a.html", "embed 2 answers"
    ]  # fmt: skip


def test_two_remarks_are_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_on_stderr(quiet=False) as progress:
        for note in ("one", "two"):
            progress.start("ingest", None, "bytes")
            progress.finish(note)
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["one", "two"]


def test_a_cold_audit_embeds_questions_and_then_answers(
    costaudit: Callable[..., Said], tmp_path: Path
) -> None:
    write_log(tmp_path / "log.jsonl", records())
    said = costaudit("analyze", "log.jsonl").err.splitlines()
    # six distinct questions; each answer that is compared with another is embedded once
    embedded = [line.split()[1:3] for line in said if line.startswith("embed")]
    assert [unit for _, unit in embedded] == ["questions", "answers"]
    assert embedded[0][0] == "6"
