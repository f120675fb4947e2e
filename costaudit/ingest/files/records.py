"""Detect the layout of a text file and split it into records, each with its offset."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import NamedTuple

import msgspec

from costaudit.contracts.manifest import FileLayout
from costaudit.ingest.calls.call import Record, Skip
from costaudit.ingest.calls.json_repair import PADDING
from costaudit.ingest.files.containers import ARCHIVES, PARQUET
from costaudit.ingest.files.tables import csv_records, is_header
from costaudit.ingest.mapping.columns import Column

SAMPLE_LINES = 40
CONTROLS = [bytes((byte,)) for byte in range(1, 32) if byte not in b"\t\n\r"]
STAMPED = re.compile(  # the prefix that programs log before a record: a time, a level, a stream
    rb"^(?!data:|event:|id:|retry:)(?=.{0,160}\d)[^{}\",;\x00]{1,160}(?=\{\s*\")", re.DOTALL
)


@dataclass(frozen=True)
class Layout:
    """How to split a file into records, or why that is impossible."""

    kind: FileLayout | None
    problem: str = ""  # the sentence without its subject; "" if `kind` is set


def layout_of(head: bytes, is_whole: bool) -> Layout:
    """Detect the layout of decompressed content; `is_whole` says that `head` is all of it."""
    if head[:4] == PARQUET:
        return Layout("parquet")
    for magic, name in ARCHIVES.items():
        if head.startswith(magic):
            return Layout(None, f"is {name}")
    if head.count(b"\0") * 200 > len(head) and sum(map(head.count, CONTROLS)) * 200 > len(head):
        return Layout(None, "is a binary file")
    has_zeros = b"\0" in head
    head = head.removeprefix(BOM_UTF8).replace(b"\0", b"")
    lines = _lines(head, is_whole)
    if not lines:
        return Layout(None, "holds only zeros" if has_zeros else "is empty")
    whole = sum(_is_object(line) for line in lines)
    is_array = lines[0][:1] == b"[" and lines[0][1:].lstrip()[:1] in (b"", b"{")
    if whole * 2 >= len(lines) and not is_array:
        return Layout("lines")
    return _of_first_line(lines, head, whole)


def _of_first_line(lines: list[bytes], head: bytes, whole: int) -> Layout:
    start = head.lstrip()[:1]
    if lines[0].startswith((b"data:", b"event:")):
        return Layout("sse")
    if start == b"{" and len(lines) == 1 and len(lines[0]) >= 1 << 16:
        return Layout("lines")  # one line, longer than `head`
    if start == b"{" and b"\n" in head and _starts_lines(lines):
        return Layout("lines")
    if start in (b"{", b"["):
        return Layout("values")
    if is_header(lines):
        return Layout("csv")
    if whole:
        return Layout("lines")
    return Layout(None, "holds neither JSON nor a table")


def _lines(head: bytes, is_whole: bool) -> list[bytes]:
    lines = head.split(b"\n", SAMPLE_LINES)
    if len(lines) > SAMPLE_LINES or (len(lines) > 1 and not is_whole):
        lines.pop()
    return [stripped for line in lines if (stripped := line.strip(PADDING))]


def _is_object(line: bytes) -> bool:
    line = line.removesuffix(b",")
    if line[:2] == b'"{':
        return line[-2:] == b'}"'  # an object encoded as a JSON string
    if line[:1] != b"{":
        stamp = STAMPED.match(line)
        if stamp is None:
            return False
        line = line[stamp.end() :]
    try:
        msgspec.json.decode(line, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
    return True


def _starts_lines(lines: list[bytes]) -> bool:
    """Return whether these are broken JSON lines rather than one value over several lines."""
    return sum(line[:2] in (b'{"', b"{'") and len(line) > 40 for line in lines) * 2 > len(lines)


TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
BETWEEN = b" \t\r\n,"
BRACE = ord("{")
LONGEST = 512 << 20  # bytes of one record; a longer one is cut there and can't be read
LONG = 1 << 20  # bytes; a line of at least this length is yielded by itself


class Lines(NamedTuple):
    """Consecutive whole lines of a stream."""

    offset: int  # byte offset of the first line in its file
    text: bytes

    @property
    def last(self) -> int:
        """Return the byte offset, in the file, of the last of these lines."""
        return self.offset + self.text.rfind(b"\n", 0, len(self.text) - 1) + 1

    def places(self) -> list[tuple[int, int]]:
        """Return the start and end of each line within `text`; blank lines are left out."""
        text, find = self.text, self.text.find
        found: list[tuple[int, int]] = []
        start = 0
        while (end := find(b"\n", start)) >= 0:
            if end > start + 1 or text[start:end].strip():
                found.append((start, end))
            start = end + 1
        return [*found, (start, len(text))] if start < len(text) else found

    def records(self) -> Iterator[Record]:
        """Yield each line that is not blank, without a time or level logged before it."""
        for start, end in self.places():
            line = self.text[start:end]
            if line[0] != BRACE:
                line = line.lstrip(PADDING)
                if not line:
                    continue
                start = end - len(line)
                stamp = STAMPED.match(line)
                line = line[stamp.end() :] if stamp else line
            yield Record(self.offset + start, 0, line)


def line_blocks(chunks: Iterator[bytes], offset: int, long: int = LONG) -> Iterator[Lines]:
    """Yield the whole lines of each chunk; the stream starts at `offset` in its file.

    A line of at least `long` bytes is yielded by itself.
    """
    held = BytesIO()  # grows in place, so that a long line is in memory only once
    size = 0
    for chunk in chunks:
        if size >= long and b"\n" in chunk:  # a long line; without its "\n" no slice copies it
            end = chunk.index(b"\n")
        else:
            end = chunk.rfind(b"\n") + 1
            if not end and size + len(chunk) < LONGEST:
                held.write(chunk)
                size += len(chunk)
                continue
            end = end or len(chunk)
        held.write(chunk[:end])
        text, held = held.getvalue(), BytesIO()
        yield Lines(offset, text)
        del text
        offset += size + end
        size = held.write(chunk[end:])
    if size:
        yield Lines(offset, held.getvalue())


def line_records(chunks: Iterator[bytes], offset: int) -> Iterator[Record]:
    """Yield each line that is not blank; the stream starts at `offset` in its file."""
    for lines in line_blocks(chunks, offset):
        yield from lines.records()


def value_records(chunks: Iterator[bytes]) -> Iterator[Record]:
    """Yield each element of a JSON array, or each of several consecutive JSON values."""
    scan = _Scan()
    for chunk in chunks:
        yield from scan.feed(chunk)
    yield from scan.finish()


class _Scan:
    """Find where JSON values begin and end without decoding them."""

    def __init__(self) -> None:
        self._buffer = b""
        self._base = 0  # byte offset of the buffer in the file
        self._at = 0  # how far the buffer is scanned
        self._start = 0  # where the current value begins, or the text between two values
        self._depth = 0
        self._floor: int | None = None  # depth at which values begin: 1 in an array, else 0

    def feed(self, chunk: bytes) -> Iterator[Record]:
        self._buffer = self._buffer[self._start :] + chunk if self._start else self._buffer + chunk
        self._base += self._start
        self._at -= self._start
        self._start = 0
        if self._floor is None:
            self._open()
        for token in TOKEN.finditer(self._buffer, self._at):
            mark = token.group()
            if mark == b'"':  # a string that continues in the next chunk
                self._at = token.start()
                return
            self._at = token.end()
            if len(mark) == 1:
                yield from self._step(mark, token.start())
        self._at = len(self._buffer)

    def _open(self) -> None:
        bom = 3 if self._buffer.startswith(BOM_UTF8) else 0
        text = self._buffer[bom:].lstrip()
        if text:
            self._floor = 1 if text[:1] == b"[" else 0
            self._start = self._at = bom
            if self._floor:
                self._at = self._start = self._buffer.index(b"[") + 1
                self._depth = 1

    def _step(self, mark: bytes, at: int) -> Iterator[Record]:
        floor = self._floor or 0
        if mark in b"{[":
            if self._depth == floor:
                yield from self._between(at)
                self._start = at
            self._depth += 1
            return
        self._depth -= 1
        if self._depth == floor:
            yield Record(self._base + self._start, 0, self._buffer[self._start : at + 1])
            self._start = at + 1
        elif self._depth < floor:  # the array ends, or there is a stray bracket
            yield from self._between(at)
            self._start = at + 1
            self._depth = self._floor = 0

    def _between(self, end: int) -> Iterator[Record]:
        text = self._buffer[self._start : end].strip(BETWEEN)
        if text:
            yield Record(self._base + self._start, 0, text)

    def finish(self) -> Iterator[Record]:
        text = self._buffer[self._start :].strip(BETWEEN)
        if text:
            yield Record(self._base + self._start, 0, text)


def text_records(
    kind: FileLayout, chunks: Iterator[bytes], offset: int, columns: Sequence[Column] = ()
) -> Iterator[Record | tuple[int, Skip]]:
    """Yield the records of a stream that starts at `offset` in its file.

    `columns` says how the numbers and dates in the columns of a table are written.
    """
    if kind == "csv":
        yield from csv_records(chunks, columns)
    elif kind == "values":
        yield from value_records(chunks)
    elif kind == "sse":
        yield from _event_records(chunks, offset)
    else:
        yield from line_records(chunks, offset)


def _event_records(chunks: Iterator[bytes], offset: int) -> Iterator[Record]:
    """Yield the `data:` lines of server-sent events; other lines are ignored."""
    for record in line_records(chunks, offset):
        line = bytes(record.data).strip()
        if line.startswith(b"data:"):
            yield Record(record.offset, 0, line[5:].strip())
