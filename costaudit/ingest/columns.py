"""The columns of the rows and the skips of a piece."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from costaudit.ingest.call import Call, Usage

Types = dict[str, pl.DataType | type[pl.DataType]]

OWN: Types = {  # what each call has of its own
    "native_id": pl.String,
    "same_as": pl.String,
    "join_key": pl.String,
    "ts_us": pl.Int64,
    "updated_us": pl.Int64,
    "tenant": pl.String,
    "user": pl.String,
    "conversation": pl.String,
    "input": pl.Int64,
    "output": pl.Int64,
    "cache_read": pl.Int64,
    "cache_write_5m": pl.Int64,
    "cache_write_1h": pl.Int64,
    "cache_write_other": pl.Int64,
    "reasoning": pl.Int64,
    "total": pl.Int64,
    "logged_cost": pl.String,
    "latency_ms": pl.Float64,
    "ttft_ms": pl.Float64,
}
PLACE: Types = {  # where a row stands, and what is found when its content is read
    "offset": pl.Int64,
    "index": pl.Int32,
    "template": pl.Int32,  # the row of SHARED
    "turn_index": pl.Int32,
    "answer": pl.Int64,  # index into the blocks of the same piece
    "answer_kind": pl.String,
}
SHARED: Types = {  # what many rows have in common
    "source": pl.String,
    "half": pl.String,
    "provider": pl.String,
    "model": pl.String,
    "service_tier": pl.String,
    "is_batch": pl.Boolean,
    "region": pl.String,
    "kind": pl.String,
    "endpoint": pl.String,
    "temperature": pl.Float64,
    "stream": pl.Boolean,
    "convention": pl.String,
    "usage_source": pl.String,
    "cost_unit": pl.String,
    "status": pl.String,
    "http_status": pl.Int32,
    "error": pl.String,
    "finish_reason": pl.String,
    "attempt": pl.Int32,
    "served_by": pl.String,
    "truncated": pl.Boolean,
}
SKIPPED: Types = {
    "offset": pl.Int64,
    "index": pl.Int32,
    "fate": pl.String,
    "reason": pl.String,
    "detail": pl.String,
    "into_offset": pl.Int64,
    "into_index": pl.Int32,
}


PEOPLE = ("tenant", "user", "conversation")
NO_USAGE = Usage("", source="missing")


def own_of(call: Call) -> tuple[Any, ...]:
    """Give the fields of OWN."""
    usage = call.usage or NO_USAGE
    return (
        call.native_id,
        call.same_as,
        call.join_key,
        call.ts_us,
        call.updated_us,
        call.tenant,
        call.user,
        call.conversation,
        usage.input,
        usage.output,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.cache_write_other,
        usage.reasoning,
        usage.total,
        call.logged_cost,
        call.latency_ms,
        call.ttft_ms,
    )


def shared_of(source: str, call: Call) -> tuple[Any, ...]:
    """Give the fields of SHARED."""
    usage = call.usage or NO_USAGE
    return (
        source,
        call.half,
        call.provider,
        call.model,
        call.service_tier,
        call.is_batch,
        call.region,
        call.kind,
        call.endpoint,
        call.temperature,
        call.stream,
        usage.convention,
        usage.source,
        call.cost_unit,
        call.status,
        call.http_status,
        call.error,
        call.finish_reason,
        call.attempt,
        call.served_by,
        call.truncated,
    )


def frame_of(types: Types, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Make a table of rows."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    return pl.DataFrame(
        [
            pl.Series(name, values, dtype=dtype, strict=False)
            for (name, dtype), values in zip(types.items(), columns, strict=True)
        ]
    )
