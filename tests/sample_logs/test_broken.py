"""The broken file is broken as its list of expected fates says."""

import ast
import csv
import gzip
import json
from collections import Counter
from typing import Any

import pytest

from tests.sample_logs.conftest import LOGS, TRUTH

Line = tuple[bytes, dict[str, str]]  # the line in the file, and its row of expectations


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    raw = gzip.decompress((LOGS / "broken.jsonl.gz").read_bytes())
    with (TRUTH / "broken_expected.csv").open(encoding="utf-8", newline="") as file:
        return list(zip(raw.split(b"\n"), csv.DictReader(file), strict=True))


def parsed(data: bytes) -> Any:
    """Parse a line as leniently as the standard library can; raise ValueError."""
    text = data.decode("utf-8-sig", "replace")
    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text) if text.startswith("{'") else json.loads(text)


def test_every_line_has_a_fate(lines: list[Line]) -> None:
    assert [int(row["line"]) for _, row in lines] == list(range(1, len(lines) + 1))
    fates = Counter(row["fate"] for _, row in lines)
    assert set(fates) == {"kept", "merged", "skipped", "blank"}
    assert sum(row["what"] == "an ordinary record" for _, row in lines) >= 15
    for _, row in lines:
        assert bool(row["reason"]) == (row["fate"] in ("skipped", "merged"))


def test_kept_lines_hold_a_request(lines: list[Line]) -> None:
    for data, row in lines:
        if row["fate"] in ("kept", "merged"):
            assert parsed(data)["request"]["messages"], row["what"]


def test_skipped_lines_hold_none(lines: list[Line]) -> None:
    for data, row in lines:
        if row["fate"] != "skipped":
            continue
        try:
            value = parsed(data)
        except (ValueError, RecursionError):
            continue
        assert not (isinstance(value, dict) and isinstance(value.get("request"), dict)), row["what"]


def test_blank_lines_are_blank(lines: list[Line]) -> None:
    assert all(not data.strip() for data, row in lines if row["fate"] == "blank")


def test_merged_lines_repeat_an_id(lines: list[Line]) -> None:
    ids: Counter[str | None] = Counter()
    for data, row in lines:
        if row["fate"] in ("kept", "merged"):
            ids[(parsed(data)["response"] or {}).get("id")] += 1
    ids.pop(None)
    assert sum(count - 1 for count in ids.values()) == 2
    assert sum(row["fate"] == "merged" for _, row in lines) == 2


def test_the_particular_faults(lines: list[Line]) -> None:
    raw = b"\n".join(data for data, _ in lines)
    assert raw.startswith(b"\xef\xbb\xbf")
    assert b"NaN" in raw and b"Infinity" in raw and b"\\ud83d" in raw and b"\r\n" in raw
    with pytest.raises(UnicodeDecodeError):
        raw.decode()
    assert max(len(data) for data, _ in lines) > 5_000_000
    assert len(raw) < 6_000_000
    assert not raw.endswith(b"\n")
