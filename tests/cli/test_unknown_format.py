"""A record that looks like a call but has no readable count is an unknown format, not a call."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
