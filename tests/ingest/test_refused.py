"""A provider bills nothing for a call that it refused, whatever the logger counted."""

from pathlib import Path
from typing import Any

import pytest

from tests.ingest.conftest import Ingest, chat, write_lines


def failed(output: int, **wrapper: Any) -> dict[str, Any]:
    record = chat(1, tokens=(1000, 400, output), **wrapper)
    record["response"]["choices"] = []
    return record


@pytest.mark.parametrize(
    ("record", "billed"),
    [
        (failed(0, status_code=429), 0),
        (failed(0, status_code=400, error="too long"), 0),
        (failed(0, error={"type": "rate_limit_error"}), 0),
        (failed(0, error={"code": "ThrottlingException"}), 0),
        (failed(7, status_code=429), 1000),  # it wrote something first
        (failed(0, status_code=429, cost_usd=0.002), 1000),  # the log has its bill
        (failed(0, status_code=499), 1000),  # the client hung up
        (failed(0, status_code=500), 1000),
        (failed(0, status="timeout"), 1000),
        (failed(0), 1000),
        (failed(0, status_code=400, error={"code": "content_filter"}), 1000),  # it was read
        (failed(0, status_code=400, error="too long", provider="azure"), 1000),  # perhaps billed
        (failed(0, status_code=429, provider="azure"), 0),
        (failed(0, error={"type": "rate_limit_error"}, provider="azure"), 0),
    ],
)
def test_a_refused_call_has_no_tokens(
    record: dict[str, Any], billed: int, tmp_path: Path, ingested: Ingest
) -> None:
    (row,) = ingested(write_lines(tmp_path / "log.jsonl", [record]))[0].requests().iter_rows(
        named=True
    )  # fmt: skip
    assert row["input_uncached_tokens"] + row["cache_read_tokens"] == billed
    assert row["status"] == ("error" if len(record) > 4 else "ok")
