"""The size of a cache that matches identical questions only."""

from pathlib import Path
from typing import Literal

import pytest

from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions
from costaudit.pipeline.loaded import load
from costaudit.pipeline.semantic.exact import ExactRun
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from tests.ingest.conftest import chat, write_lines

ASKED = ("Where is my parcel?", "Can I pay in euros at the door?")
ANSWER = "It is on its way."


@pytest.mark.parametrize("redact", ["none", "hash"])
def test_entries_hold_questions_and_answers(
    tmp_path: Path, redact: Literal["none", "hash"]
) -> None:
    calls = [chat(n, question, answer=ANSWER) for n, question in enumerate(ASKED)]
    path = write_lines(tmp_path / "log.jsonl", calls)
    run = RunDir(tmp_path / "run")
    ingest([str(path)], run, IngestOptions(redact=redact), SilentProgress())
    options = AnalyzeOptions()
    exact = ExactRun(load(run, options), options)
    assert exact.text_bytes() == (sum(map(len, ASKED)) / 2, len(ANSWER))
