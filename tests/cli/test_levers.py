"""`costaudit levers` shows what levers other than caching save."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import records, write_log
from tests.conftest import Said
from tests.levers.planted_log import calls, indented_json, write

Run = Callable[..., Said]


def test_short_questions_are_worth_a_test_and_no_money(costaudit: Run, tmp_path: Path) -> None:
    made = [{**each, "endpoint": "/chat"} for each in records()]
    for record in made:  # shorter than the fixture's 100 tokens, so that questions are short
        record["response"]["usage"].update(prompt_tokens=30, total_tokens=50)
    write_log(tmp_path / "log.jsonl", made)
    said = costaudit("levers", "log.jsonl", "--format", "json", "--quiet")
    assert said.code == 0
    (row,) = json.loads(said.out)
    assert (row["lever"], row["requests"]) == ("routing", 8)
    assert "usd" not in said.out
    told = costaudit("levers", "log.jsonl", "--quiet").out
    assert told.startswith("No lever beside caching") and "Worth a test" in told


def test_a_document_sent_twice_is_priced_alone_and_in_the_ledger(
    costaudit: Run, tmp_path: Path
) -> None:
    text = {"type": "text", "text": "The delivery terms of this shop are as follows. " * 40}
    made = [{**each, "endpoint": "/chat"} for each in records()]
    for record in made:
        record["request"]["messages"].insert(0, {"role": "user", "content": [text, text]})
        record["response"]["usage"].update(prompt_tokens=900, total_tokens=920)
    write_log(tmp_path / "log.jsonl", made)
    said = costaudit("levers", "log.jsonl", "--format", "json", "--quiet")
    (row,) = [one for one in json.loads(said.out) if one["lever"] == "repeated_blocks"]
    assert row["requests"] == 8 and row["risk"]
    # One of the two texts is nearly half of 900 tokens: 400 to 450 at 2.50 / 10^6, eight times. The
    # log's seven seconds are too short for a month, so amounts are for the log.
    alone = Decimal(row["alone"]["usd"])
    assert 8 * 400 * Decimal("0.0000025") < alone < 8 * 450 * Decimal("0.0000025")
    assert Decimal(row["saved"]["usd"]) <= alone


def test_a_log_without_a_lever_says_so(costaudit: Run, tmp_path: Path) -> None:
    made = records(lambda record: record["request"].update(model="gpt-4o-mini"))
    for record in made:
        record["response"]["model"] = "gpt-4o-mini"
    write_log(tmp_path / "log.jsonl", made)
    said = costaudit("levers", "log.jsonl", "--quiet")
    assert said.code == 0
    assert said.out.startswith("No lever beside caching has evidence in this log.")


def test_nothing_is_embedded(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl", [{**each, "endpoint": "/chat"} for each in records()])
    said = costaudit("levers", "log.jsonl", "--out", "run", "--quiet")
    assert said.code == 0
    kept = sorted(path.name for path in (tmp_path / "run").iterdir())
    assert "requests.parquet" in kept and "vectors" not in kept


def test_a_lever_has_a_page_of_its_own_with_the_calls_behind_it(
    costaudit: Run, tmp_path: Path
) -> None:
    write(tmp_path / "log.jsonl", calls(indented_json))
    assert costaudit("ingest", "log.jsonl", "--out", "run", "--quiet").code == 0
    said = costaudit("levers", "run", "--show", "serialisation", "--format", "json", "--quiet")
    row = json.loads(said.out)
    assert len(row["calls"]) == 10 and row["rule"] and row["risk"] and row["change"]
    saved = [Decimal(one["saved_usd"]) for one in row["calls"]]
    assert saved == sorted(saved, reverse=True) and saved[-1] > 0
    assert sum(saved) < Decimal(row["alone"]["usd"])
    text = costaudit("levers", "run", "--show", "serialisation", "--quiet").out
    assert row["calls"][0]["request_id"] in text and "estimated" in text
    unknown = costaudit("levers", "run", "--show", "nonsense", "--quiet")
    assert unknown.code == 2 and "serialisation" in unknown.err


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["response"].update(choices=[]),  # no answers
        lambda record: (
            record["request"].update(model="m-1"),
            record["response"].update(model="m-1"),
        ),
        lambda record: record.update(status=500),
        lambda record: record.pop("timestamp"),
        lambda record: record["response"].pop("usage"),
        lambda record: record["request"].update(messages=[]),
        lambda record: record["request"].update(tools=[]),
        lambda record: record["request"].update(tools=[{"type": "function"}]),
        lambda record: record.pop("user", None),
    ],
    ids=[
        "no answers",
        "unknown model",
        "failures only",
        "no times",
        "no usage",
        "no prompts",
        "no tools",
        "a tool without a name",
        "one model and no users",
    ],
)
def test_a_log_that_lacks_something_gets_no_money_and_no_traceback(
    change: Callable[[dict[str, Any]], object], costaudit: Run, tmp_path: Path
) -> None:
    write_log(tmp_path / "log.jsonl", records(change))
    said = costaudit("levers", "log.jsonl", "--format", "json", "--quiet")
    assert said.code in (0, 2, 4), said.err
    assert "Internal" not in said.err
    if said.code == 0:
        priced = [row for row in json.loads(said.out) if "units" in row]
        assert not [row for row in priced if row["lever"] != "waste"]


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (lambda record: record["response"].update(choices=[]), 0, "It holds no answers"),
        (lambda record: record["request"].update(messages=[]), 0, "It holds no prompts"),
        (lambda record: None, 0, "All calls are of one model: `costaudit route` tries another"),
        (
            lambda record: (
                record["request"].update(model="m-1"),
                record["response"].update(model="m-1"),
            ),
            4,
            "None of the 8 calls has a price, so no lever can be priced.\n  Name the rates",
        ),
        (
            lambda record: record.update(status=500, response={"error": {"type": "overloaded"}}),
            4,
            "None of the 8 calls was answered, so no lever can be judged.\n  `costaudit doctor",
        ),
    ],
    ids=["no answers", "no prompts", "one model", "no price", "failures only"],
)
def test_a_log_that_lacks_something_says_what_and_the_next_step(
    change: Callable[[dict[str, Any]], object], code: int, told: str, costaudit: Run, tmp_path: Path
) -> None:
    write_log(tmp_path / "log.jsonl", records(change))
    said = costaudit("levers", "log.jsonl", "--quiet")
    assert said.code == code
    shown = said.err if code else " ".join(said.out.split())
    assert told in shown


def test_failures_that_were_billed_are_priced_though_nothing_was_answered(
    costaudit: Run, tmp_path: Path
) -> None:
    write_log(tmp_path / "log.jsonl", records(lambda record: record.update(status=500)))
    said = costaudit("levers", "log.jsonl", "--format", "json", "--quiet")
    (row,) = json.loads(said.out)
    assert (said.code, row["lever"], row["requests"]) == (0, "waste", 8)


def test_what_is_worth_a_test_is_shown_without_any_price(costaudit: Run, tmp_path: Path) -> None:
    made = records(lambda record: record["response"].update(model="gpt-4o-of-ours"))
    for record in made:
        record.update(endpoint="/nightly-report", provider="ours")
        record["request"].update(model="gpt-4o-of-ours")
    write_log(tmp_path / "log.jsonl", made)
    said = costaudit("levers", "log.jsonl", "--quiet")
    assert said.code == 4 and "Batch for endpoints that sound offline" in said.out
    assert "has a price" in said.err
