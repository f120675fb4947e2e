"""Calls become columns: the rows, segments, blocks and skips of one piece of a log."""

from array import array
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.run_dir import atomic_write
from costaudit.ingest.call import Call, Key, Prompt, Usage
from costaudit.ingest.content.interner import NO_BLOCK, Interner
from costaudit.ingest.content.redact import Redactor
from costaudit.ingest.ragged import lists_of
from costaudit.ingest.tokenizer import Tokenizer

ROWS: dict[str, pl.DataType | type[pl.DataType]] = {
    "offset": pl.Int64,
    "index": pl.Int32,
    "source": pl.String,
    "native_id": pl.String,
    "same_as": pl.String,
    "join_key": pl.String,
    "half": pl.String,
    "ts_us": pl.Int64,
    "provider": pl.String,
    "model": pl.String,
    "service_tier": pl.String,
    "is_batch": pl.Boolean,
    "region": pl.String,
    "kind": pl.String,
    "endpoint": pl.String,
    "tenant": pl.String,
    "user": pl.String,
    "conversation": pl.String,
    "turn_index": pl.Int32,
    "answer": pl.Int64,  # index into BLOCKS of the same piece
    "answer_kind": pl.String,
    "temperature": pl.Float64,
    "stream": pl.Boolean,
    "convention": pl.String,
    "input": pl.Int64,
    "output": pl.Int64,
    "cache_read": pl.Int64,
    "cache_write_5m": pl.Int64,
    "cache_write_1h": pl.Int64,
    "cache_write_other": pl.Int64,
    "reasoning": pl.Int64,
    "total": pl.Int64,
    "usage_source": pl.String,
    "logged_cost": pl.String,
    "cost_unit": pl.String,
    "latency_ms": pl.Float64,
    "ttft_ms": pl.Float64,
    "status": pl.String,
    "http_status": pl.Int32,
    "error": pl.String,
    "finish_reason": pl.String,
    "attempt": pl.Int32,
    "served_by": pl.String,
    "truncated": pl.Boolean,
    "updated_us": pl.Int64,
}
MOST_ROWS = 50_000
MOST_CHARACTERS = 96 << 20
NO_USAGE = Usage("", source="missing")
NO_PROMPT = Prompt()


class PieceWriter:
    """Collect what the records of a piece come to, and write it."""

    def __init__(self, redactor: Redactor, tokenizer: Tokenizer) -> None:
        self._redactor = redactor
        self._tokenizer = tokenizer
        self._reset()

    def _reset(self) -> None:
        self._interner = Interner(self._redactor)
        self._rows: list[tuple[Any, ...]] = []
        self._segments = array("I")  # of all rows, one after another
        self._sizes = array("q")  # how many each row has
        self._skips: list[tuple[Any, ...]] = []

    @property
    def is_full(self) -> bool:
        """Tell whether it is time to write."""
        return (
            len(self._rows) >= MOST_ROWS
            or self._interner.size >= MOST_CHARACTERS
            or len(self._skips) >= 4 * MOST_ROWS
        )

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to write."""
        return not self._rows and not self._skips

    def skip(self, key: Key, reason: str, detail: str) -> None:
        """Note a record that gives no row."""
        self._skips.append((*key, "skipped", reason, detail, None, None))

    def merge(self, key: Key, reason: str, detail: str, into: Key) -> None:
        """Note a record that is part of the row of another one of the same file."""
        self._skips.append((*key, "merged", reason, detail, *into))

    def add(self, key: Key, source: str, call: Call) -> None:
        """Note a call."""
        interner = self._interner
        redact = self._redactor.name
        segments, turns = interner.prompt(call.prompt or NO_PROMPT)
        self._segments.extend(segments)
        self._sizes.append(len(segments))
        if call.answer:
            answer, answer_kind = interner.answer(call.answer)
        else:
            answer, answer_kind = NO_BLOCK, "missing"
        usage = call.usage or NO_USAGE
        self._rows.append(
            (
                *key,
                source,
                call.native_id,
                call.same_as,
                call.join_key,
                call.half,
                call.ts_us,
                call.provider,
                call.model,
                call.service_tier,
                call.is_batch,
                call.region,
                call.kind,
                call.endpoint,
                redact(call.tenant),
                redact(call.user),
                redact(call.conversation),
                max(turns - 1, 0) if segments else None,
                None if answer == NO_BLOCK else answer,
                answer_kind,
                call.temperature,
                call.stream,
                usage.convention,
                usage.input,
                usage.output,
                usage.cache_read,
                usage.cache_write_5m,
                usage.cache_write_1h,
                usage.cache_write_other,
                usage.reasoning,
                usage.total,
                usage.source,
                call.logged_cost,
                call.cost_unit,
                call.latency_ms,
                call.ttft_ms,
                call.status,
                call.http_status,
                call.error,
                call.finish_reason,
                call.attempt,
                call.served_by,
                call.truncated,
                call.updated_us,
            )
        )

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
        blocks = self._interner.blocks
        is_text = [block.tokens is None and not block.is_media for block in blocks]
        texts = [b.text if stored else "" for b, stored in zip(blocks, is_text, strict=True)]
        count = self._tokenizer.count
        tokens = [
            count(block.name, block.text) if stored else block.tokens
            for block, stored in zip(blocks, is_text, strict=True)
        ]
        kept = self._redactor.contents(texts)
        return pl.DataFrame(
            {
                "block_id": pl.Series([block.name for block in blocks], dtype=pl.String),
                "kind": pl.Series([block.kind for block in blocks], dtype=pl.String),
                "text": pl.Series(
                    [text if stored else None for text, stored in zip(kept, is_text, strict=True)],
                    dtype=pl.String,
                ),
                "chars": pl.Series([len(block.text) for block in blocks], dtype=pl.Int64),
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
        columns = list(zip(*self._rows, strict=True)) if self._rows else [()] * len(ROWS)
        frame = pl.DataFrame(
            [
                pl.Series(name, values, dtype=dtype, strict=False)
                for (name, dtype), values in zip(ROWS.items(), columns, strict=True)
            ]
        )
        flat = np.frombuffer(self._segments, np.uint32).copy()
        sizes = np.frombuffer(self._sizes, np.int64).copy()
        answers = blocks["tokens"].cast(pl.Int64)
        return frame.with_columns(
            lists_of(pl.Series("segments", flat), sizes),  # indices into the segments of the piece
            *prompt_sums(flat, sizes, segments),
            answer_tokens=answers.gather(frame["answer"]) if len(frame) else pl.lit(None, pl.Int64),
            answer_id=blocks["block_id"].gather(frame["answer"])
            if len(frame)
            else pl.lit(None, pl.String),
        ).drop("answer")

    def _skip_table(self) -> pl.DataFrame:
        names = ("offset", "index", "fate", "reason", "detail", "into_offset", "into_index")
        dtypes = (pl.Int64, pl.Int32, pl.String, pl.String, pl.String, pl.Int64, pl.Int32)
        columns = list(zip(*self._skips, strict=True)) if self._skips else [()] * len(names)
        return pl.DataFrame(
            [
                pl.Series(name, values, dtype=dtype)
                for name, dtype, values in zip(names, dtypes, columns, strict=True)
            ]
        )


def prompt_sums(
    flat: npt.NDArray[np.uint32], sizes: npt.NDArray[np.int64], segments: pl.DataFrame
) -> tuple[pl.Series, pl.Series]:
    """Sum each prompt's tokens, and digest its blocks in their order, tools left out.

    The digest is a polynomial in the blocks' own digests, modulo 2^64; null for an empty prompt.
    """
    row = np.repeat(np.arange(len(sizes)), sizes)
    tokens = np.bincount(row, segments["tokens"].fill_null(0).to_numpy()[flat], len(sizes))
    is_tool = (segments["role"] == "tools").to_numpy()
    ids = np.array([int(name[:16], 16) for name in segments["block_id"]], np.uint64)
    counted = np.cumsum(~is_tool[flat])
    starts = np.cumsum(sizes) - sizes
    before = np.concatenate([[0], counted])[starts]
    powers = POWERS[np.minimum(counted - before[row], len(POWERS) - 1)]
    terms = np.where(is_tool[flat], np.uint64(0), ids[flat] * powers)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    digests = sums[starts + sizes] - sums[starts]
    return (
        pl.Series("prompt_tokens", tokens.astype(np.int64)),
        pl.select(
            pl.when(pl.Series(sizes) > 0).then(pl.Series(digests)).alias("prompt_hash")
        ).to_series(),
    )


POWERS = np.cumprod(np.full(4_096, 0x9E3779B97F4A7C15, np.uint64), dtype=np.uint64)


def _write(frame: pl.DataFrame, path: Path) -> None:
    with atomic_write(path) as part:
        frame.write_parquet(part, compression="zstd", compression_level=1)
