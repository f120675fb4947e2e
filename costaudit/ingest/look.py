"""What the first bytes of a file show: its layout and its source."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from xxhash import xxh3_64_hexdigest

from costaudit.errors import InputError
from costaudit.ingest.call import Record, Skip
from costaudit.ingest.containers import BrokenStreamError, is_compressed, open_input, plain_chunks
from costaudit.ingest.detect import Detection, detect
from costaudit.ingest.inputs import Input
from costaudit.ingest.layout import Layout, layout_of
from costaudit.ingest.options import IngestOptions
from costaudit.ingest.reading import text_records
from costaudit.ingest.sources.mapped import Mapped, read_mapping
from costaudit.ingest.sources.open import open_source
from costaudit.ingest.tables import parquet_records

HEAD_BYTES = 64 << 10
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
OTHER_FORMAT = "Name its format with --source, or say which field is where with --map FILE.toml."
SNIFFED_BYTES = 1 << 20


@dataclass(frozen=True)
class Look:
    """What the first bytes of a file show."""

    layout: Layout
    detection: Detection
    is_plain: bool  # neither compressed nor in another encoding
    head: str  # digest of the first bytes on disk
    head_bytes: int  # how many these are


class NoLogError(InputError):
    """A file that is no log: an error where it was asked for by name, else a skip."""


def look_at(item: Input, options: IngestOptions) -> Look:
    """Detect a file's layout and source; raises NoLogError for what is no log."""
    with open_input(item.address) as file:
        raw = file.read(HEAD_BYTES)
    head = xxh3_64_hexdigest(raw)
    if not raw:
        raise NoLogError(f"{item.name} is empty.", hint="Export the log again.")
    is_plain = not is_compressed(raw) and raw[:2] not in UTF16_MARKS
    content, is_whole = _first_bytes(item, options)
    layout = layout_of(content, is_whole)
    if layout.kind is None:
        hint = OTHER_FORMAT if content.strip() else "Export the log again."
        raise NoLogError(f"{item.name} {layout.problem}.", hint=hint)
    detection = _detection(item, layout, options)
    if not detection.source:
        raise NoLogError(f"{item.name}: {_lowered(detection.evidence)}", hint=OTHER_FORMAT)
    return Look(layout, detection, is_plain, head, len(raw))


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _first_bytes(item: Input, options: IngestOptions) -> tuple[bytes, bool]:
    """Decompress the first bytes; a file that breaks off within them ends there."""
    parts: list[bytes] = []
    size = 0
    with open_input(item.address) as file:
        try:
            for chunk in plain_chunks(file, options.max_ratio):
                parts.append(chunk[: SNIFFED_BYTES - size])
                size += len(parts[-1])
                if size >= SNIFFED_BYTES:
                    return b"".join(parts), False
        except BrokenStreamError as broken:
            if not parts:
                raise NoLogError(
                    f"{item.name} can't be unpacked: {_lowered(broken.detail)}",
                    hint="Export or download it again.",
                ) from None
    return b"".join(parts), True


def _detection(item: Input, layout: Layout, options: IngestOptions) -> Detection:
    found = detect(first_records(item, layout, options))
    if options.mapping is not None:
        read_mapping(options.mapping)
        return replace(found, source=Mapped.name, evidence="a mapping was given")
    if options.source != "auto":
        open_source(options.source, options.mapping)
        return replace(found, source=options.source, evidence="it was named with --source")
    return found


def first_records(item: Input, layout: Layout, options: IngestOptions) -> Iterator[Record]:
    """Yield records from the start of a file, until it ends or breaks."""
    assert layout.kind is not None
    with open_input(item.address) as file:
        records: Iterator[Record | tuple[int, Skip]]
        if layout.kind == "parquet":
            records = parquet_records(file)
        else:
            records = text_records(layout.kind, plain_chunks(file, options.max_ratio), 0)
        try:
            yield from (record for record in records if isinstance(record, Record))
        except BrokenStreamError:
            return
