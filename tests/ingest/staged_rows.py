"""Build staged rows of calls with their logged counts."""

from typing import Any

import polars as pl

from costaudit.contracts.requests import TOKEN_CLASSES
from costaudit.ingest.staging.piece_tables import OWN, PLACE, SHARED

CLASSES = [*TOKEN_CLASSES, "reasoning_tokens"]


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    base: dict[str, Any] = dict.fromkeys([*OWN, *PLACE, *SHARED])
    base |= {"provider": "p", "model": "m", "cache_read": 0, "cache_write_5m": 0}
    base |= {"cache_write_1h": 0, "cache_write_other": 0, "reasoning": 0}
    schema = {
        **OWN,
        **PLACE,
        **SHARED,
        "source_file": pl.String,
        "marker_ttl": pl.String,
        "prompt_tokens": pl.Int64,
    }
    return pl.DataFrame([{**base, "source_file": "f", **row} for row in rows], schema=schema)
