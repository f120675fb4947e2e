"""`costaudit doctor` shows how a log is read and what it can't tell, and leaves nothing behind."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Said, records, write_log

Run = Callable[..., Said]


def test_source_evidence_and_gaps(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    said = costaudit("doctor", "log.jsonl", "--quiet")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("8 records: 8 calls kept, 0 merged, 0 skipped; every check holds.")
    assert "openai_chat" in said.out and "8 of the first 8 records have" in said.out
    gaps = said.out[said.out.index("What this log can't tell") :]
    assert "No costs" in gaps and "whether prices and bill agree." in gaps
    assert "No prompts" not in gaps and "No latencies" not in gaps
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]


def test_what_fails_is_counted(costaudit: Run, tmp_path: Path) -> None:
    made = records()
    made[3]["response"]["usage"]["total_tokens"] = 999  # 100 and 20 are 120
    made[5].pop("timestamp")
    write_log(tmp_path / "log.jsonl", made)
    found = json.loads(costaudit("doctor", "log.jsonl", "--quiet", "--format", "json").out)
    failing = {one["name"]: one["failing"] for one in found["checks"] if one["failing"]}
    assert failing == {"the parts add up to the total": 1, "there is a time": 1}
    assert found["shares"]["times"] == 7 / 8
    said = costaudit("doctor", "log.jsonl", "--quiet").out
    assert "2 checks fail on some of them" in said
    write_log(tmp_path / "one.jsonl", made[3:4])
    said = costaudit("doctor", "one.jsonl", "--quiet").out
    assert said.startswith("1 record: 1 call kept, 0 merged, 0 skipped; 1 check fails on some")


def test_broken_lines_are_reasons_and_no_failure(costaudit: Run, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl")
    with log.open("a") as file:
        file.write('{"request": {"model"\n')
    said = costaudit("doctor", "log.jsonl", "--quiet")
    assert said.code == 0
    assert "9 records: 8 calls kept, 0 merged, 1 skipped" in said.out
    assert "Records that were left out" in said.out


def test_what_is_no_log_says_what_to_try(costaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Dear diary,\n")
    said = costaudit("doctor", "notes.txt", "--quiet")
    assert said.code == 2 and "--source" in said.err and said.out == ""
