"""The manifest of a run directory: what was read, how, and what the tables were made from."""

from dataclasses import dataclass
from typing import Literal

MANIFEST_VERSION = 2
RedactionMode = Literal["none", "hash", "mask"]
FileLayout = Literal["lines", "values", "csv", "parquet", "sse"]  # of the records of a file


@dataclass(frozen=True)
class ByteRange:
    """A stretch of a file that was read."""

    start: int  # bytes of the decompressed file
    end: int
    xxh3_128: str  # digest of its content, 32 hex digits


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
    """One file that was read, and which stretches of it."""

    layout: FileLayout | Literal[""] = ""  # "" for a file that is no log
    ranges: tuple[ByteRange, ...] = ()


@dataclass(frozen=True)
class Check:
    """One check of one file: in how many rows it fails."""

    file: str
    name: str
    rows: int  # rows that it applies to
    failing: int


@dataclass(frozen=True)
class Convention:
    """How the tokens of one model in one file were counted."""

    file: str
    provider: str
    model: str
    convention: str
    rows: int
    ambiguous: int  # rows that followed the majority, because nothing in them decides


@dataclass(frozen=True)
class IngestCounts:
    """What was read, over all files. Law: records = kept + merged + skipped."""

    records: int  # blank lines are none
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
    colliding_ids: tuple[int, int]  # ids that several calls have, and these calls


@dataclass(frozen=True)
class ReadingOptions:
    """How the log was read, as texts."""

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
    tables: dict[str, tuple[int, int]]  # name of a file → its size in bytes, its time in ns


@dataclass(frozen=True)
class IngestRecord(IngestCounts):
    """The options of `ingest`, and what it found."""

    options: ReadingOptions
    made: TablesMade | None = None  # None: the tables were changed since
    erased: bool = False  # a part of the log was erased from the run


@dataclass(frozen=True)
class Manifest:
    """All of manifest.json."""

    inputs: tuple[ManifestInput, ...]
    tokenizer: str
    ingest: IngestRecord
    manifest_version: int = MANIFEST_VERSION
