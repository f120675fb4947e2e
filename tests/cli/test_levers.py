"""`costaudit levers` says what other levers than caching save."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from tests.cli.conftest import records, write_log
from tests.conftest import Said

Run = Callable[..., Said]


def test_routing_is_priced_alone_and_on_what_the_caches_leave(
    costaudit: Run, tmp_path: Path
) -> None:
    made = [{**each, "endpoint": "/chat"} for each in records()]
    for record in made:  # shorter than the fixture's 100 tokens, so that questions are short
        record["response"]["usage"].update(prompt_tokens=30, total_tokens=50)
    write_log(tmp_path / "log.jsonl", made)
    said = costaudit("levers", "log.jsonl", "--format", "json", "--quiet")
    assert said.code == 0
    (row,) = [one for one in json.loads(said.out) if one["lever"] == "routing"]
    assert row["requests"] == 8
    # Eight calls of 30 in and 20 out save 30 x 2.35 + 20 x 9.40 = 258.5 / 10^6 each within the
    # log's seven seconds, which count as one hour: 720 of them a month.
    assert Decimal(row["alone"]["usd"]) == 8 * Decimal("0.0002585") * 720
    # Two questions are asked twice: the cache serves the second time.
    assert Decimal(row["saved"]["usd"]) <= 6 * Decimal("0.0002585") * 720
    assert [unit["unit"] for unit in row["units"]] == ["/chat | gpt-4o-2024-08-06"]
    told = costaudit("levers", "log.jsonl", "--quiet").out
    assert told.startswith("Levers, a month") and "in the ledger" in told


def test_a_log_without_a_lever_says_so(costaudit: Run, tmp_path: Path) -> None:
    made = records(lambda record: record["request"].update(model="gpt-4o-mini"))
    for record in made:
        record["response"]["model"] = "gpt-4o-mini"
    write_log(tmp_path / "log.jsonl", made)
    said = costaudit("levers", "log.jsonl", "--quiet")
    assert said.code == 0
    assert said.out.startswith("No lever beside caching changes a request of this log.")
