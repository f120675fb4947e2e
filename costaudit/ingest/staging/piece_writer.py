"""Calls become columns: the rows, segments, blocks and skips of one staged piece."""

from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import to_builtins
from msgspec.structs import astuple
from xxhash import xxh3_64_intdigest

from costaudit.contracts.requests import BILLED_UNIT, CALLERS, SETTINGS
from costaudit.contracts.run_dir import atomic_write
from costaudit.ingest.calls.call import BilledUnit, Buffer, Call, Key, Prompt, Skip, Usage
from costaudit.ingest.content.blocks import MEDIA
from costaudit.ingest.content.interner import NO_BLOCK, Interner, ReadAnswer
from costaudit.ingest.content.redaction import Redactor
from costaudit.ingest.content.tokenizer import Tokenizer
from costaudit.ingest.staging.prompt_rows import marker_lifetimes, prompt_sums


def lists_of(items: pl.Series, sizes: npt.NDArray[np.int64]) -> pl.Series:
    """Cut items into lists of these sizes, without copying them."""
    import pyarrow as pa

    offsets = pa.array(np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]), pa.int64())
    lists = pa.LargeListArray.from_arrays(offsets, items.to_arrow())
    return cast(pl.Series, pl.from_arrow(lists)).alias(items.name)


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
    "other_ttl": pl.String,
    "unstated_writes": pl.Int64,
    "reasoning": pl.Int64,
    "total": pl.Int64,
    "logged_cost": pl.String,
    "latency_ms": pl.Float64,
    "ttft_ms": pl.Float64,
    "session": pl.String,
    "parent_call": pl.String,
    "forked_from": pl.String,
    "span": pl.UInt64,  # digests: their places in a trace are compared and never shown
    "within": pl.UInt64,
    "billed_units": pl.List(BILLED_UNIT),
}
PLACE: Types = {  # where a row is, and what is found when its content is read
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
    "account": pl.String,
    "agent": pl.String,
    "skill": pl.String,
    "branch": pl.String,
    "client_version": pl.String,
    "tags": pl.List(pl.String),
    **dict.fromkeys(SETTINGS, pl.String),
}
SKIPPED: Types = {
    "offset": pl.Int64,
    "index": pl.Int32,
    "fate": pl.String,
    "reason": pl.String,
    "detail": pl.String,
    "into_offset": pl.Int64,
    "into_index": pl.Int32,
    "span": pl.UInt64,
    "within": pl.UInt64,
}


PEOPLE = (*CALLERS, "session", "parent_call", "forked_from", "native_id", "same_as", "join_key")
WRITES = {"cache_write_5m", "cache_write_1h", "cache_write_other"}
NO_USAGE = Usage("openai", source="missing")


def own_of(call: Call) -> tuple[Any, ...]:
    """Return the fields of OWN."""
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
        usage.other_ttl,
        usage.unstated_writes,
        usage.reasoning,
        usage.total,
        call.logged_cost,
        call.latency_ms,
        call.ttft_ms,
        call.session,
        call.parent_call,
        call.forked_from,
        _digest(call.span),
        _digest(call.within),
        units_of(billed_units(call)),
    )


def _digest(key: str | None) -> int | None:
    return None if key is None else xxh3_64_intdigest(key.encode("utf-8", "replace"))


def billed_units(call: Call) -> tuple[BilledUnit, ...]:
    """Return a call's units, with the cache writes that can't be told from its uncached input."""
    usage = call.usage
    if usage is None or usage.input is None or not WRITES & set(usage.unreadable):
        return call.units
    return (*call.units, BilledUnit("cache_write_token", None))


def lost_counts(call: Call) -> Iterator[str]:
    """Yield the names of the counts that the call states and that can't be read."""
    lost = call.usage.unreadable if call.usage is not None else ()
    yield from dict.fromkeys("cache_write" if name in WRITES else name for name in lost)
    for unit in call.units:
        if unit.quantity is None:
            yield unit.unit


def units_of(units: tuple[BilledUnit, ...]) -> list[dict[str, object]] | None:
    """Return the value of `billed_units`."""
    return [to_builtins(unit) for unit in units] if units else None


def shared_of(source: str, call: Call) -> tuple[Any, ...]:
    """Return the fields of SHARED."""
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
        call.account,
        call.agent,
        call.skill,
        call.branch,
        call.client_version,
        call.tags or None,
        *astuple(call.settings),
    )


def frame_of(types: Types, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Make a table of rows."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(types)
    return pl.DataFrame(
        [
            _column(name, dtype, values)
            for (name, dtype), values in zip(types.items(), columns, strict=True)
        ]
    )


def _column(name: str, dtype: pl.DataType | type[pl.DataType], values: Sequence[Any]) -> pl.Series:
    if isinstance(dtype, pl.List) and not any(values):  # the usual case, and slow to build
        return pl.Series(name, [None], dtype=dtype).new_from_index(0, len(values))
    return pl.Series(name, values, dtype=dtype, strict=False)


MOST_CHARACTERS = 96 << 20
NO_PROMPT = Prompt()
NO_ANSWER: ReadAnswer = (NO_BLOCK, "missing")


class PieceWriter:
    """Collect what the records of a piece come to, and write it."""

    def __init__(self, redactor: Redactor, tokenizer: Tokenizer, most_rows: int) -> None:
        self._most_rows = most_rows
        self._redactor = redactor
        self._tokenizer = tokenizer
        self._reset()

    def _reset(self) -> None:
        self._interner = Interner(self._redactor)
        self._rows: list[tuple[Any, ...]] = []  # OWN and PLACE
        self._shared: dict[tuple[Any, ...], int] = {}  # SHARED → its template
        self.templates: dict[object, int | None] = {}  # whatever a reader knows them by
        self._segments = array("I")  # of all rows, one after another
        self._sizes = array("q")  # how many each row has
        self._skips: list[tuple[Any, ...]] = []

    @property
    def is_full(self) -> bool:
        """Return whether it is time to write."""
        return (
            len(self._rows) >= self._most_rows
            or self._interner.size >= MOST_CHARACTERS
            or len(self._skips) >= 4 * self._most_rows
        )

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to write."""
        return not self._rows and not self._skips

    def skip(self, key: Key, skip: Skip) -> None:
        """Note a record that makes no row."""
        told = (skip.reason, skip.detail, None, None, _digest(skip.span), _digest(skip.within))
        self._skips.append((*key, "skipped", *told))

    def merge(self, key: Key, reason: str, detail: str, into: Key) -> None:
        """Note a record that is part of the row of another one of the same file."""
        self._skips.append((*key, "merged", reason, detail, *into, None, None))

    def add(self, key: Key, source: str, call: Call) -> None:
        """Note a call."""
        template = self.template(source, call)
        self.add_like(template, key, own_of(call), call.prompt or NO_PROMPT, call.answer)

    def template(self, source: str, call: Call) -> int:
        """Note what a call has in common with others, for `add_like` until the next `write`."""
        return self._shared.setdefault(shared_of(source, call), len(self._shared))

    def add_like(
        self, template: int, key: Key, own: tuple[Any, ...], prompt: Prompt, answer: Buffer
    ) -> None:
        """Note a call that has all but `own` and its content in common with others."""
        interner = self._interner
        segments, turns = interner.prompt(prompt)
        self._segments.extend(segments)
        self._sizes.append(len(segments))
        block, answer_kind = interner.answer(answer) if answer else NO_ANSWER
        turn_index = max(turns - 1, 0) if segments else None
        found = (template, turn_index, None if block == NO_BLOCK else block, answer_kind)
        self._rows.append((*own, *key, *found))

    def write(self, stem: Path) -> None:
        """Write the piece's four tables beside one another and start the next piece."""
        blocks = self._block_table()
        segments = self._segment_table(blocks)
        _write(self._row_table(blocks, segments), stem.with_suffix(".rows"))
        _write(segments, stem.with_suffix(".segments"))
        _write(blocks, stem.with_suffix(".blocks"))
        _write(self._skip_table(), stem.with_suffix(".skips"))
        self._reset()

    def _block_table(self) -> pl.DataFrame:
        interner = self._interner
        stated = interner.stated_tokens
        texts = [
            "" if kind in MEDIA or block in stated else text
            for block, (kind, text) in enumerate(zip(interner.kinds, interner.texts, strict=True))
        ]
        tokens: list[int | None] = self._tokenizer.count_all(interner.names, texts)
        kept: list[str | None] = self._redactor.contents(texts)
        for block, kind in enumerate(interner.kinds):
            if kind in MEDIA or block in stated:
                tokens[block], kept[block] = stated.get(block), None
        return pl.DataFrame(
            {
                "block_id": pl.Series(interner.names, dtype=pl.String),
                "kind": pl.Series(interner.kinds, dtype=pl.String),
                "text": pl.Series(kept, dtype=pl.String),
                "chars": pl.Series(list(map(len, interner.texts)), dtype=pl.Int64),
                "tokens": pl.Series(tokens, dtype=pl.Int32),
            }
        )

    def _segment_table(self, blocks: pl.DataFrame) -> pl.DataFrame:
        found = self._interner.segments
        chosen = blocks[[block for _, block, _ in found]]
        return pl.DataFrame(
            {
                "role": pl.Series([role for role, _, _ in found], dtype=pl.String),
                "kind": chosen["kind"],
                "block_id": chosen["block_id"],
                "tokens": chosen["tokens"].cast(pl.Int64),
                "cache_marker": pl.Series([marker for _, _, marker in found], dtype=pl.String),
            }
        )

    def _row_table(self, blocks: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
        own = frame_of({**OWN, **PLACE}, self._rows)
        shared = frame_of(SHARED, list(self._shared))
        shared = self._redactor.shared(shared)
        flat = np.frombuffer(self._segments, np.uint32).copy()
        sizes = np.frombuffer(self._sizes, np.int64).copy()
        answers = blocks.select(
            answer_tokens=pl.col("tokens").cast(pl.Int64),
            answer_hash=pl.col("block_id")
            .str.head(16)
            .str.to_integer(base=16, dtype=pl.UInt64, strict=False),
            answer_id=pl.col("block_id"),
        )
        return pl.concat(
            [
                own.drop("answer", "template"),
                shared.select(pl.all().gather(own["template"])),
                answers.select(pl.all().gather(own["answer"])),
            ],
            how="horizontal",
        ).with_columns(
            lists_of(pl.Series("segments", flat), sizes),  # indices into the segments of the piece
            *prompt_sums(flat, sizes, segments),
            marker_lifetimes(flat, sizes, segments),
            *(self._redactor.names(own[name]) for name in PEOPLE),
        )

    def _skip_table(self) -> pl.DataFrame:
        return frame_of(SKIPPED, self._skips)


def _write(frame: pl.DataFrame, path: Path) -> None:
    with atomic_write(path) as part:
        frame.write_parquet(part, compression="lz4")  # read a few times, then replaced
