"""How a text file is divided into records: lines, JSON values, or rows."""

import re
from codecs import BOM_UTF8
from dataclasses import dataclass
from typing import Literal

import msgspec

from costaudit.ingest.containers import ARCHIVES, PARQUET

Kind = Literal["lines", "values", "csv", "parquet", "sse"]
SAMPLE_LINES = 40
STAMPED = re.compile(rb"^\d{4}-\d\d-\d\dT\S+ (?=\{)")  # CloudWatch's export to S3
NAME = re.compile(rb'^"?[A-Za-z_@][\w @.:\[\]-]*"?$')


@dataclass(frozen=True)
class Layout:
    """How to divide a file, or why it can't be."""

    kind: Kind | None
    problem: str = ""  # half a sentence; "" where there is a kind


def layout_of(head: bytes, is_whole: bool) -> Layout:
    """Find the layout in the first bytes of the decompressed content."""
    if head[:4] == PARQUET:
        return Layout("parquet")
    for magic, name in ARCHIVES.items():
        if head.startswith(magic):
            return Layout(None, f"is {name}")
    if head.count(b"\0") * 200 > len(head):
        return Layout(None, "is a binary file")
    head = head.removeprefix(BOM_UTF8)
    lines = _lines(head, is_whole)
    if not lines:
        return Layout(None, "is empty")
    whole = sum(_is_object(line) for line in lines)
    if whole * 2 >= len(lines):
        return Layout("lines")
    return _of_first_line(lines, head, whole)


def _of_first_line(lines: list[bytes], head: bytes, whole: int) -> Layout:
    start = head.lstrip()[:1]
    if lines[0].startswith((b"data:", b"event:")):
        return Layout("sse")
    if start == b"{" and len(lines) == 1 and len(lines[0]) >= 1 << 16:
        return Layout("lines")  # one line, longer than what we looked at
    if start == b"{" and b"\n" in head and _starts_lines(lines):
        return Layout("lines")
    if start in (b"{", b"["):
        return Layout("values")
    if _is_header(lines[0]):
        return Layout("csv")
    if whole:
        return Layout("lines")
    return Layout(None, "holds neither JSON nor a table")


def _lines(head: bytes, is_whole: bool) -> list[bytes]:
    lines = head.split(b"\n", SAMPLE_LINES)
    if len(lines) > SAMPLE_LINES or (len(lines) > 1 and not is_whole):
        lines.pop()
    return [stripped for line in lines if (stripped := line.strip())]


def _is_object(line: bytes) -> bool:
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
    """Tell broken lines of JSON from one JSON value over several lines."""
    return sum(line[:2] in (b'{"', b"{'") and len(line) > 40 for line in lines) * 2 > len(lines)


def _is_header(line: bytes) -> bool:
    for separator in (b",", b"\t", b";"):
        names = line.split(separator)
        if len(names) > 1 and all(NAME.match(name.strip()) for name in names):
            return True
    return False
