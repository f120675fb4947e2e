"""Run read tasks: each reads a file, or a byte range of one, in a single process."""

import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import IO

import msgspec
from xxhash import xxh3_128

from costaudit.contracts.manifest import FileLayout
from costaudit.contracts.run_dir import atomic_write
from costaudit.engine.count import report
from costaudit.ingest.calls.call import Kept, Key, Record, Skip
from costaudit.ingest.calls.json_repair import UnreadableError, parse_lenient
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.calls.refused import drop_refused
from costaudit.ingest.content.redaction import Redaction, Redactor
from costaudit.ingest.content.tokenizer import Tokenizer
from costaudit.ingest.files.containers import (
    BLOCK,
    CHUNK,
    BrokenStreamError,
    open_input,
    plain_chunks,
)
from costaudit.ingest.files.records import Lines, line_blocks, text_records
from costaudit.ingest.files.sniff import open_source
from costaudit.ingest.files.tables import parquet_records
from costaudit.ingest.files.unwrap import unwrapped
from costaudit.ingest.mapping.columns import Column
from costaudit.ingest.mapping.field_map import EACH, FieldMap
from costaudit.ingest.options import IngestOptions, wanted
from costaudit.ingest.sources.source import Outcome, Source
from costaudit.ingest.staging.fast_path import PlainReader, plain_reader
from costaudit.ingest.staging.piece_writer import PieceWriter, lost_counts
from costaudit.scratch import scratch_folder

Item = Lines | Record | tuple[int, Skip]  # the last: the offset of what can't be read, and why


@dataclass(frozen=True)
class Unit:
    """A read task: what one process reads, and how."""

    address: str
    folder: str  # where to write its pieces
    source: str
    layout: FileLayout
    wrapped: bool
    start: int  # offset in the decompressed content
    end: int | None  # None: to the end of the file
    can_resume: bool  # stretches of it may be committed before all of it is read
    is_tail: bool  # an incomplete last line, which may still grow
    options: IngestOptions
    mapping: FieldMap | None = None
    columns: tuple[Column, ...] = ()  # of a table: how numbers and dates are written
    redaction: Redaction = field(default_factory=Redaction)


@dataclass
class Span:
    """The result of reading a stretch of a file; writing it as JSON commits the stretch."""

    start: int
    end: int | None
    is_tail: bool = False
    pieces: list[str] = field(default_factory=list)
    records: int = 0
    kept: int = 0
    merged: int = 0
    skipped: int = 0
    unread: dict[str, tuple[int, float]] = field(default_factory=dict)  # unused numbers: calls, sum
    unreadable: dict[str, int] = field(default_factory=dict)  # name of a count → calls
    stop: int = 0  # offset where reading ended, even if `end` is None
    digest: str = ""  # xxh3_128 of its concatenated lines or records

    @property
    def name(self) -> str:
        """Return the name of the commit file."""
        return f"span-{self.start:015d}.json"


class UnitReader:
    """Read the records of a read task, stage them as calls or skips, and commit them."""

    def __init__(self, unit: Unit, tokenizer: Tokenizer) -> None:
        self._unit = unit
        self._folder = Path(unit.folder)
        self._writer = PieceWriter(Redactor(unit.redaction), tokenizer, unit.options.piece_rows)
        self._unwanted = wanted(unit.options.since, unit.options.until, unit.options.where)
        self._plain = self._plain_reader()
        self._open: set[Key] = set()  # records that are neither a call, part of one nor skipped yet
        self._span = Span(unit.start, unit.end, unit.is_tail)
        self._at = unit.start  # offset of the last record or line read
        self._bytes = 0
        self._digest = xxh3_128()

    def read(self) -> int:
        """Read and commit the whole task, even if its content is damaged; return the bytes read."""
        source = open_source(self._unit.source, self._unit.mapping, self._unit.address)
        try:
            for item in self._items():
                self._read(item, source)
        except BrokenStreamError as broken:
            key = (self._at + 1, 1 << 30)
            self._note(key)
            self._settle((key, Skip(broken.reason, broken.detail)), source)
        for outcome in source.finish():
            self._settle(outcome, source)
        for key in sorted(self._open):
            self._settle((key, NOT_A_CALL), source)
        self._flush(None)
        self._span.stop = self._unit.start + self._bytes
        self._commit()
        return self._bytes

    def _read(self, item: Item, source: Source) -> None:
        if not isinstance(item, Lines | Record):
            key = (item[0], 0)
            self._note(key)
            self._settle((key, item[1]), source)
            return
        if item.offset != self._at:
            self._at = item.offset
            if self._writer.is_full:
                self._flush(self._at)
        if isinstance(item, Lines):
            self._read_lines(item, source)
        else:
            self._digest.update(item.data)
            self._take(item, source)

    def _read_lines(self, lines: Lines, source: Source) -> None:
        self._digest.update(lines.text)
        for record in self._plain.others(lines) if self._plain else lines.records():
            self._take(record, source)
        if self._plain:
            self._span.records += self._plain.taken
            self._span.kept += self._plain.taken
        self._at = lines.last

    def _plain_reader(self) -> PlainReader | None:
        unit = self._unit
        if unit.layout != "lines" or unit.wrapped or self._unwanted is not None:
            return None
        return plain_reader(unit.source, self._writer)

    def _items(self) -> Iterator[Item]:
        unit = self._unit
        with open_input(unit.address, is_last=True, exact=unit.end is not None) as file:
            if unit.layout == "parquet":
                yield from parquet_records(file)
                return
            chunks = self._counted(self._chunks(file))
            if unit.layout == "lines":
                yield from line_blocks(chunks, unit.start)
            else:
                yield from text_records(unit.layout, chunks, unit.start, unit.columns)

    def _chunks(self, file: IO[bytes]) -> Iterator[bytes]:
        unit = self._unit
        if unit.end is not None:
            file.seek(unit.start)
            at_once = BLOCK if "://" in unit.address else CHUNK
            yield from _bounded(file, unit.end - unit.start, at_once)
            return
        to_skip = unit.start
        for chunk in plain_chunks(file, unit.options.max_ratio):
            if to_skip >= len(chunk):
                to_skip -= len(chunk)
                continue
            yield chunk[to_skip:] if to_skip else chunk
            to_skip = 0

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._bytes += len(chunk)
            report(len(chunk))
            yield chunk

    def _take(self, record: Record, source: Source) -> None:
        is_whole = not self._unit.wrapped and bytes(record.data[:1]) != b'"'
        records: Iterable[Record] = (record,) if is_whole else unwrapped(record)
        if self._unit.mapping is not None and EACH in self._unit.mapping.fields:
            records = _divided(records, self._unit.mapping)
        for inner in records:
            self._parse(inner, source)

    def _parse(self, record: Record, source: Source) -> None:
        key = (record.offset, record.index)
        self._note(key)
        try:
            for outcome in source.parse(record):
                self._settle(outcome, source)
        except UnreadableError as error:
            self._settle((key, error.skip), source)

    def _note(self, key: Key) -> None:
        self._open.add(key)
        self._span.records += 1

    def _settle(self, outcome: Outcome, source: Source) -> None:
        if not isinstance(outcome, Kept):
            key, skip = outcome
            self._open.discard(key)
            self._span.skipped += 1
            self._writer.skip(key, skip)
            return
        unwanted = self._unwanted(outcome.call) if self._unwanted is not None else None
        self._open.discard(outcome.key)
        if unwanted is not None:
            self._span.skipped += 1 + len(outcome.merged)
            self._writer.skip(outcome.key, unwanted)
        else:
            self._span.kept += 1
            drop_refused(outcome.call)
            for name, number in outcome.call.unread:
                calls, total = self._span.unread.get(name, (0, 0.0))
                self._span.unread[name] = (calls + 1, total + number)
            for name in lost_counts(outcome.call):
                self._span.unreadable[name] = self._span.unreadable.get(name, 0) + 1
            self._writer.add(outcome.key, outcome.call.source or source.name, outcome.call)
        for key, reason in outcome.merged:
            self._open.discard(key)
            if unwanted is not None:
                self._writer.skip(key, unwanted)
            else:
                self._span.merged += 1
                self._writer.merge(key, reason, MERGED[reason], outcome.key)

    def _flush(self, at: int | None) -> None:
        """Write the piece; if the task can resume at `at`, commit everything before it."""
        if not self._writer.is_empty:
            name = f"piece-{self._span.start:015d}-{len(self._span.pieces):05d}"
            self._writer.write(self._folder / name)
            self._span.pieces.append(name)
        if at is not None and self._unit.can_resume:
            self._span.end = self._span.stop = at
            self._commit()
            self._span = Span(at, self._unit.end, self._unit.is_tail)
            self._digest.reset()

    def _commit(self) -> None:
        span = self._span
        if span.records != span.kept + span.merged + span.skipped:
            raise AssertionError(f"records went missing: {span}")
        span.digest = self._digest.hexdigest()
        with atomic_write(self._folder / span.name, tidy=False) as part:
            part.write_bytes(msgspec.json.encode(span))


MERGED = {
    "part-of-stream": "It is one event of a streamed answer.",
    "context": "It is a message within the conversation of this call.",
    "event": "It is an event within the span of this call.",
    "part": "It is a further part of this call's record.",
}


def _divided(records: Iterable[Record], mapping: FieldMap) -> Iterator[Record]:
    """Yield the calls in the lists of these records, which begin at one offset.

    A record without calls is yielded as null, so that it is counted as skipped.
    """
    number = count()
    for record in records:
        try:
            calls = mapping.within(parse_lenient(bytes(record.data)))
        except UnreadableError:
            yield Record(record.offset, next(number), record.data)
            continue
        for call in calls or [None]:
            yield Record(record.offset, next(number), msgspec.json.encode(call))


def _bounded(file: IO[bytes], size: int, at_once: int) -> Iterator[bytes]:
    while size > 0 and (block := file.read(min(at_once, size))):
        size -= len(block)
        for start in range(0, len(block), CHUNK):
            yield block[start : start + CHUNK]


@dataclass(frozen=True)
class Staged:
    """What a worker on another machine read: the files of a read task."""

    read_bytes: int
    pieces: dict[str, bytes]  # file name → content
    commits: dict[str, bytes]  # the same of the files that make the pieces final


def read_apart(unit: Unit) -> Staged:
    """Run a read task in a temporary folder of this machine, and return its files."""
    with scratch_folder("read-") as folder:
        size = read_unit(replace(unit, folder=str(folder)))
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    commits = {name: content for name, content in files.items() if name.startswith("span-")}
    pieces = {name: content for name, content in files.items() if name not in commits}
    return Staged(size, pieces, commits)


def keep(unit: Unit, staged: Staged) -> int:
    """Write the files of a read task to its folder, commits last; return the bytes read."""
    for name, content in chain(staged.pieces.items(), staged.commits.items()):
        with atomic_write(Path(unit.folder) / name, tidy=False) as part:
            part.write_bytes(content)
    report(staged.read_bytes)
    return staged.read_bytes


_tokenizers: list[Tokenizer] = []  # at most one per process, because loading takes a second


def read_unit(unit: Unit) -> int:
    """Run a read task: write and commit its pieces in its folder; return the bytes read."""
    if not _tokenizers:
        _tokenizers.append(Tokenizer())
    was_enabled = gc.isenabled()
    gc.disable()  # records hold no cycles, and looking for them takes a third of the time
    try:
        return UnitReader(unit, _tokenizers[0]).read()
    finally:
        if was_enabled:
            gc.enable()
