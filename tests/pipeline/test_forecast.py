"""The forecast of a whole log: a day that costs more, and the part of the prompt behind it."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from costaudit.contracts.forecast import Forecast
from costaudit.contracts.run_dir import RunDir
from costaudit.errors import InsufficientDataError
from costaudit.pipeline.forecast import forecast_of
from costaudit.pipeline.loaded import ingested
from costaudit.pipeline.settings import AnalyzeOptions
from costaudit.progress import SilentProgress
from costaudit.report.tables.forecast import forecast_line
from tests.pipeline.conftest import LONG, START, call

DAYS, EACH, BULKY = 21, 8, 9


def told(folder: Path, calls: list[dict[str, Any]]) -> Forecast:
    """Return the forecast of a log."""
    (folder / "log.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, calls)))
    run = RunDir(folder / "run")
    return forecast_of(
        ingested([str(folder / "log.jsonl")], run, AnalyzeOptions(), SilentProgress())
    )


@pytest.fixture(scope="module")
def forecast(tmp_path_factory: pytest.TempPathFactory) -> Forecast:
    """A log of 21 days; on the tenth, instructions are long and the input three times as large."""
    calls = []
    for number in range(DAYS * EACH):
        at = START + timedelta(days=number // EACH, hours=9 + number % EACH)
        bulky = {"system": LONG, "tokens": 6_000} if number // EACH == BULKY else {}
        calls.append(call(at, f"Question {number}?", **bulky))
    return told(tmp_path_factory.mktemp("log"), calls)


def test_a_spike_names_the_part_of_the_prompt(forecast: Forecast) -> None:
    """8 calls with 4,000 tokens more at $2.50 per million cost 8 cents more."""
    (one,) = forecast.spikes
    assert one.day == "2026-10-14"
    # 8 calls of 6,000 or of 2,000 tokens at 2.50, and 300 at 10 dollars per million
    assert (one.usd, one.usual_usd) == (Decimal("0.144"), Decimal("0.064"))
    part = next(cause for cause in one.causes if cause.dimension == "part")
    assert part.group == "system"
    assert part.share > 0.9


def test_what_adds_nothing_is_no_part(forecast: Forecast) -> None:
    assert "answer" not in {cause.group for one in forecast.spikes for cause in one.causes}
    assert forecast.inflation == ()


def test_longer_prompts_cost_the_price_of_their_input(tmp_path: Path) -> None:
    """72 of 168 calls have 1,000 tokens more, at $2.50 per million; output costs four times that.

    Three weeks of seven days stand for a month of 30.4375 days.
    """
    calls = [
        call(START + timedelta(days=number // EACH, hours=9 + number % EACH), f"Question {number}?",
             tokens=1_000 if number // EACH < 12 else 2_000)
        for number in range(DAYS * EACH)
    ]  # fmt: skip
    (one,) = told(tmp_path, calls).inflation
    assert (one.since, one.before_tokens, one.after_tokens) == ("2026-10-17", 1_000, 2_000)
    by_hand = 72 * 30.4375 / 21 * 1_000 * 2.5e-6
    assert float(one.usd_month) == pytest.approx(by_hand, rel=0.02)


def month_of_calls(**more: Any) -> list[dict[str, Any]]:
    """Return two calls a day for 28 days."""
    at = [START + timedelta(days=day, hours=hour) for day in range(28) for hour in (9, 15)]
    return [call(one, f"Question {number}?", **more) for number, one in enumerate(at)]


def test_what_has_no_price_is_missing_in_the_forecast_and_is_told(tmp_path: Path) -> None:
    """Every second call has no price: the line says that the amount is the least, and how much."""
    calls = month_of_calls()
    for record in calls[::2]:
        record["request"]["model"] = record["response"]["model"] = "nobody-knows-7b"
    found = told(tmp_path, calls)
    assert (found.unpriced_requests, found.unpriced_share) == (28, 0.5)
    line = forecast_line(found)
    assert "next month at least $" in line
    assert "28 requests with 50.0% of the tokens are not fully priced." in line
    (whole := tmp_path / "whole").mkdir()
    assert "at least" not in forecast_line(told(whole, calls[1::2]))


@pytest.mark.parametrize(
    ("more", "untimed", "said", "hint"),
    [
        ({"model": "nobody-knows-7b"}, False, "None of the 56 calls has a price", "--prices FILE"),
        ({"status": 500}, False, "None of the 56 calls was answered", "costaudit doctor"),
        ({}, True, "No request has a time", "Log the time of each call"),
    ],
)
def test_without_an_amount_there_is_no_forecast(
    tmp_path: Path, more: dict[str, Any], untimed: bool, said: str, hint: str
) -> None:
    calls = month_of_calls(**more)
    for record in calls if untimed else ():
        del record["timestamp"]
    with pytest.raises(InsufficientDataError) as error:
        told(tmp_path, calls)
    assert said in error.value.message and hint in error.value.hint
    assert error.value.exit_code == 4
