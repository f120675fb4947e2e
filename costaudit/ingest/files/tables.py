"""Rows of CSV and Parquet files, as records."""

import codecs
import csv
import io
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from costaudit.ingest.calls.call import Record, Skip
from costaudit.ingest.files.containers import BrokenStreamError

LONGEST_CELL = 1 << 30
SEPARATORS = ",;\t|"


def csv_records(chunks: Iterator[bytes]) -> Iterator[Record | tuple[int, Skip]]:
    """Yield each row as a JSON object of its header's names; cells that are JSON stay JSON."""
    csv.field_size_limit(LONGEST_CELL)
    text = _text_lines(chunks)
    first = next(text, "")
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(_chain(first, text), delimiter=separator)
    header = [name.strip() for name in next(reader, [])]
    number = 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise BrokenStreamError("bad-csv", f"The table can't be read on: {error}.") from None
        if row is None:
            return
        if not any(row):
            continue
        number += 1
        if len(row) > len(header):
            yield number, Skip("wrong-shape", "The row has more cells than the header has names.")
            continue
        cells = {name: _cell(text) for name, text in zip(header, row, strict=False)}
        yield Record(number, 0, msgspec.json.encode(cells))


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _text_lines(chunks: Iterator[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    held = ""
    for chunk in chunks:
        lines = (held + decoder.decode(chunk).replace("\0", "")).split("\n")
        held = lines.pop()
        for line in lines:
            yield line + "\n"
    if held:
        yield held


def _cell(text: str) -> Any:
    if text[:1] in ("{", "[") and text[-1:] in ("}", "]"):
        try:
            msgspec.json.decode(text, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError):
            return text
        return msgspec.Raw(text.encode())
    return text or None


def parquet_records(file: IO[bytes]) -> Iterator[Record]:
    """Yield each row of a Parquet file as a JSON object."""
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        table = pyarrow.parquet.ParquetFile(file if file.seekable() else io.BytesIO(file.read()))
        for batch in table.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                yield Record(number, 0, msgspec.json.encode(_named(row), enc_hook=str))
                number += 1
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise BrokenStreamError(
            "bad-parquet", f"The Parquet file can't be read: {reason}."
        ) from None


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """Let cells that hold JSON text be JSON, as for CSV."""
    return {key: _cell(value) if isinstance(value, str) else value for key, value in row.items()}
