"""Build small logs for the lever tests."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from costaudit.contracts.requests import BLOCKS, REQUESTS

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def segment(block_id: str, tokens: int, role: str = "user", kind: str = "text") -> dict[str, Any]:
    """Build one prompt segment."""
    return {"role": role, "kind": kind, "block_id": block_id, "tokens": tokens}


SYSTEM = segment("sys", 2_000, "system")
PLAIN: Mapping[str, Any] = {
    "provider": "openai",
    "model": "gpt-4o",
    "is_batch": False,
    "kind": "chat",
    "endpoint": "chat",
    "user": "u1",
    "turn_index": 0,
    "segments": [SYSTEM, segment("q", 20)],
    "answer_kind": "text",
    "stream": False,
    "input_uncached_tokens": 2_020,
    "output_tokens": 50,
    "status": "ok",
    "finish_reason": "stop",
    "attempt": 0,
    "served_by": "provider",
}


def log(*rows: Mapping[str, Any]) -> pl.DataFrame:
    """Build REQUESTS from fields that differ from a plain call; `at` is in seconds after NOON."""
    every = []
    for i, row in enumerate(rows):
        given = dict(row)
        ts = NOON + timedelta(seconds=given.pop("at", 1_000.0 * i))
        every.append({**dict.fromkeys(REQUESTS), **PLAIN, "request_id": f"r{i}", "ts": ts, **given})
    return pl.DataFrame(every, schema=REQUESTS)


def blocks(**texts: str | None) -> pl.DataFrame:
    """Build BLOCKS from texts by block id."""
    rows = [
        {"block_id": name, "kind": "text", "text": text, "chars": 1, "tokens": 1}
        for name, text in texts.items()
    ]
    return pl.DataFrame(rows, schema=BLOCKS)
