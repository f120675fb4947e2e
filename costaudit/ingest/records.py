"""Records of a stream of bytes, each with its offset."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator

from costaudit.ingest.call import Record
from costaudit.ingest.layout import STAMPED

TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
BETWEEN = b" \t\r\n,"
LONGEST = 512 << 20  # bytes of one record; what is longer is cut there, and can't be read


def line_records(chunks: Iterator[bytes], offset: int) -> Iterator[Record]:
    """Yield each line that is not blank; `offset` is where the stream starts in its file."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        cut = chunk.rfind(b"\n")
        if cut < 0 and size + len(chunk) < LONGEST:
            held.append(chunk)
            size += len(chunk)
            continue
        held.append(chunk[:cut] if cut >= 0 else chunk)
        text = b"".join(held) if len(held) > 1 else held[0]
        yield from _lines(text, offset)
        offset += len(text) + (1 if cut >= 0 else 0)
        rest = chunk[cut + 1 :] if cut >= 0 else b""
        held, size = ([rest] if rest else []), len(rest)
    if held:
        yield from _lines(b"".join(held), offset)


def _lines(text: bytes, offset: int) -> Iterator[Record]:
    if offset == 0 and text.startswith(BOM_UTF8):
        text, offset = text[3:], 3
    start = 0
    while start < len(text):
        end = text.find(b"\n", start)
        line = text[start : end if end >= 0 else None]  # one at a time, in memory just given back
        if line and not line.isspace():
            if line[0] != 123 and (stamp := STAMPED.match(line)):
                yield Record(offset + start, 0, line[stamp.end() :])
            else:
                yield Record(offset + start, 0, line)
        start += len(line) + 1


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
