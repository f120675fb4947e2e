"""Detect a file's layout and log source from its first bytes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, ClassVar

from xxhash import xxh3_64_hexdigest

from costaudit.contracts.plugins import plugin, registered
from costaudit.errors import InputError, UsageError
from costaudit.ingest.calls.call import Kept, Record, Skip
from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.calls.json_repair import UnreadableError, parse_lenient
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.files.containers import (
    Ahead,
    BrokenStreamError,
    is_compressed,
    open_input,
    plain_chunks,
    wide_encoding,
)
from costaudit.ingest.files.inputs import Input
from costaudit.ingest.files.records import Layout, layout_of, text_records
from costaudit.ingest.files.tables import parquet_records
from costaudit.ingest.files.unwrap import is_torn_page, is_wrapper, unwrapped
from costaudit.ingest.mapping.field_map import FieldMap, check_fields, chosen_map
from costaudit.ingest.mapping.paths import key_paths
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.sources.mapped import Mapped
from costaudit.ingest.sources.otel_span import trace_place
from costaudit.ingest.sources.source import Outcome, Source, no_call
from costaudit.ingest.sources.table import BY_NAME, SOURCES

Choose = Callable[[dict[str, Any]], type[Source] | None]


class Mixed:
    """Pass each record to the source that recognises it."""

    name: ClassVar[str] = "mixed"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "", choose: Choose = lambda _: None) -> None:
        self._address = address
        self._choose = choose
        self._open: dict[str, Source] = {}

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        return ""

    def parse(self, record: Record) -> Iterator[Outcome]:
        """See Source."""
        value = parse_lenient(bytes(record.data))
        kind = self._choose(value) if isinstance(value, dict) else None
        if kind is None:
            place = trace_place(Fields(value)) if isinstance(value, dict) else (None, None)
            yield (record.offset, record.index), no_call(NOT_A_CALL, *place)
            return
        source = self._open.setdefault(kind.name, kind(self._address))
        yield from _named(source.parse(record), kind.name)

    def finish(self) -> Iterator[Outcome]:
        """See Source."""
        for name, source in sorted(self._open.items()):
            yield from _named(source.finish(), name)


def _named(outcomes: Iterable[Outcome], name: str) -> Iterator[Outcome]:
    for outcome in outcomes:
        if isinstance(outcome, Kept):
            outcome.call.source = name
        yield outcome


SAMPLE = 20  # records that vote on the source
LONGEST_SAMPLE = 500  # most records to look at, for a mapping or where none of SAMPLE is known
AGREEMENT = 0.8  # share of the recognised records that must belong to one source
MIXED = "mixed"


@dataclass(frozen=True)
class Detection:
    """The log source that the first records of a file vote for."""

    source: str  # name of a log source, "mixed", or "" if none fits
    evidence: str  # a sentence
    wrapped: bool  # at least one record was inside another object
    votes: dict[str, int]  # source → number of records; "" counts those that no source recognises
    sampled: int  # number of records looked at


def source_of(record: object) -> tuple[str, str]:
    """Return the name of the first source that recognises a record, and the fields that show it.

    Both are "" if no source does.
    """
    if isinstance(record, dict):
        for source in (*registered_sources(), *SOURCES):
            evidence = source().detect(record)
            if evidence:
                return source.name, evidence
    return "", ""


def detect(values: Iterable[tuple[Any, bool]]) -> Detection:
    """Detect the source by a vote of the first records.

    `values` holds decoded records, each with whether it was inside another one. If no source
    recognises any of the first SAMPLE records, later ones vote too, until one is recognised.
    """
    votes: Counter[str] = Counter()
    evidence: dict[str, str] = {}
    wrapped = False
    seen = 0
    for value, is_inner in values:
        if seen >= SAMPLE and votes.keys() - {""}:
            break
        seen += 1
        wrapped = wrapped or is_inner
        name, fields = source_of(value)
        votes[name] += 1
        evidence.setdefault(name, fields)
    known = {name: count for name, count in votes.items() if name}
    if not known:
        return Detection("", "No record looks like a call of a model.", wrapped, dict(votes), seen)
    best = max(known, key=lambda name: known[name])
    if known[best] >= AGREEMENT * sum(known.values()) and known[best] * 2 > seen:
        text = f"{known[best]} of the first {seen} records have {evidence[best]}"
        return Detection(best, text, wrapped, dict(votes), seen)
    text = ", ".join(f"{count} {name} ({evidence[name]})" for name, count in sorted(known.items()))
    return Detection(MIXED, f"Among the first {seen} records: {text}", wrapped, dict(votes), seen)


def values_of(records: Iterable[Record]) -> Iterator[tuple[Any, bool]]:
    """Yield each record that can be decoded, and whether it was inside another one."""
    for record in records:
        try:
            value = parse_lenient(bytes(record.data))
        except UnreadableError:
            if not is_torn_page(bytes(record.data)):
                continue
            value = None
        if value is not None and not is_wrapper(value):
            yield value, False
            continue
        for inner in unwrapped(record):
            try:
                yield parse_lenient(bytes(inner.data)), True
            except UnreadableError:
                continue


def open_source(name: str, mapping: FieldMap | None, address: str = "") -> Source:
    """Return a new reader for one file; raises UsageError if `name` is not a log source."""
    if name == Mapped.name:
        if mapping is None:
            raise UsageError(
                "The source `mapped` needs a mapping.", hint="Give one with --map FILE.toml."
            )
        return Mapped(address, mapping)
    if name == Mixed.name:
        return Mixed(address, _choose)
    kind = _source_named(name)
    if kind is None:
        known = sorted({*BY_NAME, *registered("sources")})
        raise UsageError(
            f"{name!r} is not a log source.",
            hint=f"Choose one of: {', '.join(known)}, or a class of yours: module:Class.",
        )
    return kind(address)


def registered_sources() -> tuple[type[Source], ...]:
    """Return the sources that installed packages register; they are tried before our own."""
    return tuple(plugin("sources", name) for name in registered("sources"))


def _source_named(name: str) -> type[Source] | None:
    """Return the source with this name: ours, a registered one, or `module:Class`."""
    own = {source.name: source for source in registered_sources()}
    kind: type[Source] | None = BY_NAME.get(name) or own.get(name) or plugin("sources", name)
    return kind


def _choose(record: dict[str, Any]) -> type[Source] | None:
    name, _ = source_of(record)
    return _source_named(name) if name else None


BLANK = b"\xef\xbb\xbf \t\r\n"
HEAD_BYTES = 64 << 10
OTHER_FORMAT = (
    "Name its format with --source, or say which field is where with --map FILE.toml; "
    "`costaudit doctor` drafts one."
)
SHOWN_NAMES = 20  # field names that an error shows
SNIFFED_BYTES = 1 << 20
SAMPLED_BYTES = 16 << 20  # bytes of records after which sampling ends


@dataclass(frozen=True)
class Look:
    """What the first bytes of a file show."""

    layout: Layout
    detection: Detection
    is_plain: bool  # neither compressed nor in UTF-16 or UTF-32
    head: str  # digest of the first bytes on disk
    head_bytes: int  # how many bytes `head` covers
    mapping: FieldMap | None = None  # the mapping to read the file with


class NoLogError(InputError):
    """A file is not a log: an error if the user named the file, otherwise it is skipped."""

    is_empty = False  # the file has no content, so no call is lost
    is_other = False  # content and name show another kind of file
    mapping = ""  # name of the mapping that applies to the file but doesn't fit it


def layout_at(item: Input, options: IngestOptions) -> Layout:
    """Detect the layout of a file; raises NoLogError if it can't be decompressed."""
    with open_input(item.address) as file:
        return layout_of(*_first_bytes(item, plain_chunks(file, options.max_ratio)))


def look_at(item: Input, options: IngestOptions, maps: Sequence[FieldMap] = ()) -> Look:
    """Detect a file's layout and source, or choose its mapping.

    Raises NoLogError if the file is not a log.
    """
    with open_input(item.address) as file:
        ahead = Ahead(file)
        raw = ahead.peek(HEAD_BYTES)
        chunks = plain_chunks(ahead, options.max_ratio)
        content, is_whole = _first_bytes(item, chunks)
        layout = layout_of(content, is_whole)
        if layout.kind is None and not content.strip(BLANK):
            raise _empty(item)
        if layout.kind is None:
            raise NoLogError(f"{item.name} {layout.problem}.", hint=OTHER_FORMAT)
        records = (
            first_records(item, layout, options)
            if layout.kind == "parquet"
            else _readable(text_records(layout.kind, chain((content,), chunks), 0))
        )
        values = list(islice(values_of(_sampled(records)), LONGEST_SAMPLE))
    head = xxh3_64_hexdigest(raw)
    is_plain = not is_compressed(raw) and not wide_encoding(raw)[0]
    detection = detect(values)
    mapping = None
    if maps or options.source != "auto":
        is_known = bool(detection.source) and options.source != Mapped.name
        mapping = _mapping(item, layout, maps, is_known, values)
        detection = _told(detection, options, mapping)
    if not detection.source:
        raise NoLogError(
            f"{item.name}: {_lowered(detection.evidence)}{_seen(values)}", hint=OTHER_FORMAT
        )
    return Look(layout, detection, is_plain, head, len(raw), mapping)


def _seen(values: Sequence[tuple[Any, bool]]) -> str:
    """Return a sentence with the field names of the records; "" if they have none."""
    names = [one.path for one in key_paths([value for value, _ in values[:SAMPLE]]) if one.path]
    shown = ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")
    return f" Its fields are: {shown}." if names else ""


def _empty(item: Input) -> NoLogError:
    error = NoLogError(f"{item.name} is empty.", hint="Export the log again.")
    error.is_empty = True
    return error


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _first_bytes(item: Input, chunks: Iterator[bytes]) -> tuple[bytes, bool]:
    """Return the first bytes, at least SNIFFED_BYTES of a longer file, and whether these are all.

    A file that is truncated or damaged within these bytes counts as ending there.
    """
    parts: list[bytes] = []
    size = 0
    try:
        for chunk in chunks:
            parts.append(chunk)
            size += len(chunk)
            if size >= SNIFFED_BYTES:
                return b"".join(parts), False
    except BrokenStreamError as broken:
        if not parts:
            raise NoLogError(
                f"{item.name} can't be unpacked: {_lowered(broken.detail)}",
                hint="Export or download it again.",
            ) from None
    return b"".join(parts), True


def _mapping(
    item: Input,
    layout: Layout,
    maps: Sequence[FieldMap],
    is_known: bool,
    values: Sequence[tuple[Any, bool]],
) -> FieldMap | None:
    """Choose a file's mapping; raises NoLogError if the file lacks fields that it names."""
    records = [value for value, _ in values]
    sees = {"records": records, "is_known": is_known, "is_only": item.is_only}
    mapping = chosen_map(maps, item.name, item.address, sees)
    if mapping is None or not records:
        return mapping
    is_table = layout.kind in ("csv", "parquet")
    wrong = check_fields(mapping, item.name, records, is_table=is_table)
    if wrong is not None:
        error = NoLogError(wrong.message, hint=wrong.hint)
        error.mapping = mapping.name
        raise error
    return mapping


def _told(found: Detection, options: IngestOptions, mapping: FieldMap | None) -> Detection:
    """Return the detection, with its source replaced if a mapping or --source decides it."""
    if mapping is not None:
        return replace(found, source=Mapped.name, evidence="matched by --map")
    if options.source != "auto":
        open_source(options.source, None)
        return replace(found, source=options.source, evidence="it was named with --source")
    return found


def first_records(item: Input, layout: Layout, options: IngestOptions) -> Iterator[Record]:
    """Yield records from the start of a file until it ends or turns out damaged."""
    assert layout.kind is not None
    with open_input(item.address) as file:
        records: Iterator[Record | tuple[int, Skip]]
        if layout.kind == "parquet":
            records = parquet_records(file)
        else:
            records = text_records(layout.kind, plain_chunks(file, options.max_ratio), 0)
        yield from _readable(records)


def _sampled(records: Iterator[Record]) -> Iterator[Record]:
    """Yield records until their total size reaches SAMPLED_BYTES."""
    size = 0
    for record in records:
        yield record
        size += len(record.data)
        if size >= SAMPLED_BYTES:
            return


def _readable(records: Iterator[Record | tuple[int, Skip]]) -> Iterator[Record]:
    """Yield records, without skips, until the file turns out damaged."""
    try:
        yield from (record for record in records if isinstance(record, Record))
    except BrokenStreamError:
        return
