"""Two calls under one id count twice, one call told twice counts once, in any order."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.ingest.conftest import Ingest, chat, write_lines


def named(number: int, own_id: str, question: str, sent: int) -> dict[str, Any]:
    record = chat(number, question, tokens=(sent, 0, 20))
    record["response"]["id"] = own_id
    return record


@pytest.mark.parametrize("seed", range(3))
def test_an_id_names_a_call_only_with_its_prompt_and_tokens(
    seed: int, tmp_path: Path, ingested: Ingest
) -> None:
    records = [
        named(1, "chatcmpl-512", "Where is order 118?", 1_000),
        named(1, "chatcmpl-512", "Where is order 118?", 1_000),  # told twice
        named(2, "chatcmpl-512", "Refund for 7?", 1_000),  # another prompt
        named(3, "chatcmpl-512", "Where is order 118?", 1_300),  # other tokens
    ]
    random.Random(seed).shuffle(records)
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", records))
    assert (summary.kept, summary.merged) == (3, 1)
    assert run.requests()["input_uncached_tokens"].sum() == 3_300


def test_polls_of_one_response_are_one_call(tmp_path: Path, ingested: Ingest) -> None:
    polled = [named(n, "resp_q", "Summarise the news", 1_000) for n in range(3)]
    for early in polled[:2]:
        del early["response"]["usage"]
    run, summary = ingested(write_lines(tmp_path / "log.jsonl", polled))
    assert (summary.kept, summary.merged) == (1, 2)
    assert run.requests()["input_uncached_tokens"].to_list() == [1_000]


def test_the_input_includes_what_it_hardly_exceeds(tmp_path: Path, ingested: Ingest) -> None:
    observation = {
        "id": "o1", "traceId": "t", "startTime": "2026-11-02T15:00:00Z", "type": "GENERATION",
        "model": "gpt-4o", "input": "Where is it?", "output": "Here.",
        "usageDetails": {"input": 17_903, "input_cached_tokens": 17_817, "output": 100,
                         "total": 35_820},
    }  # fmt: skip
    rows = ingested(write_lines(tmp_path / "log.jsonl", [observation]))[0].requests()
    assert rows["input_uncached_tokens"].to_list() == [86]
    assert rows["cache_read_tokens"].to_list() == [17_817]


def test_a_batch_result_of_vertex_is_batch(tmp_path: Path, ingested: Ingest) -> None:
    record = chat(1, processed_time="2026-11-02T18:00:01+00:00")
    rows = ingested(write_lines(tmp_path / "log.jsonl", [record]))[0].requests()
    assert rows["is_batch"].to_list() == [True]
