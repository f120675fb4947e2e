"""Fixtures and helpers for the ingest tests: ingest a log in one call, build and write records."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from costaudit.contracts.run_dir import RunDir
from costaudit.ingest.ingest import ingest
from costaudit.ingest.options import IngestOptions, IngestSummary
from costaudit.progress import SilentProgress

Ingest = Callable[..., tuple[RunDir, IngestSummary]]


@pytest.fixture
def ingested(tmp_path: Path) -> Ingest:
    """Return a function that ingests logs into a new run: `ingested(path, ..., redact="hash")`."""

    def run(*inputs: Path | str, into: str = "run", **options: Any) -> tuple[RunDir, IngestSummary]:
        folder = RunDir(tmp_path / into)
        named = [str(each) for each in inputs]
        return folder, ingest(named, folder, IngestOptions(**options), SilentProgress())

    return run


def chat(
    number: int,
    question: str = "Where is my parcel?",
    *,
    system: str = "You help customers.",
    answer: str = "It is on its way.",
    tokens: tuple[int, int, int] = (100, 0, 20),
    **wrapper: Any,
) -> dict[str, Any]:
    """Return an OpenAI chat request with its response; tokens are prompt, cached, completion."""
    sent, cached, received = tokens
    return {
        "timestamp": f"2026-10-05T09:{number // 60 % 60:02d}:{number % 60:02d}.000Z",
        "latency_ms": 800,
        "request": {
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": question},
            ],
        },
        "response": {
            "id": f"chatcmpl-{number:06d}",
            "object": "chat.completion",
            "model": "gpt-4o-2024-08-06",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": answer},
                }
            ],
            "usage": {
                "prompt_tokens": sent,
                "completion_tokens": received,
                "total_tokens": sent + received,
                "prompt_tokens_details": {"cached_tokens": cached},
            },
        },
        **wrapper,
    }


def write_lines(path: Path, records: Sequence[Any]) -> Path:
    """Write records as JSON lines; strings are written unchanged."""
    lines = [each if isinstance(each, str) else json.dumps(each) for each in records]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path
