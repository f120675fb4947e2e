"""The manifest of a run directory: what was read, how, and what the tables were made from."""

from dataclasses import dataclass
from typing import Literal

MANIFEST_VERSION = 2
RedactionMode = Literal["none", "hash", "mask"]
FileLayout = Literal["lines", "values", "csv", "parquet", "sse"]  # how a file holds its records


@dataclass(frozen=True)
class ByteRange:
    """A range of bytes that was read from a file."""

    start: int  # bytes of the decompressed file
    end: int
    xxh3_128: str  # digest of the content, 32 hex digits


@dataclass(frozen=True)
class InputFile:
    """One file that was read. Law: rows = kept + merged + skipped."""

    name: str  # as given, without folders outside the input
    source: str  # log source, mixed or empty; "" for a file that could not be read
    evidence: str  # the evidence of the detection
    bytes: int
    rows: int
    kept: int
    merged: int
    skipped: int


@dataclass(frozen=True)
class ManifestInput(InputFile):
    """One file that was read, and the byte ranges that were read from it."""

    layout: FileLayout | Literal[""] = ""  # "" for a file that is not a log
    ranges: tuple[ByteRange, ...] = ()


@dataclass(frozen=True)
class Check:
    """One check of one file, and the number of rows that fail it."""

    file: str
    name: str
    rows: int  # rows to which the check applies
    failing: int


@dataclass(frozen=True)
class Convention:
    """How the tokens of one model in one file were counted."""

    file: str
    provider: str
    model: str
    convention: str
    rows: int
    ambiguous: int  # rows counted as the majority is, without evidence of their own


@dataclass(frozen=True)
class IngestCounts:
    """What was read, over all files. Law: records = kept + merged + skipped."""

    records: int  # blank lines are not counted
    kept: int
    merged: int
    skipped: int
    skip_reasons: dict[str, int]
    merged_cost: dict[str, str]  # cost unit → logged cost of duplicates that was not counted
    ambiguous_conventions: int  # rows whose convention was decided by their neighbours
    conventions: tuple[Convention, ...]
    checks: tuple[Check, ...]
    unread_usage: dict[str, tuple[int, float]]  # unknown name in a usage object → calls, sum
    unreadable_usage: dict[str, int]  # class of tokens or unit whose count can't be read → calls
    colliding_ids: tuple[int, int]  # ids shared by several calls; number of those calls


@dataclass(frozen=True)
class ReadingOptions:
    """The options with which the log was read, as texts."""

    source: str
    maps: tuple[str, ...]  # each FILE or PATTERN=FILE
    strict: bool
    dedupe: bool
    since: str | None  # ISO 8601, UTC
    until: str | None
    where: tuple[str, ...]
    redact: RedactionMode
    workers: int
    max_ratio: float


@dataclass(frozen=True)
class TablesMade:
    """The state of the staged pieces when the tables were written, to see if they are complete."""

    key: str
    tables: dict[str, tuple[int, int]]  # file name → size in bytes, time in ns


@dataclass(frozen=True)
class IngestRecord(IngestCounts):
    """The options of `ingest`, and what it found."""

    options: ReadingOptions
    made: TablesMade | None = None  # None: the tables changed later
    erased: bool = False  # a part of the log was erased from the run


@dataclass(frozen=True)
class Manifest:
    """All of manifest.json."""

    inputs: tuple[ManifestInput, ...]
    tokenizer: str
    ingest: IngestRecord
    manifest_version: int = MANIFEST_VERSION
