"""Every verb's output fits 80 columns, and no verb fails in a terminal of 40 columns."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import write_log
from tests.conftest import Said
from tests.ingest.conftest import chat

Run = Callable[..., Said]
VERBS = {
    "prices": ("prices", "gemini-2.5-pro"),
    "a model without a price": ("prices", "a-model-that-nobody-knows-the-price-of"),
    "debug": ("debug",),
    "doctor": ("doctor", "log.jsonl"),
    "forecast": ("forecast", "run", "--quiet"),
    "a forecast of a short log": ("forecast", "short.jsonl", "--quiet"),
    "a form for people who judge a route": (
        "route", "run", "--candidate", "recorded:answers.jsonl?model=gpt-4.1-mini",
        "--judge", "human:form.csv", "--sample", "30", "--quiet",
    ),
    "erase": ("erase", "run", "--where", "user=nobody"),
    "no budget": ("gate", "run"),
}  # fmt: skip


@pytest.fixture
def logs(costaudit: Run, tmp_path: Path) -> None:
    records = [chat(n, f"Question {n}?", answer=f"See page {n}.") for n in range(60)]
    for n, record in enumerate(records):
        record["timestamp"] = f"2026-10-{1 + n % 20:02d}T09:{n:02d}:00.000Z"
    write_log(tmp_path / "log.jsonl", records)
    write_log(tmp_path / "short.jsonl")
    assert costaudit("ingest", "log.jsonl", "--out", "run", "--quiet").code == 0
    (tmp_path / "answers.jsonl").write_text("".join(
        json.dumps({
            "request_id": f"chatcmpl-{n}", "answer": f"Page {n}.", "input_tokens": 9,
            "output_tokens": 3,
        }) + "\n" for n in range(60)
    ))  # fmt: skip


@pytest.mark.usefixtures("logs")
@pytest.mark.parametrize("width", [40, 80])
def test_lines_fit(costaudit: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for name, arguments in VERBS.items():
        said = costaudit(*arguments)
        assert said.code in (0, 2, 4), (name, said.err)
        assert "Traceback" not in said.err
        lines = (said.out + said.err).splitlines()
        assert lines, name
        long = [line for line in lines if len(line) > width and " " in line.strip()]
        assert not long, (name, long)


def test_a_wide_terminal_keeps_prices_in_a_table(
    costaudit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    wide = costaudit("prices", "gemini-2.5-pro").out
    assert any(line.split()[-1] == "output" for line in wide.splitlines())
    monkeypatch.setenv("COLUMNS", "60")
    narrow = costaudit("prices", "gemini-2.5-pro").out
    assert "  output       10" in narrow.splitlines()


def test_a_price_in_spanish(costaudit: Run) -> None:
    said = costaudit("prices", "gemini-2.5-pro", "--lang", "es").out
    assert "por encima de tokens" in said and "200.000" in said and "0,125" in said
