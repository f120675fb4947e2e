"""Answers other than chat are calls too: their counts are read, or their units are named."""

from pathlib import Path
from typing import Any

import pytest

from tests.ingest.conftest import Ingest, write_lines

TIME = "2026-11-02T21:00:00Z"
REALTIME = {
    "object": "realtime.response", "id": "resp_1", "model": "gpt-realtime", "status": "completed",
    "output": [], "usage": {
        "total_tokens": 253, "input_tokens": 132, "output_tokens": 121,
        "input_token_details": {"text_tokens": 119, "audio_tokens": 13, "cached_tokens": 64,
                                "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0}},
        "output_token_details": {"text_tokens": 30, "audio_tokens": 91}},
}  # fmt: skip
ANSWERS: dict[str, tuple[Any, Any, tuple[int | None, int, int | None], dict[str, float]]] = {
    "transcription": (
        {"model": "gpt-4o-transcribe"},
        {"text": "Hello.", "usage": {
            "type": "tokens", "input_tokens": 140, "output_tokens": 45, "total_tokens": 185,
            "input_token_details": {"text_tokens": 0, "audio_tokens": 140}}},
        (140, 0, 45), {"audio_input_token": 140},
    ),
    "transcription by the second": (
        {"model": "whisper-1"},
        {"text": "Hello.", "usage": {"type": "duration", "seconds": 27}},
        (None, 0, None), {"audio_second": 27},
    ),
    "image": (
        {"model": "gpt-image-1", "prompt": "A shoe"},
        {"created": 1793653200, "data": [{"b64_json": "iV"}], "usage": {
            "input_tokens": 50, "output_tokens": 1_056, "total_tokens": 1_106,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}}},
        (50, 0, 1_056), {"image_input_token": 40},
    ),
    "rerank": (
        {"model": "rerank-v3.5", "query": "x", "documents": ["a"]},
        {"id": "r", "results": [{"index": 0}], "meta": {"billed_units": {"search_units": 1}}},
        (None, 0, None), {"search_unit": 1},
    ),
    "realtime": (
        None, REALTIME, (68, 64, 121), {"audio_input_token": 13, "audio_output_token": 91},
    ),
    "image tool": (
        {"model": "gpt-4o", "input": "Draw"},
        {"id": "r", "object": "response", "model": "gpt-4o", "output": [
            {"type": "image_generation_call", "id": "ig", "status": "completed"}],
         "usage": {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12,
                   "input_tokens_details": {"cached_tokens": 0}}},
        (9, 0, 3), {"image_generation": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_is_no_chat(what: str, tmp_path: Path, ingested: Ingest) -> None:
    request, response, counts, units = ANSWERS[what]
    record = {"ts": TIME, "request": request, "response": response}
    rows = ingested(write_lines(tmp_path / "log.jsonl", [record]))[0].requests()
    (row,) = rows.iter_rows(named=True)
    found = (row["input_uncached_tokens"], row["cache_read_tokens"] or 0, row["output_tokens"])
    assert found == counts
    assert {each["unit"]: each["quantity"] for each in row["billed_units"]} == units


def test_a_run_that_is_polled_is_one_call(tmp_path: Path, ingested: Ingest) -> None:
    def run(status: str, usage: Any) -> dict[str, Any]:
        told = {"id": "run_1", "object": "thread.run", "status": status, "model": "gpt-4o"}
        return {"ts": TIME, "response": {**told, "usage": usage}}

    done = run("completed", {"prompt_tokens": 1_000, "completion_tokens": 10})
    lines = [run("queued", None), run("in_progress", None), done]
    found, summary = ingested(write_lines(tmp_path / "log.jsonl", lines))
    assert (summary.kept, summary.merged) == (1, 2)
    assert found.requests()["input_uncached_tokens"].to_list() == [1_000]
