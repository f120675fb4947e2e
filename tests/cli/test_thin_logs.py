"""A log that lacks something still gets an audit of everything else."""

import gzip
import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import records, write_log
from tests.conftest import Said

Run = Callable[..., Said]
STAGE = re.compile(r"(ingest|assemble|embed|simulate|report) ")


@pytest.fixture
def audited(costaudit: Run, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A function that audits records; only progress may be printed, whichever way it is run."""

    def run(lines: list[dict[str, Any]], *options: str) -> dict[str, Any]:
        write_log(tmp_path / "log.jsonl", lines)
        told = costaudit("analyze", "log.jsonl", *options)
        assert told.code == 0
        assert all(STAGE.match(line) for line in told.err.splitlines()), told.err
        assert (tmp_path / "costaudit-log" / "report.html").is_file()
        said = costaudit("analyze", "log.jsonl", "--format", "json", "--quiet", *options)
        assert (said.code, said.err) == (0, "")
        audit: dict[str, Any] = json.loads(said.out)
        assert told.out.startswith(audit["verdict"]["headline"][:40])
        return audit

    return run


Audited = Callable[..., dict[str, Any]]
# 100 tokens at $2.50 and 20 at $10.00 per million: $0.00045 for each of the 8 calls
SPENT_USD = Decimal("0.0036")


def at(audit: dict[str, Any], similarity: float) -> dict[str, Any]:
    found: dict[str, Any] = next(
        p for p in audit["semantic"]["points"] if p["min_similarity"] == similarity
    )
    return found


def said_missing(audit: dict[str, Any], words: str) -> bool:
    return any(words in sentence for sentence in audit["quality"]["cannot_tell"])


def test_a_whole_log_for_comparison(audited: Audited) -> None:
    audit = audited(records())
    assert Decimal(audit["spend"]["total"]["total_usd"]) == SPENT_USD
    assert at(audit, 0.99)["exact_hits"] == 2  # the address and the parcel, each asked twice
    assert not any("prompt" in sentence for sentence in audit["quality"]["cannot_tell"])


def test_without_prompts_money_is_still_counted(audited: Audited) -> None:
    audit = audited(records(lambda record: record["request"].pop("messages")))
    assert audit["semantic"] is None and said_missing(audit, "no prompt text")
    assert Decimal(audit["spend"]["total"]["total_usd"]) == SPENT_USD


def test_without_a_question_to_cache_the_reasons_are_said(
    audited: Audited, costaudit: Run, tmp_path: Path
) -> None:
    """Six of eight calls are made at temperature 1.9, and two fail."""
    lines = records(lambda record: record["request"].update(temperature=1.9))
    for line in lines[:2]:
        line["response"] = {"error": {"message": "overloaded", "type": "server_error"}}
        line["status"] = 500
    audit = audited(lines)
    assert audit["semantic"] is None
    assert audit["uncacheable"] == {"status_error": 2, "temperature": 6}
    said = "no question could be cached: 6 with a temperature above the limit, 2 failed"
    told = costaudit("analyze", "log.jsonl", "--quiet")
    assert said in " ".join(told.out.split())
    assert said in (tmp_path / "costaudit-log" / "report.html").read_text("utf-8")
    assert said in costaudit("report", "costaudit-log", "--format", "md").out
    for verb in ("sweep", "clusters"):
        refused = costaudit(verb, "log.jsonl", "--quiet")
        assert refused.code == 4 and said[3:] in refused.err


def test_without_any_price_hits_are_still_counted(audited: Audited) -> None:
    def unknown(record: dict[str, Any]) -> None:
        record["request"]["model"] = record["response"]["model"] = "grue-9"

    audit = audited(records(unknown))
    assert audit["verdict"]["headline"].startswith("DRAFT: no dollars can be given")
    assert audit["spend"]["unpriced_share"] == 1
    assert audit["findings"][0]["code"] == "unpriced" and "prices.toml" in str(audit["findings"][0])
    assert at(audit, 0.99)["exact_hits"] == 2
    assert audit["semantic"]["recommended"] is None


def test_rates_of_ones_own_give_it_a_price(audited: Audited, tmp_path: Path) -> None:
    def unknown(record: dict[str, Any]) -> None:
        record["request"]["model"] = record["response"]["model"] = "grue-9"

    (tmp_path / "prices.toml").write_text(
        '[[alias]]\nmodels = ["grue-9"]\nuse_provider = "openai"\nuse_model = "gpt-4o"\n'
    )
    audit = audited(records(unknown), "--prices", "prices.toml")
    assert Decimal(audit["spend"]["total"]["total_usd"]) == SPENT_USD


def test_one_request_can_hit_nothing(audited: Audited) -> None:
    audit = audited(records()[:1])
    said = "from 1 request over less than a minute"
    assert said in audit["verdict"]["headline"]
    assert all(point["hits"] == 0 for point in audit["semantic"]["points"])


def test_identical_requests_are_all_hits_but_the_first(audited: Audited) -> None:
    lines = records()
    for line in lines:
        line["request"], line["response"] = lines[0]["request"], dict(lines[0]["response"])
        line["response"]["id"] = f"one-of-{line['timestamp']}"
    audit = audited(lines)
    assert all(p["hits"] == p["exact_hits"] == 7 for p in audit["semantic"]["points"])
    assert audit["verdict"]["saving_share"] == pytest.approx(7 / 8)


def test_without_times_the_order_of_the_file_counts(audited: Audited) -> None:
    audit = audited(records(lambda record: record.pop("timestamp")))
    assert "over an unknown time" in audit["verdict"]["headline"]
    assert said_missing(audit, "have no time")
    assert at(audit, 0.99)["exact_hits"] == 2
    assert not any("TTL" in row["name"] for row in audit["semantic"]["variants"])


def test_costs_in_a_currency_without_a_rate_are_told_and_not_used(audited: Audited) -> None:
    lines = records(lambda record: record.update(cost=0.5))
    for line in lines[::2]:
        line["currency"] = "EUR"
    audit = audited(lines)
    (found,) = (one for one in audit["findings"] if one["code"] == "cost-currency")
    assert found["title"] == "The logged costs of 4 requests are not in dollars."
    assert "EUR (4)" in found["detail"]
    assert audit["spend"]["counting"]["foreign_costs"] == {"eur": 4}


def test_what_has_no_time_among_what_has_one_passes_the_cache_by(audited: Audited) -> None:
    lines = records()
    for line in lines[::2]:
        del line["timestamp"]
    audit = audited(lines)
    assert audit["quality"]["timed_share"] == 0.5
    assert audit["semantic"]["bypassed"] == {"no_time": 4}
    assert Decimal(audit["spend"]["total"]["total_usd"]) == SPENT_USD


def test_reversed_lines_are_brought_into_order(audited: Audited) -> None:
    forwards, backwards = audited(records()), audited(records()[::-1])
    for part in ("verdict", "ledger", "spend", "semantic", "prefix"):
        assert forwards[part] == backwards[part]


def test_without_usage_tokens_are_estimated(audited: Audited) -> None:
    audit = audited(records(lambda record: record["response"].pop("usage")))
    assert audit["quality"]["usage"] == {"estimated": 8}
    assert audit["verdict"]["spend"]["grade"] == "estimated"
    assert 0 < Decimal(audit["spend"]["total"]["total_usd"]) < SPENT_USD
    assert said_missing(audit, "estimated token counts")


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["response"].update(choices=[]),
        lambda record: record.update(response=None),
    ],
    ids=["no choices", "no response"],
)
def test_without_answers_only_exact_matches_are_recommended(
    audited: Audited, change: Callable[[dict[str, Any]], object]
) -> None:
    audit = audited(records(change))
    assert audit["semantic"]["recommended"] is None
    assert at(audit, 0.99)["hits"] >= 2
    assert at(audit, 0.70)["unsafe_served_share"] is None
    assert said_missing(audit, "no answer text")


def test_failures_cost_nothing_and_hit_nothing(audited: Audited) -> None:
    def fail(record: dict[str, Any]) -> None:
        record["status"] = 500
        record["response"] = {"error": {"type": "server_error", "message": "try again"}}

    audit = audited(records(fail))
    assert audit["quality"]["statuses"] == {"error": 8}
    assert Decimal(audit["spend"]["total"]["total_usd"]) == 0
    assert audit["semantic"] is None


def test_a_tenant_for_every_request_shares_nothing(audited: Audited) -> None:
    lines = records()
    for number, line in enumerate(lines):
        line["tenant"] = f"shop-{number}"
    audit = audited(lines)
    assert all(point["hits"] == 0 for point in audit["semantic"]["points"])
    (alone,) = [row for row in audit["semantic"]["without_field"] if row["removed"] == "tenant"]
    assert alone["raw_hit_share"]["value"] >= 2 / 8


def test_a_file_that_is_none_beside_one_that_is_a_log(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    (tmp_path / "photo.raw").write_bytes(bytes(99))
    said = costaudit("analyze", "log.jsonl", "photo.raw", "--format", "json")
    assert said.code == 0
    quality = json.loads(said.out)["quality"]
    assert (quality["rows"], quality["kept"], quality["skipped"]) == (9, 8, 1)
    assert quality["skip_reasons"] == {"not-a-log": 1}


def test_a_gzip_that_breaks_off_keeps_what_was_whole(costaudit: Run, tmp_path: Path) -> None:
    text = write_log(tmp_path / "log.jsonl").read_bytes()
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(text, 1)[:-40])
    said = costaudit("analyze", "cut.jsonl.gz", "--format", "json")
    assert said.code == 0
    quality = json.loads(said.out)["quality"]
    assert quality["kept"] >= 6
    assert quality["rows"] == quality["kept"] + quality["merged"] + quality["skipped"]
    assert quality["skip_reasons"] == {"broken-compression": 1}


def test_rows_outside_a_filter_are_not_called_unreadable(costaudit: Run, tmp_path: Path) -> None:
    lines = records()
    for line in lines[::2]:
        line["endpoint"] = "/other"
    write_log(tmp_path / "log.jsonl", lines)
    assert costaudit("ingest", "log.jsonl", "--out", "run", "--quiet").code == 0
    said = costaudit("report", "run", "--where", "endpoint=/other", "--quiet")
    assert "from 4 requests" in " ".join(said.out.split())
    assert "could not be read" not in said.out
    assert "Files in" not in said.out  # what is shown was written nowhere
