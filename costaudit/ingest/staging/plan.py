"""Plan which stretches of files to read, given what was read before."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import IO

import msgspec
from xxhash import xxh3_64_hexdigest

from costaudit.contracts.manifest import MANIFEST_VERSION, FileLayout
from costaudit.contracts.run_dir import atomic_write
from costaudit.ingest.content.redaction import Redaction, Redactor
from costaudit.ingest.files.containers import (
    CHUNK,
    BrokenStreamError,
    is_stream,
    open_input,
    plain_chunks,
)
from costaudit.ingest.files.inputs import Input
from costaudit.ingest.files.sniff import Look, look_at, open_source
from costaudit.ingest.files.tables import table_columns
from costaudit.ingest.mapping.columns import Column
from costaudit.ingest.mapping.field_map import FieldMap
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.staging.read_task import Span, Unit

STAGING = "staging"
STATE = "file.json"


@dataclass(frozen=True)
class FileState:
    """What is stored about a file: its state when it was last read, and how to read it."""

    name: str
    address: str
    size: int  # bytes on disk
    mtime_ns: int
    head: str  # digest of its first bytes
    head_bytes: int  # how many bytes `head` covers
    source: str
    evidence: str
    layout: FileLayout
    wrapped: bool  # its records are inside other objects
    is_stateless_lines: bool  # each line can be read by itself
    is_splittable: bool  # in addition, reading can start at any byte offset
    options_key: str  # digest of the options that change what is read
    mapping: FieldMap | None = None
    columns: tuple[Column, ...] = ()  # of a table: how numbers and dates are written
    cuts: list[int] = field(default_factory=list)  # offsets where read tasks start, if splittable
    read_to: int = 0  # offset of the end of the last complete line, if splittable
    seam: str = ""  # digest of the last bytes before `read_to`


class FileStaging:
    """The folder with the staged state, commits and pieces of one file."""

    def __init__(self, run: Path, name: str, stored: Callable[[str], str] = str) -> None:
        self.folder = run / STAGING / xxh3_64_hexdigest(name.encode("utf-8", "surrogateescape"))
        self._stored = stored  # redacts an address before it is stored

    def state_of(self, item: Input) -> FileState | None:
        """Return the state of a file; None if it was not read, or from another address."""
        try:
            state = msgspec.json.decode((self.folder / STATE).read_bytes(), type=FileState)
        except (OSError, msgspec.MsgspecError):
            return None
        is_same = state.address == self._stored(item.address)
        return replace(state, address=item.address) if is_same else None

    def save(self, state: FileState) -> None:
        """Write the file's state."""
        with atomic_write(self.folder / STATE) as part:
            part.write_bytes(
                msgspec.json.encode(replace(state, address=self._stored(state.address)))
            )

    def spans(self) -> list[Span]:
        """Return the committed stretches, by offset."""
        return [
            msgspec.json.decode(path.read_bytes(), type=Span)
            for path in sorted(self.folder.glob("span-*.json"))
        ]

    def is_whole(self) -> bool:
        """Return whether the commits can be read and name only pieces that are in the folder."""
        try:
            names = [name for span in self.spans() for name in span.pieces]
        except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError):
            return False
        there = {path.stem for path in self.folder.glob("piece-*")}
        return there.issuperset(names)

    def drop(self) -> None:
        """Delete everything staged for the file."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def drop_span(self, span: Span) -> None:
        """Delete a committed stretch: first the commit, then its pieces."""
        (self.folder / span.name).unlink(missing_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Remove uncommitted pieces and partial files that a killed process left behind."""
        named = {piece for span in self.spans() for piece in span.pieces}
        for path in self.folder.glob("piece-*"):
            if path.stem not in named:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(".*.part"):
            path.unlink(missing_ok=True)


def stagings(run: Path) -> list[tuple[FileState, FileStaging]]:
    """Return the state and staging of every file read into a run, by name."""
    found = []
    for folder in sorted((run / STAGING).glob("*/")):
        try:
            state = msgspec.json.decode((folder / STATE).read_bytes(), type=FileState)
        except (OSError, msgspec.MsgspecError):
            continue
        found.append((state, FileStaging(run, state.name)))
    return sorted(found, key=lambda each: each[0].name)


SEAM_BYTES = 64 << 10  # maximum number of bytes that `FileState.seam` covers
READING = 4  # version of the reading code; raise it when the same bytes are read differently
STREAM_BYTES = 64 << 20  # first bytes of a stream, which decide how its columns are written


def options_key(options: IngestOptions, redaction: Redaction) -> str:
    """Return a digest of the options that change what is read; if it changes, files are reread."""
    told = (options.source, str(options.since), str(options.until), options.where, options.redact,
            redaction.key_digest, options.max_ratio, MANIFEST_VERSION, READING)  # fmt: skip
    return xxh3_64_hexdigest(msgspec.json.encode(told))


def plan_file(
    item: Input,
    run: Path,
    options: IngestOptions,
    redaction: Redaction,
    maps: Sequence[FieldMap] = (),
) -> tuple[list[Unit], FieldMap | None]:
    """Update a file's staging; return its remaining read tasks and its mapping.

    Raises NoLogError if the file is not a log.
    """
    staging = FileStaging(run, item.name, Redactor(redaction).address)
    staging.sweep()
    look = look_at(item, options, maps) if maps else None
    mapping = None if look is None else look.mapping
    units = _planned(item, staging, options, options_key(options, redaction), look)
    return [replace(unit, redaction=redaction) for unit in units], mapping


def _planned(
    item: Input, staging: FileStaging, options: IngestOptions, key: str, look: Look | None
) -> list[Unit]:
    known = staging.state_of(item)
    size, mtime_ns = size_of(item)
    mapping = None if look is None else look.mapping
    is_same = known is not None and known.options_key == key and known.mapping == mapping
    if known is not None and is_same and not is_stream(item.address):
        if known.size == size and known.mtime_ns == mtime_ns:
            return _unread(known, staging, options)
        if known.is_splittable and size >= known.read_to and _is_longer(item, known):
            return _extended(replace(known, size=size, mtime_ns=mtime_ns), staging, options)
    staging.drop()
    state = _fresh(item, (size, mtime_ns), options, key, look or look_at(item, options))
    if state.is_splittable:
        return _extended(state, staging, options)
    staging.save(state)
    return _unread(state, staging, options)


def _fresh(
    item: Input, stat: tuple[int, int], options: IngestOptions, key: str, look: Look
) -> FileState:
    assert look.layout.kind is not None
    source = open_source(look.detection.source, look.mapping)
    is_stateless_lines = look.layout.kind == "lines" and not source.needs_whole_file
    size, mtime_ns = stat
    return FileState(
        name=item.name,
        address=item.address,
        size=size,
        mtime_ns=mtime_ns,
        head=look.head,
        head_bytes=look.head_bytes,
        source=look.detection.source,
        evidence=look.detection.evidence,
        layout=look.layout.kind,
        wrapped=look.detection.wrapped,
        is_stateless_lines=is_stateless_lines,
        is_splittable=look.is_plain and is_stateless_lines and _has_ranges(item.address),
        options_key=key,
        mapping=look.mapping,
        columns=_columns(item, look, options) if look.layout.kind == "csv" else (),
    )


def _columns(item: Input, look: Look, options: IngestOptions) -> tuple[Column, ...]:
    """Read a table once to learn how its columns are written; of a stream, only STREAM_BYTES."""
    said = look.mapping.columns if look.mapping is not None else None
    with open_input(item.address) as file:
        chunks = plain_chunks(file, options.max_ratio)
        if is_stream(item.address):
            chunks = islice(chunks, STREAM_BYTES // CHUNK)
        try:
            return table_columns(chunks, said)
        except BrokenStreamError:  # reported when the file is read
            return ()


def size_of(item: Input) -> tuple[int, int]:
    """Return a file's size in bytes and modification time in ns; 0 if an address has none."""
    if is_stream(item.address):
        return 0, 0
    if "://" in item.address:
        with open_input(item.address) as file:
            told = (getattr(file, "details", None) or {}).get("LastModified")
            moment = int(told.timestamp() * 1e9) if isinstance(told, datetime) else 0
            return int(getattr(file, "size", 0) or 0), moment
    try:
        status = os.stat(item.address)  # noqa: PTH116
    except OSError:  # reported when the file is opened
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _has_ranges(address: str) -> bool:
    """Return whether reading can start at any byte of a file."""
    if is_stream(address):
        return False
    if "://" not in address:
        return True
    with open_input(address) as file:
        return file.seekable() and bool(getattr(file, "size", 0))


def _is_longer(item: Input, known: FileState) -> bool:
    with open_input(item.address) as file:
        head = file.read(known.head_bytes)
        return xxh3_64_hexdigest(head) == known.head and _seam(file, known.read_to) == known.seam


def _seam(file: IO[bytes], end: int) -> str:
    start = max(end - SEAM_BYTES, 0)
    file.seek(start)
    return xxh3_64_hexdigest(file.read(end - start))


def _extended(state: FileState, staging: FileStaging, options: IngestOptions) -> list[Unit]:
    """Plan read tasks for new bytes of plain lines; an incomplete last line has its own task."""
    for span in staging.spans():
        if span.is_tail:
            staging.drop_span(span)
    with open_input(state.address) as file:
        end = _last_line_end(file, state.size, state.read_to)
        cuts = _cuts(file, state.read_to, end, options.task_bytes)
        seam = _seam(file, end)
    state = replace(state, cuts=[*state.cuts, *cuts], read_to=end, seam=seam)
    staging.save(state)
    return _unread(state, staging, options)


def _last_line_end(file: IO[bytes], size: int, floor: int) -> int:
    at = size
    while at > floor:
        start = max(at - (1 << 20), floor)
        file.seek(start)
        cut = file.read(at - start).rfind(b"\n")
        if cut >= 0:
            return start + cut + 1
        at = start
    return floor


_LAST_TASKS = 4  # as many as are cut small, and how many parts each is cut into
_LEAST_BYTES = 4 << 20  # of such a part


def _cuts(file: IO[bytes], start: int, end: int, size: int) -> list[int]:
    """Return the offsets that divide a range into read tasks of about `size` bytes.

    Each is the start of a line. The last tasks are smaller, so that all workers end together.
    """
    found = []
    while start < end:
        found.append(start)
        is_last = end - start <= _LAST_TASKS * size
        file.seek(start + (min(size, max(size // _LAST_TASKS, _LEAST_BYTES)) if is_last else size))
        file.readline()
        start = file.tell()
    return found


def _unread(state: FileState, staging: FileStaging, options: IngestOptions) -> list[Unit]:
    spans = staging.spans()
    if not state.is_splittable:
        if any(span.end is None for span in spans):
            return []
        start = max((span.end or 0 for span in spans), default=0)
        return [_unit(state, staging, options, start, None)]
    done = {span.start for span in spans}
    units = [
        _unit(state, staging, options, start, end)
        for start, end in pairwise([*state.cuts, state.read_to])
        if start not in done
    ]
    if state.size > state.read_to and state.read_to not in done:
        tail = _unit(state, staging, options, state.read_to, state.size)
        units.append(replace(tail, is_tail=True))
    return units


def _unit(
    state: FileState, staging: FileStaging, options: IngestOptions, start: int, end: int | None
) -> Unit:
    return Unit(
        address=state.address,
        folder=str(staging.folder),
        source=state.source,
        layout=state.layout,
        wrapped=state.wrapped,
        start=start,
        end=end,
        can_resume=state.is_stateless_lines and not state.is_splittable,
        is_tail=False,
        options=options,
        mapping=state.mapping,
        columns=state.columns,
    )
