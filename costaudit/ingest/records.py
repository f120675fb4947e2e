"""Records of a stream of bytes, each with its offset."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import NamedTuple

from costaudit.ingest.call import Record
from costaudit.ingest.layout import STAMPED

TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
BETWEEN = b" \t\r\n,"
BRACE = ord("{")
LONGEST = 512 << 20  # bytes of one record; what is longer is cut there, and can't be read


class Lines(NamedTuple):
    """Some whole lines of a stream."""

    offset: int  # of the first one in its file
    text: bytes

    @property
    def last(self) -> int:
        """Give the offset of the last line."""
        return self.offset + self.text.rfind(b"\n", 0, len(self.text) - 1) + 1

    def places(self) -> list[tuple[int, int]]:
        """Say where each line begins and ends within `text`; empty ones are left out."""
        text, find = self.text, self.text.find
        found: list[tuple[int, int]] = []
        start = 0
        while (end := find(b"\n", start)) >= 0:
            if end > start + 1 or text[start:end].strip():
                found.append((start, end))
            start = end + 1
        return [*found, (start, len(text))] if start < len(text) else found

    def records(self) -> Iterator[Record]:
        """Yield each line that is not blank."""
        bom = 3 if self.offset == 0 and self.text.startswith(BOM_UTF8) else 0
        for start, end in self.places():
            start = max(start, bom)
            line = self.text[start:end]
            if not line or line.isspace():
                continue
            if line[0] != BRACE and (stamp := STAMPED.match(line)):
                line = line[stamp.end() :]
            yield Record(self.offset + start, 0, line)


def line_blocks(chunks: Iterator[bytes], offset: int) -> Iterator[Lines]:
    """Yield the lines of each chunk together; `offset` is where the stream starts in its file."""
    held: list[bytes | memoryview] = []
    size = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if not end and size + len(chunk) < LONGEST:
            held.append(chunk)
            size += len(chunk)
            continue
        end = end or len(chunk)
        text = b"".join((*held, memoryview(chunk)[:end]))
        yield Lines(offset, text)
        offset += len(text)
        rest = chunk[end:]
        held, size = ([rest] if rest else []), len(rest)
    if held:
        yield Lines(offset, b"".join(held))


def line_records(chunks: Iterator[bytes], offset: int) -> Iterator[Record]:
    """Yield each line that is not blank; `offset` is where the stream starts in its file."""
    for lines in line_blocks(chunks, offset):
        yield from lines.records()


def value_records(chunks: Iterator[bytes]) -> Iterator[Record]:
    """Yield each value of a JSON array, or of values that follow one another."""
    scan = _Scan()
    for chunk in chunks:
        yield from scan.feed(chunk)
    yield from scan.finish()


class _Scan:
    """Find where values begin and end without decoding them."""

    def __init__(self) -> None:
        self._buffer = b""
        self._base = 0  # offset of the buffer in the file
        self._at = 0  # scanned up to here
        self._start = 0  # of the value, or of what stands between values
        self._depth = 0
        self._floor: int | None = None  # 1 within an array, else 0

    def feed(self, chunk: bytes) -> Iterator[Record]:
        self._buffer = self._buffer[self._start :] + chunk if self._start else self._buffer + chunk
        self._base += self._start
        self._at -= self._start
        self._start = 0
        if self._floor is None:
            self._open()
        for token in TOKEN.finditer(self._buffer, self._at):
            mark = token.group()
            if mark == b'"':  # a string that goes on in the next chunk
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
        elif self._depth < floor:  # the array ends, or a bracket too many
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
