"""Build small handmade logs with the schemas in contracts."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import xxhash

from costaudit.contracts.requests import BLOCKS, REQUESTS, TOKEN_CLASSES

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
_TOKEN_COLUMNS = (*TOKEN_CLASSES, "reasoning_tokens")


class Log:
    """Collect requests and their content; return them as two tables."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.texts: dict[str, dict[str, Any]] = {}

    def block(self, text: str | None, kind: str = "text", tokens: int = 0) -> str:
        """Store a piece of content and return its id."""
        block_id = xxhash.xxh3_128_hexdigest(f"{kind}\0{text}".encode())
        chars = len(text or "")
        self.texts[block_id] = {
            "block_id": block_id, "kind": kind, "text": text, "chars": chars, "tokens": tokens,
        }  # fmt: skip
        return block_id

    def call(
        self,
        parts: Sequence[tuple[Any, ...]],
        at: float | None = 0.0,
        *,
        billed: dict[str, int] | None = None,
        **fields: Any,
    ) -> None:
        """Add a request of (role, text, tokens[, marker[, kind]]) parts at START + `at` seconds."""
        segments = []
        for role, text, tokens, *rest in parts:
            marker = rest[0] if rest else None
            kind = rest[1] if len(rest) > 1 else "tool_definition" if role == "tools" else "text"
            segments.append(
                {
                    "role": role,
                    "kind": kind,
                    "block_id": self.block(text, kind, tokens or 0),
                    "tokens": tokens,
                    "cache_marker": marker,
                }
            )
        total = sum(tokens or 0 for _, _, tokens, *_ in parts)
        row: dict[str, Any] = dict.fromkeys(REQUESTS)
        row |= dict.fromkeys(_TOKEN_COLUMNS, 0) | {"input_uncached_tokens": total}
        row |= {
            "request_id": f"r{len(self.rows)}",
            "ts": None if at is None else START + timedelta(seconds=at),
            "provider": "anthropic",
            "model": "claude-sonnet-4-5",
            "service_tier": "standard",
            "is_batch": False,
            "kind": "chat",
            "endpoint": "/chat",
            "segments": segments,
            "status": "ok",
            "attempt": 0,
            "served_by": "provider",
            "usage_source": "provider",
            "source_file": "log.jsonl",
            "source_offset": len(self.rows),
            "truncated": False,
        }
        self.rows.append(row | (billed or {}) | fields)

    def tables(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return REQUESTS and BLOCKS."""
        return (
            pl.DataFrame(self.rows, schema=REQUESTS),
            pl.DataFrame(list(self.texts.values()), schema=BLOCKS),
        )
