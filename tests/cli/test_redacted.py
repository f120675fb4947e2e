"""`--redact hash`: identical questions are still found, and a message says what needs texts."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import QUESTIONS, records, write_log
from tests.conftest import Said

Run = Callable[..., Said]
SAID = "similarity needs texts"


@pytest.fixture
def hashed(costaudit: Run, tmp_path: Path) -> dict[str, Any]:
    """Audit eight chats by their hashes; two of them recur, the second one with another answer."""
    lines = records()
    lines[7]["response"]["choices"][0]["message"]["content"] = "On Tuesday."
    write_log(tmp_path / "log.jsonl", lines)
    said = costaudit("analyze", "log.jsonl", "--redact", "hash", "--format", "json")
    assert said.code == 0, said.err
    assert "embed" not in said.err
    audit: dict[str, Any] = json.loads(said.out)
    return audit


def test_identical_questions_are_found_by_their_ids(hashed: dict[str, Any]) -> None:
    semantic = hashed["semantic"]
    exact = semantic["exact"]
    assert (semantic["points"], semantic["recommended"], semantic["embedder"]) == ([], None, "")
    assert (exact["hits"], exact["raw_hit_share"]["value"]) == (2, 2 / 8)
    assert semantic["lacks"] == "texts"
    # one of the two got another answer; whether it says the same can't be told
    assert exact["valid_hit_share"]["value"] == 1 / 8
    unsafe = exact["unsafe_served_share"]
    assert (unsafe["value"], unsafe["low"], unsafe["grade"]) == (1 / 8, 0, "assumed")
    # 100 tokens at $2.50 and 20 at $10.00 a million: $0.00045 for each of the two hits
    assert Decimal(exact["gross_saved_usd"]) == Decimal("0.0009")
    first = hashed["ledger"]["steps"][0]
    assert first["lever"] == "duplicates" and Decimal(first["saved"]["usd"]) > 0


def test_every_reporter_says_what_needs_texts(
    hashed: dict[str, Any], costaudit: Run, tmp_path: Path
) -> None:
    assert SAID in hashed["semantic"]["recommended_why"]
    run = tmp_path / "costaudit-log"
    told = " ".join(costaudit("analyze", "costaudit-log", "--quiet").out.split())
    assert SAID in told and "12.5% with the same answer" in told
    assert SAID in (run / "report.html").read_text("utf-8")
    written = costaudit("report", "costaudit-log", "--format", "md").out
    assert "| identical |" in written and "(identical) | 12.5%" in written
    assert "sweep,identical,hits" in costaudit("report", "costaudit-log", "--format", "csv").out
    for text in QUESTIONS:
        assert not any(text.encode() in file.read_bytes() for file in run.rglob("*.*"))


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--key", "full"),
        ("--key", "last_user", "--scope", "tenant"),
        ("--ttl", "4s"),
        ("--ttl", "4s", "--ttl-kind", "sliding"),
        ("--max-entries", "2", "--eviction", "fifo"),
        ("--visible-after", "request"),
    ],
    ids=" ".join,
)
def test_exact_hits_are_those_of_the_log_with_its_texts(
    costaudit: Run, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Forty chats with few words, some with other instructions and some after another turn."""
    lines = [record for _ in range(5) for record in records()]
    for number, line in enumerate(lines):
        line["timestamp"] = f"2026-10-05T09:00:{number:02d}.000Z"
        line["response"]["id"] = f"chatcmpl-{number:06d}"
        messages = line["request"]["messages"]
        if number % 3 == 0:
            messages[0]["content"] = "Be brief."
        if number % 4 == 0:
            messages[1:1] = [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "?"},
            ]
    write_log(tmp_path / "log.jsonl", lines)
    exact = []
    for out, redact in (("plain", "none"), ("hashed", "hash")):
        assert costaudit("ingest", "log.jsonl", "--out", out, "--redact", redact).code == 0
        said = costaudit("sweep", out, "--thresholds", "0.99", "--format", "json", *options)
        exact.append(json.loads(said.out)["exact"])
    plain, by_id = exact
    for name in ("hits", "gross_saved_usd", "raw_hit_share", "steady_hit_share", "peak_entries"):
        assert by_id[name] == plain[name], name
    assert by_id["hits"] > 0


@pytest.mark.parametrize(
    "command",
    [
        ("clusters",),
        ("sweep", "--sample", "2"),
        ("sweep", "--compare-embedders", "minilm"),
        ("judge", "--judge", "human:form.csv"),
        ("replay",),
        ("warm", "--file", "warm.jsonl"),
    ],
    ids=" ".join,
)
def test_what_needs_texts_is_refused(
    hashed: dict[str, Any], costaudit: Run, command: tuple[str, ...]
) -> None:
    said = costaudit(command[0], "costaudit-log", *command[1:])
    assert said.code == 4 and SAID in said.err and "--redact mask" in said.err


def test_a_budget_for_wrong_answers_can_not_be_judged_by_ids_alone(
    hashed: dict[str, Any], costaudit: Run, tmp_path: Path
) -> None:
    config = tmp_path / "costaudit.toml"
    for limit, code in (("1%", 4), ("90%", 0)):
        config.write_text(f'[gate]\nmax_unsafe_served = "{limit}"\n')
        said = costaudit("gate", "costaudit-log", "--config", "costaudit.toml")
        assert said.code == code, said.out


def test_several_lifetimes_stand_side_by_side(hashed: dict[str, Any], costaudit: Run) -> None:
    said = costaudit("sweep", "costaudit-log", "--ttl", "2s,1h", "--visible-after", "request",
                     "--format", "json")  # fmt: skip
    found = json.loads(said.out)["lifetimes"]
    # the first question comes again after 3 s, the second after 6 s
    assert [sweep["points"][0]["hits"] for sweep in found] == [0, 2]


def test_a_log_without_questions_says_so(costaudit: Run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl", records(lambda record: record["request"].pop("messages")))
    said = costaudit("analyze", "log.jsonl", "--redact", "hash", "--format", "json")
    assert json.loads(said.out)["semantic"] is None
    refused = costaudit("sweep", "costaudit-log")
    assert refused.code == 4 and "8 without a logged question" in refused.err
