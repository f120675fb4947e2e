"""The files in the repository are what the generator writes."""

import gzip
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from sample_generator.chat_log import Line

from tests.sample_logs.conftest import LOGS, TRUTH, chatbot_bytes

SMALL_RUN = """
import hashlib
from generate import as_lines
from sample_generator.agent_log import AgentLog
from sample_generator.chat_log import ChatLog
lines = list(ChatLog(lines=150).lines())
both = as_lines(line.record for line in lines) + as_lines(line.truth for line in lines)
print(hashlib.sha256(both + as_lines(AgentLog().records())).hexdigest())
"""


@pytest.fixture(scope="module")
def made() -> list[Line]:
    from sample_generator.chat_log import ChatLog

    return list(ChatLog().lines())


@pytest.mark.slow
def test_chatbot_is_made_again_byte_for_byte(made: list[Line]) -> None:
    from generate import as_lines

    assert as_lines(line.record for line in made) == chatbot_bytes()


def test_truth_is_made_again_byte_for_byte(made: list[Line]) -> None:
    from generate import as_csv
    from sample_generator.chat_log import TRUTH_COLUMNS

    stored = gzip.decompress((TRUTH / "support_chatbot_truth.csv.gz").read_bytes())
    assert as_csv(TRUTH_COLUMNS, (line.truth for line in made)) == stored


def test_agent_is_made_again_byte_for_byte() -> None:
    from generate import as_lines
    from sample_generator.agent_log import AgentLog

    stored = gzip.decompress((LOGS / "agent_anthropic.jsonl.gz").read_bytes())
    assert as_lines(AgentLog().records()) == stored


def test_broken_file_is_made_again_byte_for_byte() -> None:
    from generate import as_csv
    from sample_generator.broken_log import COLUMNS, expected, file_bytes

    assert file_bytes() == gzip.decompress((LOGS / "broken.jsonl.gz").read_bytes())
    assert as_csv(COLUMNS, expected()) == (TRUTH / "broken_expected.csv").read_bytes()


def test_readme_tables_are_current(made: list[Line], agent: list[dict[str, Any]]) -> None:
    from sample_generator import summary
    from sample_generator.broken_log import expected

    records, truth = [line.record for line in made], [line.truth for line in made]
    page = (LOGS / "README.md").read_text(encoding="utf-8")
    for name, body in {
        "chatbot": summary.chatbot_totals(records, truth),
        "endpoints": summary.chatbot_endpoints(records),
        "agent": summary.agent_totals(agent),
        "broken": summary.broken_fates(expected()),
    }.items():
        assert summary.between_markers(page, name, body) == page, f"table {name} is out of date"


@pytest.mark.slow
def test_hash_seed_changes_nothing() -> None:
    digests = set()
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(LOGS)}
        run = subprocess.run(
            [sys.executable, "-c", SMALL_RUN], env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        digests.add(run.stdout)
    assert len(digests) == 1


def test_compressed_files_hold_no_time_of_making() -> None:
    for path in LOGS.glob("*.gz"):
        assert path.read_bytes()[4:8] == b"\0\0\0\0", path.name  # RFC 1952: MTIME


def test_files_are_small() -> None:
    files = [p for p in LOGS.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    files += [TRUTH / "support_chatbot_truth.csv.gz", TRUTH / "broken_expected.csv"]
    assert sum(path.stat().st_size for path in files) < 5_000_000


def test_addresses_are_reserved_for_examples(agent: list[dict[str, Any]]) -> None:
    text = chatbot_bytes() + str(agent).encode()
    assert set(re.findall(rb"@([\w-]+(?:\.[\w-]+)+)", text)) == {b"example.com"}
