"""A record that looks like a call but has no readable count is an unknown format, not a call."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costaudit.contracts.run_dir import RunDir
from tests.conftest import Said
from tests.ingest.conftest import chat, write_lines

Run = Callable[..., Said]


def unreadable(number: int) -> dict[str, Any]:
    """Return a call with unknown names for its counts, and without texts."""
    record = chat(number)
    record["request"].pop("messages")
    record["response"]["choices"] = []
    record["response"]["usage"] = {"tok_in": 1_000, "tok_out": 50}
    return record


def test_no_dollars_are_given_for_what_can_not_be_counted(costaudit: Run, tmp_path: Path) -> None:
    write_lines(tmp_path / "log.jsonl", [unreadable(n) for n in range(4)])
    said = costaudit("spend", "log.jsonl")
    assert said.code == 4 and "$" not in said.out
    assert "None of 4 records is left: unknown-format 4" in said.err
    assert "--draft-map" in said.err


def test_doctor_lists_the_paths_and_drafts_a_map_that_reads_them(
    costaudit: Run, tmp_path: Path
) -> None:
    write_lines(tmp_path / "log.jsonl", [unreadable(n) for n in range(4)])
    found = costaudit("doctor", "log.jsonl", "--draft-map", "map.toml", "--format", "json")
    assert found.code == 0, found.err
    paths = {one["path"] for one in json.loads(found.out)["fields"]["log.jsonl"]["paths"]}
    assert {"response.usage.tok_in", "response.usage.tok_out"} <= paths
    said = costaudit("spend", "log.jsonl", "--map", "map.toml", "--format", "json")
    assert said.code == 0, said.err
    assert costaudit("ingest", "log.jsonl", "--map", "map.toml", "--out", "run").code == 0
    requests = RunDir(tmp_path / "run").requests()
    assert requests["input_uncached_tokens"].to_list() == [1_000] * 4
    assert requests["output_tokens"].to_list() == [50] * 4


def test_calls_without_counts_stay_calls_beside_calls_that_have_some(
    costaudit: Run, tmp_path: Path
) -> None:
    write_lines(tmp_path / "log.jsonl", [unreadable(0), *(chat(n) for n in range(1, 4))])
    assert costaudit("ingest", "log.jsonl", "--out", "run").code == 0
    sources = RunDir(tmp_path / "run").requests()["usage_source"].to_list()
    assert sorted(sources) == ["missing", "provider", "provider", "provider"]


def test_failed_calls_need_no_counts(costaudit: Run, tmp_path: Path) -> None:
    failed = chat(0)
    failed.pop("response")
    failed |= {"status": 500, "error": {"type": "server_error"}}
    write_lines(tmp_path / "log.jsonl", [failed])
    assert costaudit("ingest", "log.jsonl", "--out", "run").code == 0
    assert RunDir(tmp_path / "run").requests()["status"].to_list() == ["error"]


BATCHES = [  # two records with three calls: 1,000 + 2,000 + 4,000 in, 10 + 20 + 40 out
    {"batch_id": "b-1", "customer": "acme", "total_tokens": 3_030, "calls": [
        {"model": "gpt-4o", "at": "2026-11-02T09:00:00Z", "tokens_in": 1_000, "tokens_out": 10},
        {"model": "gpt-4o", "at": "2026-11-02T09:00:01Z", "tokens_in": 2_000, "tokens_out": 20},
    ]},
    {"batch_id": "b-2", "customer": "zeta", "total_tokens": 4_040, "calls": [
        {"model": "gpt-4o", "at": "2026-11-02T09:00:02Z", "tokens_in": 4_000, "tokens_out": 40},
        "torn",
    ]},
    {"batch_id": "b-3", "customer": "zeta", "total_tokens": 0, "calls": []},
]  # fmt: skip


@pytest.mark.parametrize("place", ["calls", "body.calls"])
def test_calls_in_a_list_are_drafted_and_read(costaudit: Run, tmp_path: Path, place: str) -> None:
    records: list[Any] = BATCHES
    if place != "calls":
        records = [{"kind": "batch", "body": record} for record in BATCHES]
    write_lines(tmp_path / "log.jsonl", records)
    assert costaudit("doctor", "log.jsonl", "--draft-map", "map.toml").code == 2  # none is read yet
    assert f'each = "{place}"' in (tmp_path / "map.toml").read_text()
    assert costaudit("ingest", "log.jsonl", "--map", "map.toml", "--out", "run").code == 0
    run = RunDir(tmp_path / "run")
    requests = run.requests()
    assert requests["input_uncached_tokens"].to_list() == [1_000, 2_000, 4_000]
    assert requests["output_tokens"].to_list() == [10, 20, 40]
    assert requests["ts"].dt.second().to_list() == [0, 1, 2]
    assert run.skips()["reason"].to_list() == ["not-a-call", "not-a-call"]  # torn, and no calls
    said = costaudit("spend", "log.jsonl", "--map", "map.toml", "--format", "json")
    # 7,000 x $2.50 + 70 x $10 a million
    assert Decimal(json.loads(said.out)["total"]["total_usd"]) == Decimal("0.0182")
    assert costaudit("doctor", "log.jsonl", "--map", "map.toml").code == 0


def test_fields_around_the_list_belong_to_each_call(costaudit: Run, tmp_path: Path) -> None:
    write_lines(tmp_path / "log.jsonl", BATCHES)
    fields = 'model = "model"\ninput_tokens = "tokens_in"\noutput_tokens = "tokens_out"\n'
    (tmp_path / "map.toml").write_text(
        f'each = "calls"\n{fields}ts = "at"\ntenant = "customer"\nsession = "batch_id"\n'
    )
    assert costaudit("ingest", "log.jsonl", "--map", "map.toml", "--out", "run").code == 0
    requests = RunDir(tmp_path / "run").requests()
    assert requests["tenant"].to_list() == ["acme", "acme", "zeta"]
    assert requests["session"].to_list() == ["b-1", "b-1", "b-2"]
    (tmp_path / "map.toml").write_text(f'each = "cals"\n{fields}')
    said = costaudit("ingest", "log.jsonl", "--map", "map.toml", "--out", "other")
    assert said.code == 2 and "does not have: cals." in said.err


def test_a_list_beside_the_counts_of_a_call_is_no_list_of_calls(
    costaudit: Run, tmp_path: Path
) -> None:
    record = {"llm": "gpt-4o", "q": "Where is it?", "sent_tokens": 30, "output_tokens": 4,
              "steps": [{"input_tokens": 10, "output_tokens": 2}] * 2}  # fmt: skip
    write_lines(tmp_path / "log.jsonl", [record] * 3)
    assert costaudit("doctor", "log.jsonl", "--draft-map", "map.toml").code == 2
    drafted = (tmp_path / "map.toml").read_text()
    assert "each" not in drafted and 'input_tokens = "sent_tokens"' in drafted
