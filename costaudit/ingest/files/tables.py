"""Read the rows of CSV and Parquet files as records."""

import csv
import io
from codecs import BOM_UTF8
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import IO, Any

import msgspec

from costaudit.ingest.calls.call import Record, Skip
from costaudit.ingest.calls.json_repair import decoded_text
from costaudit.ingest.files.containers import BrokenStreamError
from costaudit.ingest.mapping.columns import Column, columns_of

LONGEST_CELL = 16 << 20  # characters of a cell over several lines; a longer one is an open quote
LONGEST_LINE = 1 << 30
ATTEMPTS = 8  # lines that may close a quote, before we take it for one that is never closed
SEPARATORS = ",;\t|"
HEAD_LINES = 40  # lines in which to look for the header
EVIDENCE_ROWS = 2_000_000  # rows that decide how columns write numbers and dates
WIDE = Skip("wrong-shape", "The row has more cells than the header has names.")
TORN = Skip("truncated", "The row ends before its cells do.")
OPEN = Skip("bad-csv", "A quote in it is opened and not closed.")
ABOVE = Skip("not-a-call", "It is a line above the table's header.")
Row = list[str]


def csv_records(
    chunks: Iterator[bytes], columns: Sequence[Column] = ()
) -> Iterator[Record | tuple[int, Skip]]:
    """Yield each row as a JSON object keyed by the header; cells that hold JSON are embedded as is.

    `columns` says how numbers and dates are written; other cells stay unchanged.
    """
    table = Table(chunks)
    read = {table.header.index(one.name): one.read for one in columns if one.name in table.header}
    for number, row in table.rows():
        if isinstance(row, Skip):
            yield number, row
            continue
        for place, reader in read.items():
            if place < len(row) and row[place]:
                row[place] = reader(row[place])
        cells = {name: _cell(text) for name, text in zip(table.header, row, strict=False)}
        yield Record(number, 0, msgspec.json.encode(cells))


def table_columns(
    chunks: Iterator[bytes], said: Mapping[str, str] | None = None
) -> tuple[Column, ...]:
    """Decide how each column of a CSV file writes numbers and dates.

    `said` maps columns to what a field map says about them. Raises InputError for a column that
    the file lacks.
    """
    table = Table(chunks)
    first = islice(table.rows(), EVIDENCE_ROWS)
    rows = (row for _, row in first if isinstance(row, list))
    return columns_of(table.header, rows, table.separator, said)


class Table:
    """A CSV file: its separator, its header and its rows."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        csv.field_size_limit(LONGEST_LINE)
        self._lines = _Lines(chunks)
        head = self._lines.ahead(HEAD_LINES)
        self.separator, above = _shape(head)
        self._above = [self._lines.take() for _ in range(above)]
        first = self._row()
        self.header = _names(first) if isinstance(first, list) else []

    def rows(self) -> Iterator[tuple[int, Row | Skip]]:
        """Yield the number of each row that is not empty, and its cells or a Skip."""
        number = 0
        for line in self._above:
            if line.strip():
                number += 1
                yield number, ABOVE
        while (row := self._row()) is not None:
            if isinstance(row, list) and not any(row):
                continue
            number += 1
            if isinstance(row, list) and len(row) > len(self.header):
                row = WIDE if any(row[len(self.header) :]) else row[: len(self.header)]
            yield number, row

    def _row(self) -> Row | Skip | None:
        """Read the next row; return None at the end of the file.

        A quote that is never closed loses only its own line.
        """
        line = self._lines.take()
        if not line:
            return None
        try:
            row = self._split(line)
        except _OpenQuoteError:
            return self._over_lines(line)
        except csv.Error:
            return self._loosely(line)
        header = getattr(self, "header", None)
        if header and len(row) < len(header) and not line.endswith("\n"):
            return TORN
        return row

    def _split(self, text: str) -> Row:
        """Split a text into cells; raises _OpenQuoteError if its last cell is not closed."""
        try:
            return next(csv.reader([text], delimiter=self.separator, strict=True), [])
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise _OpenQuoteError from None
            raise

    def _loosely(self, line: str) -> Row | Skip:
        """Split a line with malformed quotes, if that yields as many cells as the header has."""
        for escape in ("\\", None):
            try:
                row = next(csv.reader([line], delimiter=self.separator, escapechar=escape), [])
            except csv.Error:
                continue
            if len(row) == len(getattr(self, "header", row)):
                return row
        return OPEN

    def _over_lines(self, first: str) -> Row | Skip:
        """Read a row with a cell that spans several lines; if that fails, give the lines back."""
        held, size, attempts = [first], len(first), 0
        while attempts < ATTEMPTS and size < LONGEST_CELL and (line := self._lines.take()):
            held.append(line)
            size += len(line)
            if '"' not in line:
                continue
            attempts += line.count('"') % 2
            try:
                row = self._split("".join(held))
            except _OpenQuoteError:
                continue
            except csv.Error:
                break
            if len(row) > len(self.header) or self._holds_rows(held[1:-1]):
                break
            return row
        self._lines.give_back(held[1:])
        return OPEN

    def _holds_rows(self, lines: Sequence[str]) -> bool:
        """Return whether the lines within a cell are themselves complete rows of this table."""
        wanted = len(self.header)
        if wanted < 3 or not lines:
            return False
        whole = 0
        for line in lines[:HEAD_LINES]:
            if line.count(self.separator) >= wanted - 1:
                try:
                    whole += len(self._split(line)) == wanted
                except (csv.Error, _OpenQuoteError):
                    continue
        return whole == len(lines[:HEAD_LINES])


class _OpenQuoteError(Exception):
    """A text ends inside quotes."""


class _Lines:
    """The lines of a text file, with look-ahead and push-back."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._source = _text_lines(chunks)
        self._held: deque[str] = deque()

    def ahead(self, count: int) -> list[str]:
        while len(self._held) < count and (line := next(self._source, "")):
            self._held.append(line)
        return list(self._held)

    def take(self) -> str:
        """Return the next line with its newline; "" after the last."""
        return self._held.popleft() if self._held else next(self._source, "")

    def give_back(self, lines: Sequence[str]) -> None:
        self._held.extendleft(reversed(lines))


def _shape(lines: Sequence[str]) -> tuple[str, int]:
    """Return the separator of the cells, and the number of lines above the header."""
    if lines and lines[0].strip().lower() in (f"sep={mark}" for mark in SEPARATORS):
        return lines[0].strip()[4:], 1
    best = max(SEPARATORS, key=lambda mark: _agreement(lines, mark))
    sizes = _sizes(lines, best)
    usual = max(Counter(sizes).items(), key=lambda each: (each[1] * (each[0] > 1), each[0]))[0]
    above = 0
    while above < len(sizes) - 2 and sizes[above] < usual and sizes[above] <= 2 < usual:
        above += 1
    return best, above if above < len(sizes) - 2 else 0


def _agreement(lines: Sequence[str], mark: str) -> tuple[int, int]:
    """Return how many lines have the most frequent number of cells, and that number."""
    counted = Counter(size for size in _sizes(lines, mark) if size > 1)
    size, count = max(counted.items(), key=lambda each: (each[1], each[0]), default=(0, 0))
    return (count, size)


def _sizes(lines: Sequence[str], mark: str) -> list[int]:
    try:
        return [len(row) for row in csv.reader(lines, delimiter=mark)] or [0]
    except csv.Error:
        return [line.count(mark) + 1 for line in lines] or [0]


def _names(header: Row) -> list[str]:
    """Return unique column names: empty and repeated ones get their position."""
    names: list[str] = []
    for place, each in enumerate(header, 1):
        name = each.strip() or f"column {place}"
        while name in names:
            name = f"{name} ({place})"
        names.append(name)
    return names


def is_header(lines: Sequence[bytes]) -> bool:
    """Return whether these lines begin with the header of a table."""
    if len(lines) == 1:
        lines = lines[0].split(b"\r")  # line ends of classic Mac OS
    texts = [decoded_text(line.removeprefix(BOM_UTF8)) + "\n" for line in lines]
    separator, above = _shape(texts)
    first = next(csv.reader(texts[above : above + 1], delimiter=separator), [])
    names = [name.strip() for name in first]
    if len(names) < 2 or sum(map(bool, names)) * 2 < len(names) or (not names[-1] and not above):
        return False
    return all(len(name) < 120 and not name.isdecimal() and "{" not in name for name in names)


def _text_lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Yield lines; each byte that is not valid UTF-8 is read as Windows-1252."""
    held: list[bytes] = []
    first = next(chunks, b"").removeprefix(BOM_UTF8)
    end = b"\r" if b"\r" in first and b"\n" not in first else b"\n"  # as in classic Mac OS
    for chunk in chain((first,), chunks):
        head, *lines = chunk.split(end)
        held.append(head)
        for line in lines:
            yield _line(held) + "\n"
            held = [line]
    if any(held):
        yield _line(held)


def _line(parts: list[bytes]) -> str:
    return decoded_text(b"".join(parts).replace(b"\0", b""))


def _cell(text: str) -> Any:
    if text[:1] in ("{", "[") and text[-1:] in ("}", "]"):
        try:
            msgspec.json.decode(text, type=msgspec.Raw)
        except (msgspec.DecodeError, RecursionError):
            return text
        return msgspec.Raw(text.encode())
    return text or None


def parquet_records(file: IO[bytes]) -> Iterator[Record]:
    """Yield each row of a Parquet file as a JSON object; raises BrokenStreamError."""
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
    """Decode cells that hold JSON text, as `csv_records` does."""
    return {key: _cell(value) if isinstance(value, str) else value for key, value in row.items()}
