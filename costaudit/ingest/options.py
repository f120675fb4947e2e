"""What `ingest` can be told, and what it answers."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from costaudit.contracts.audit import InputFile
from costaudit.ingest.content.redact import Redaction
from costaudit.ingest.quality import Check, Convention


@dataclass(frozen=True)
class IngestOptions:
    """How to read logs."""

    source: str = "auto"  # name of a log source
    mapping: Path | None = None  # TOML or JSON: canonical field → path in the record
    strict: bool = False  # a record that can't be read is an error
    dedupe: bool = True
    since: datetime | None = None  # UTC, inclusive
    until: datetime | None = None  # UTC, exclusive
    where: tuple[str, ...] = ()  # field=value or field!=value
    redact: Redaction = "none"
    workers: int = 1
    max_ratio: float = 1_000.0  # decompressed to compressed bytes, before a file is a bomb


@dataclass(frozen=True)
class IngestSummary:
    """What was read. Law: records = kept + merged + skipped."""

    records: int  # blank lines are none
    kept: int
    merged: int
    skipped: int
    skip_reasons: dict[str, int]
    files: tuple[InputFile, ...]
    merged_cost: dict[str, str]  # cost unit → logged cost of duplicates that was not counted
    ambiguous_conventions: int  # rows whose convention was decided by their neighbours
    conventions: tuple[Convention, ...]
    checks: tuple[Check, ...]
    read_bytes: int  # of logs, this time; what an earlier ingest had read is not read again
