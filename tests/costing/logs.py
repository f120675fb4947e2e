"""Small logs for the costing tests."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from costaudit.contracts.requests import REQUESTS

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PLAIN: Mapping[str, Any] = {
    "ts": NOON,
    "provider": "openai",
    "model": "gpt-4o",
    "service_tier": "standard",
    "is_batch": False,
    "kind": "chat",
    "segments": [],
    "answer_kind": "text",
    "input_uncached_tokens": 0,
    "cache_read_tokens": 0,
    "cache_write_5m_tokens": 0,
    "cache_write_1h_tokens": 0,
    "cache_write_other_tokens": 0,
    "output_tokens": 0,
    "usage_source": "provider",
    "usage_convention": "openai",
    "status": "ok",
    "finish_reason": "stop",
    "attempt": 0,
    "served_by": "provider",
    "truncated": False,
    "source": "test",
    "source_file": "log.jsonl",
}


def log(*rows: Mapping[str, Any]) -> pl.DataFrame:
    """Return REQUESTS; each row is how a call differs from a plain gpt-4o call at NOON."""
    every = [
        {
            **dict.fromkeys(REQUESTS),
            **PLAIN,
            "request_id": f"r{i}",
            "source_offset": i,
            **row,
        }
        for i, row in enumerate(rows)
    ]
    return pl.DataFrame(every, schema=REQUESTS)
