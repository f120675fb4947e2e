"""Write staged pieces: as Parquet tables, or small ones as plain values to be joined later."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from costaudit.contracts.requests import BILLED_UNIT, CALLERS, SETTINGS
from costaudit.contracts.run_dir import atomic_write
from costaudit.ingest.content.masking import SECRET_MARKS
from costaudit.ingest.content.redaction import Redactor
from costaudit.ingest.staging.prompt_rows import marker_lifetimes, prompt_sums

Types = dict[str, pl.DataType | type[pl.DataType]]

OWN: Types = {  # columns that differ from call to call
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
    "span": pl.UInt64,  # `span` and `within` are digests: they are compared, never shown
    "within": pl.UInt64,
    "billed_units": pl.List(BILLED_UNIT),
}
PLACE: Types = {  # a row's place in its file, and results of reading its content
    "offset": pl.Int64,
    "index": pl.Int32,
    "template": pl.Int32,  # index into the SHARED rows
    "turn_index": pl.Int32,
    "answer": pl.Int64,  # index into the blocks of the same piece
    "answer_kind": pl.String,
}
SHARED: Types = {  # columns that many calls have in common
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
SIZE = {"width": pl.Int32, "height": pl.Int32, "detail": pl.String}  # of an image, if known
TABLES = ("rows", "segments", "blocks", "skips")
GROUP_CHARACTERS = 8 << 20  # of the texts in a row group
SMALL = ".small"  # suffix of a small piece's file, before it has tables
AT_ONCE = 8_192  # rows that can be read without the others
FEW, FEW_CHARACTERS = 500, 1 << 20  # most rows or skips, and characters, of a small piece
MARKS = tuple(mark.encode() for mark in SECRET_MARKS)
TEMPLATE, ANSWER = (list({**OWN, **PLACE}).index(name) for name in ("template", "answer"))


def lists_of(items: pl.Series, sizes: npt.NDArray[np.int64]) -> pl.Series:
    """Return the items as a column of lists with these sizes, without copying them."""
    import pyarrow as pa

    # pa.array imports pandas, if installed, when it gets a NumPy array
    offsets = pl.Series(np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])).to_arrow()
    lists = pa.LargeListArray.from_arrays(offsets, items.to_arrow())
    return cast(pl.Series, pl.from_arrow(lists)).alias(items.name)


def frame_of(types: Types, rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """Return a table with these rows."""
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


class Content(msgspec.Struct, gc=False):
    """The content of a piece, as plain values."""

    rows: list[tuple[Any, ...]]  # the columns of OWN and PLACE
    shared: list[tuple[Any, ...]]  # the columns of SHARED; a row's template is an index into it
    segments: Sequence[int]  # segments of all rows, concatenated: indices into prompt_segments
    sizes: Sequence[int]  # number of segments of each row
    prompt_segments: list[tuple[str, int, str | None]]  # role, index of the block, marker
    names: list[str]  # block_id of each block; kinds, texts, chars and tokens are parallel to it
    kinds: list[str]
    texts: list[str | None]
    chars: list[int]
    tokens: list[int | None]
    skips: list[tuple[Any, ...]]  # the columns of SKIPPED
    images: list[tuple[int, int, int, str]] = []  # index of the block, width, height, detail

    @property
    def is_small(self) -> bool:
        """Return whether the piece is to be joined with others before it becomes tables."""
        return max(len(self.rows), len(self.skips)) <= FEW and sum(self.chars) <= FEW_CHARACTERS


def write_piece(stem: Path, content: Content, redactor: Redactor) -> None:
    """Write a piece: as tables, or as plain values if it is small and needs no redaction."""
    if content.is_small and redactor.mode == "none" and (packed := _packed(content)):
        with atomic_write(stem.with_suffix(SMALL), tidy=False) as part:
            part.write_bytes(packed)
        return
    write_tables(stem, content, redactor)


def _packed(content: Content) -> bytes:
    """Encode a piece; return b"" if a text can't be encoded or contains the mark of a secret."""
    try:
        packed = msgspec.msgpack.encode(content, enc_hook=list)
    except (UnicodeError, TypeError, OverflowError):
        return b""
    return b"" if any(mark in packed for mark in MARKS) else packed


def joined(smalls: Iterable[tuple[str, Path]]) -> tuple[Content, list[str], list[str]]:
    """Join small pieces, each with the name of its file.

    Return the joined content, the file of each row and the file of each skip. A block that occurs
    in several pieces is repeated.
    """
    segments, sizes = array("I"), array("q")
    whole = Content([], [], segments, sizes, [], [], [], [], [], [], [])
    files: tuple[list[str], list[str]] = ([], [])
    for file, stem in smalls:
        part = _decode(stem.with_suffix(SMALL).read_bytes())
        files[0].extend([file] * len(part.rows))
        files[1].extend([file] * len(part.skips))
        block, segment, template = (
            len(whole.names), len(whole.prompt_segments), len(whole.shared),
        )  # fmt: skip
        whole.rows += [_moved(row, template, block) for row in part.rows]
        segments.extend(one + segment for one in part.segments)
        sizes.extend(part.sizes)
        whole.prompt_segments += [
            (role, at + block, mark) for role, at, mark in part.prompt_segments
        ]
        whole.images += [
            (at + block, width, height, detail) for at, width, height, detail in part.images
        ]
        for name in ("shared", "names", "kinds", "texts", "chars", "tokens", "skips"):
            getattr(whole, name).extend(getattr(part, name))
    return whole, *files


_decode: Callable[[bytes], Content] = msgspec.msgpack.Decoder(Content).decode


def _moved(row: tuple[Any, ...], template: int, block: int) -> tuple[Any, ...]:
    moved = list(row)
    moved[TEMPLATE] += template
    if moved[ANSWER] is not None:
        moved[ANSWER] += block
    return tuple(moved)


def write_tables(
    stem: Path,
    content: Content,
    redactor: Redactor,
    files: tuple[Sequence[str], Sequence[str]] | None = None,
) -> None:
    """Write the four tables of a piece.

    `files`, the file of each row and of each skip, adds the column `source_file`.
    """
    blocks = _block_table(content)
    segments = _segment_table(content, blocks)
    rows = _row_table(content, blocks, segments, redactor)
    skips = frame_of(SKIPPED, content.skips)
    if files is not None:
        rows = rows.with_columns(pl.Series("source_file", files[0], dtype=pl.String))
        skips = skips.with_columns(pl.Series("source_file", files[1], dtype=pl.String))
    mean = sum(content.chars) // max(len(content.chars), 1)
    at_once = max(GROUP_CHARACTERS // max(mean, 1), 1)  # rows: writing copies a group twice
    for name, frame in zip(TABLES, (rows, segments, blocks, skips), strict=True):
        size = at_once if frame is blocks else AT_ONCE
        with atomic_write(stem.with_suffix(f".{name}"), tidy=False) as part:
            # fast: these files are temporary
            frame.write_parquet(part, compression="lz4", row_group_size=size)


def _block_table(content: Content) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "block_id": pl.Series(content.names, dtype=pl.String),
            "kind": pl.Series(content.kinds, dtype=pl.String),
            "text": pl.Series(content.texts, dtype=pl.String),
            "chars": pl.Series(content.chars, dtype=pl.Int64),
            "tokens": pl.Series(content.tokens, dtype=pl.Int32),
        }
    )


def _segment_table(content: Content, blocks: pl.DataFrame) -> pl.DataFrame:
    found = content.prompt_segments
    chosen = blocks.select("kind", "block_id", "tokens")[[block for _, block, _ in found]]
    of_block = {block: size for block, *size in content.images}
    unknown = [None] * len(SIZE)
    sizes = [of_block.get(block, unknown) for _, block, _ in found] if of_block else []
    sized = pl.DataFrame(sizes, schema=SIZE, orient="row")
    return pl.DataFrame(
        {
            "role": pl.Series([role for role, _, _ in found], dtype=pl.String),
            "kind": chosen["kind"],
            "block_id": chosen["block_id"],
            "tokens": chosen["tokens"].cast(pl.Int64),
            "cache_marker": pl.Series([marker for _, _, marker in found], dtype=pl.String),
        }
    ).with_columns(sized if of_block else [pl.lit(None, kind).alias(n) for n, kind in SIZE.items()])


def _row_table(
    content: Content, blocks: pl.DataFrame, segments: pl.DataFrame, redactor: Redactor
) -> pl.DataFrame:
    own = frame_of({**OWN, **PLACE}, content.rows)
    shared = redactor.shared(frame_of(SHARED, content.shared))
    flat = np.array(content.segments, np.uint32)
    sizes = np.array(content.sizes, np.int64)
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
        *(redactor.names(own[name]) for name in PEOPLE),
        redactor.words(own["other_ttl"]),
    )
