"""Capacity for a month and seats: the size that pays, by hand, after the other steps."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import write_log
from tests.conftest import Said
from tests.ingest.conftest import chat

Run = Callable[..., Said]
START = datetime(2026, 10, 1, tzinfo=UTC)
HOURS = 24 * 28
CALL_USD = Decimal("0.0015")  # 400 tokens at 2.50 and 50 at 10 per million
MONTH_HOURS = Decimal("730.5")
UNITS = """
[[offer]]
name = "Slots of a cloud"
unit = "slot"
provider = "openai"
usd_month = "{price}"
[offer.models]
"gpt-4o" = [1000, 4]
"""
SEATS = """
[[offer]]
name = "A plan for each developer"
unit = "seat"
usd_month = "1"
by_user = true
window_minutes = 300
[offer.models]
"gpt-4o" = [1000, 4]
"""


def call(number: int, hour: int, user: str) -> dict[str, Any]:
    made = chat(number, f"What about item {number * 7919} in aisle {number}?", answer=f"{number}.")
    at = START + timedelta(hours=hour, seconds=number % 60)
    made |= {"timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "user": user, "endpoint": "/a"}
    made["response"]["usage"] = {
        "prompt_tokens": 400, "completion_tokens": 50, "total_tokens": 450,
    }  # fmt: skip
    return made


def steady(path: Path) -> Path:
    """Write one call an hour, and three more in the same minute of every sixth hour."""
    calls = [(hour, "ann") for hour in range(HOURS)]
    calls += [(hour, "bob") for hour in range(0, HOURS, 6) for _ in range(3)]
    return write_log(path, (call(n, hour, who) for n, (hour, who) in enumerate(sorted(calls))))


def bought(costaudit: Run, offers: str, tmp_path: Path) -> list[dict[str, Any]]:
    (tmp_path / "offers.toml").write_text(offers, "utf-8")
    if not (tmp_path / "run").exists():
        steady(tmp_path / "log.jsonl")
        assert costaudit("ingest", "log.jsonl", "--out", "run", "--quiet").code == 0
    said = costaudit("levers", "run", "--commitments", "offers.toml", "--format", "json", "-q")
    assert said.code == 0, said.err
    return [row for row in json.loads(said.out) if row["lever"] == "commitments"]


@pytest.mark.parametrize(
    ("price", "units", "calls_an_hour"),
    [
        ("0.90", 1, Decimal(1)),  # one slot serves one call of 600 weighted tokens a minute
        ("0.10", 3, Decimal("1.5")),  # three serve all four calls of a busy minute
        ("1.50", 0, Decimal(0)),  # dearer than what the first slot serves: 1.0958
    ],
)
def test_the_size_that_pays_is_found(
    price: str, units: int, calls_an_hour: Decimal, costaudit: Run, tmp_path: Path
) -> None:
    rows = bought(costaudit, UNITS.format(price=price), tmp_path)
    if not units:
        assert rows == []
        return
    (row,) = rows
    (unit,) = row["units"]
    assert unit["unit"] == f"{units} × slot | gpt-4o"
    paid = units * Decimal(price)
    served = calls_an_hour * MONTH_HOURS * CALL_USD
    assert abs(Decimal(row["alone"]["usd"]) - (served - paid)) < Decimal("0.01")
    assert row["saved"]["usd"] == row["alone"]["usd"]  # there is no other step
    (table,) = row["evidence"]
    assert next(cells[0] for cells in table["rows"]) == "0"  # what it costs without
    assert str(units) in [cells[0] for cells in table["rows"]]


def test_a_seat_is_bought_for_whom_it_pays(costaudit: Run, tmp_path: Path) -> None:
    # Five hours hold five calls of ann's, 3,000 weighted tokens, of which the seat serves 1,000:
    # one call in five hours. Bob's busy minutes are in windows of their own: one call of three.
    # Neither is worth 1 dollar (0.22 and 0.18); a seat at 10 cents is, for both.
    assert bought(costaudit, SEATS, tmp_path) == []
    cheap = SEATS.replace('usd_month = "1"', 'usd_month = "0.10"')
    (row,) = bought(costaudit, cheap, tmp_path)
    assert row["units"][0]["unit"] == "2 × seat | gpt-4o"
    served = (Decimal(1) / 5 + Decimal(1) / 6) * MONTH_HOURS * CALL_USD
    assert abs(Decimal(row["alone"]["usd"]) - (served - Decimal("0.20"))) < Decimal("0.02")


def test_published_offers_of_another_platform_are_not_applied(
    costaudit: Run, tmp_path: Path
) -> None:
    steady(tmp_path / "log.jsonl")
    said = costaudit("levers", "log.jsonl", "--format", "json", "--quiet")
    assert not [row for row in json.loads(said.out) if row["lever"] == "commitments"]


@pytest.mark.parametrize(
    "text",
    ["", "offer = 1", UNITS.format(price="-1"), UNITS.format(price="1").replace("1000", "0"), "["],
)
def test_a_file_that_is_none_is_refused_before_the_log_is_read(
    text: str, costaudit: Run, tmp_path: Path
) -> None:
    (tmp_path / "offers.toml").write_text(text, "utf-8")
    said = costaudit("levers", "nowhere.jsonl", "--commitments", "offers.toml")
    assert said.code == 2 and "offers.toml" in said.err and "[[offer]]" in said.err
    absent = costaudit("levers", "nowhere.jsonl", "--commitments", "absent.toml")
    assert absent.code == 2 and "absent.toml" in absent.err
