"""Records wrapped by log collectors, editors and spreadsheets are read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ingest.conftest import Ingest, chat

Wrap = Callable[[str, int], str]
FORMS: dict[str, Wrap] = {
    "Docker": lambda r, n: json.dumps({"log": f"{r}\n", "stream": "stdout", "time": "t"}),
    "Google Cloud": lambda r, n: json.dumps(
        {"insertId": str(n), "logName": "x", "jsonPayload": json.loads(r)}
    ),
    "Splunk": lambda r, n: json.dumps({"_raw": r, "_time": "1793653200"}),
    "Kubernetes": lambda r, n: f"2026-11-02T09:00:0{n}.123Z stdout F {r}",
    "a logger with other lines": lambda r, n: f"[2026-11-02 09:00:0{n}] INFO llm: {r}\nstart {n}",
    "texts": lambda r, n: json.dumps(r),
    "half texts": lambda r, n: json.dumps(r) if n % 2 else r,
    "commas": lambda r, n: f"{r},",
    "record separators": lambda r, n: f"\x1e{r}",
    "byte order marks": lambda r, n: f"\ufeff{r}\r\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_record_is_read_whatever_is_around_it(
    form: str, tmp_path: Path, ingested: Ingest
) -> None:
    lines = [FORMS[form](json.dumps(chat(n)), n) for n in range(6)]
    (tmp_path / "app.log").write_text("\n".join(lines) + "\n", "utf-8")
    run, summary = ingested(tmp_path / "app.log")
    assert summary.kept == 6
    assert run.requests()["input_uncached_tokens"].to_list() == [100] * 6


def test_a_text_late_in_a_file_of_plain_lines(tmp_path: Path, ingested: Ingest) -> None:
    records = [json.dumps(chat(n)) for n in range(600)]
    lines = [*records[:590], *(json.dumps(each) for each in records[590:])]
    (tmp_path / "log.jsonl").write_text("\n".join(lines), "utf-8")
    assert ingested(tmp_path / "log.jsonl")[1].kept == 600


TABLE = ["ts;model;in;out", *(f"2026-11-{d:02d}T09:00:00Z;gpt-4o;1.2E+03;30" for d in range(1, 9))]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_numbers_of_spreadsheets_and_old_line_ends(
    end: str, tmp_path: Path, ingested: Ingest
) -> None:
    (tmp_path / "t.csv").write_bytes(end.join([*TABLE, ""]).encode())
    names = {"ts": "ts", "model": "model", "input_tokens": "in", "output_tokens": "out"}
    (tmp_path / "m.json").write_text(json.dumps(names))
    run, _ = ingested(tmp_path / "t.csv", maps=(str(tmp_path / "m.json"),))
    assert run.requests()["input_uncached_tokens"].to_list() == [1_200] * 8
