"""Counts that a logger writes beside the messages and the answer, under its own names.

Worked out by hand from list prices per million tokens: gpt-4o 2.50, reads 1.25, output 10;
claude-sonnet-4-5 3, reads 0.30, writes 3.75, output 15.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from costaudit.costing.prices.lookup import price_requests
from costaudit.costing.spend import spend
from costaudit.ingest.calls.stated import stated_counts
from tests.ingest.conftest import Ingest, write_lines

ASKED = [{"role": "user", "content": "Where is order 118?"}]
DETAILS = {"prompt_tokens_details": {"cached_tokens": 2000}}
COUNTED = {"prompt_tokens": 3000, "completion_tokens": 100, "total_tokens": 3100, **DETAILS}


def logged(**fields: Any) -> dict[str, Any]:
    return {"ts": "2026-11-03T10:00:00Z", "model": "gpt-4o", "messages": ASKED, **fields}


COLUMNS = {"prompt_tokens": 3000, "completion_tokens": 100, "cached_tokens": 2000}
OTHER_COLUMNS = {"input_tokens": 3000, "output_tokens": 100, "cached_input_tokens": 2000}
LANGCHAIN = {
    "input_tokens": 3000,
    "output_tokens": 100,
    "total_tokens": 3100,
    "input_token_details": {"cache_read": 2000},
}
TEXT = '{"promptTokens": 3000, "completionTokens": 100, "cachedTokens": 2000}'
PLACES = {
    "columns": logged(response="Ok.", **COLUMNS),
    "columns of another logger": logged(response="Ok.", **OTHER_COLUMNS),
    "LangChain's message": logged(output="Ok.", usage_metadata=LANGCHAIN),
    "short names": logged(answer="Ok.", tokens={"input": 3000, "output": 100, "cached": 2000}),
    "LangChain's result": logged(response={"text": "Ok.", "llm_output": {"token_usage": COUNTED}}),
    "LlamaIndex's answer": logged(response={"text": "Ok.", "raw": {"usage": COUNTED}}),
    "JSON in a text": logged(answer="Ok.", tokenUsage=TEXT),
}


@pytest.mark.parametrize("place", PLACES)
def test_counts_beside_the_answer_are_read(place: str, tmp_path: Path, ingested: Ingest) -> None:
    found, _ = ingested(write_lines(tmp_path / "log.jsonl", [PLACES[place]]))
    rows = found.requests()
    names = ("input_uncached_tokens", "cache_read_tokens", "output_tokens", "usage_source")
    assert rows.select(names).rows() == [(1000, 2000, 100, "provider")]
    assert spend(rows, price_requests(rows)).total.total_usd == Decimal(
        "0.006"
    )  # 0.0025 + 0.0025 + 0.001


def test_anthropics_names_keep_their_meaning(tmp_path: Path, ingested: Ingest) -> None:
    counts = {"input_tokens": 5000, "cache_read_input_tokens": 2000, "output_tokens": 100}
    row = logged(**counts, answer="Ok.") | {"model": "claude-sonnet-4-5"}
    found, _ = ingested(write_lines(tmp_path / "log.jsonl", [row]))
    rows = found.requests()
    assert rows["input_uncached_tokens"].to_list() == [5000]
    assert spend(rows, price_requests(rows)).total.total_usd == Decimal(
        "0.0171"
    )  # 0.015 + 0.0006 + 0.0015


def test_the_total_of_an_embedding_is_its_input(tmp_path: Path, ingested: Ingest) -> None:
    body = {"object": "list", "data": [], "model": "voyage-3", "usage": {"total_tokens": 1_000_000}}
    asked = {"model": "voyage-3", "input": ["Where is it?"]}
    record = {"ts": "2026-11-03T10:00:00Z", "request": asked, "response": body}
    rows = ingested(write_lines(tmp_path / "log.jsonl", [record]))[0].requests()
    assert rows["input_uncached_tokens"].to_list() == [1_000_000]
    assert rows["output_tokens"].to_list() == [0]
    assert spend(rows, price_requests(rows)).total.total_usd == Decimal("0.06")


@pytest.mark.parametrize(
    "data",
    [
        b'{"request": {"usage": {"prompt_tokens": 9}}, "answer": "Ok."}',
        b'{"prompt": "12", "completion": "7"}',  # texts, not counts
        b'{"max_tokens": 500, "headers": {"prompt_tokens": 9}}',
        b'{"session": {"input_tokens": 90000, "output_tokens": 800}}',  # a sum of many calls
        b'{"usage": {"prompt_tokens": 0, "completion_tokens": 0}}',
        b"[1, 2]",
    ],
)
def test_other_numbers_are_no_counts(data: bytes) -> None:
    assert stated_counts(data, {"request", "headers"}) is None
