"""Records of a text file of any layout."""

from collections.abc import Iterator

from costaudit.ingest.call import Record, Skip
from costaudit.ingest.layout import Kind
from costaudit.ingest.records import line_records, value_records
from costaudit.ingest.tables import csv_records


def text_records(
    kind: Kind, chunks: Iterator[bytes], offset: int
) -> Iterator[Record | tuple[int, Skip]]:
    """Yield the records of a stream that starts at `offset` in its file."""
    if kind == "csv":
        yield from csv_records(chunks)
    elif kind == "values":
        yield from value_records(chunks)
    elif kind == "sse":
        yield from _event_records(chunks, offset)
    else:
        yield from line_records(chunks, offset)


def _event_records(chunks: Iterator[bytes], offset: int) -> Iterator[Record]:
    """Yield the data of server-sent events; their other lines are no records."""
    for record in line_records(chunks, offset):
        line = bytes(record.data).strip()
        if line.startswith(b"data:"):
            yield Record(record.offset, 0, line[5:].strip())
