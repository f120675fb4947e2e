"""Helpers for the tests of the command line: run a command as a user would, and small logs."""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from costaudit.cli.main import main
from tests.conftest import Said
from tests.ingest.conftest import chat, write_lines

QUESTIONS = (
    "How do I change my delivery address?", "When will my parcel arrive?",
    "Can I pay with a gift card?", "How do I change my delivery address?",
    "Where do I find my invoice?", "How can I change my delivery address?",
    "Do you ship to Norway?", "When will my parcel arrive?",
)  # fmt: skip
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def costaudit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """A function that runs a command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COSTAUDIT_DEBUG", raising=False)

    def run(*arguments: str) -> Said:
        code = main(arguments)
        captured = capfd.readouterr()
        return Said(code, captured.out, captured.err)

    return run


def records(change: Change | None = None) -> list[dict[str, Any]]:
    """Return one chat per question, each then changed in place by `change`."""
    made = [chat(n, text, answer=f"See page {len(text)}.") for n, text in enumerate(QUESTIONS)]
    for record in made if change else ():
        assert change is not None
        change(record)
    return made


def write_log(path: Path, lines: Iterable[dict[str, Any]] | None = None) -> Path:
    """Write a log of a few chats, or of the given records."""
    made: Sequence[Any] = records() if lines is None else deepcopy(list(lines))
    return write_lines(path, made)
