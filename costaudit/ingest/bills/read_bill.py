"""Read the files of an invoice into one Bill."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from costaudit.contracts.spend import Bill, BillLine
from costaudit.errors import InputError
from costaudit.ingest.bills.api_reports import Bucket, bucket_of
from costaudit.ingest.bills.cost_exports import Kind, kind_of, line_of
from costaudit.ingest.bills.overlaps import counted_once
from costaudit.ingest.calls.call import Record, Skip
from costaudit.ingest.calls.json_repair import UnreadableError, parse_lenient
from costaudit.ingest.files.containers import BrokenStreamError, open_input, plain_chunks
from costaudit.ingest.files.inputs import Input, expand
from costaudit.ingest.files.records import text_records
from costaudit.ingest.files.sniff import layout_at
from costaudit.ingest.files.tables import parquet_records, table_columns
from costaudit.ingest.mapping.columns import Column
from costaudit.ingest.options import IngestOptions

KNOWN = (
    "Give a usage or cost report of OpenAI or Anthropic (JSON, or the CSV of their consoles), "
    "AWS Cost Explorer's JSON, an AWS cost and usage report, an Azure cost export, or any of them "
    "in FOCUS columns."
)
MAX_RATIO = IngestOptions().max_ratio


def read_bill(paths: Sequence[str]) -> Bill:
    """Read the files of an invoice; raises InputError if one is no invoice or can't be read."""
    found = _Found()
    items = expand(paths)
    for item in items:
        before = found.taken
        for record in _records(item):
            found.add(record, item.name)
        if before == found.taken:
            raise InputError(f"{item.name} is no usage or cost report that is known.", hint=KNOWN)
    if not found.days:
        raise InputError(
            f"No line of {items[0].name} is for a model: {found.left_out:,} lines are for others.",
            hint="Export the costs of the service that runs the models, such as Amazon Bedrock.",
        )
    lines, notes = counted_once(found.by_file)
    days = {provider: tuple(sorted(each)) for provider, each in sorted(found.days.items())}
    names = tuple(item.name for item in items)
    return Bill(tuple(lines), days, names, found.left_out, found.is_cut, tuple(notes))


class _Found:
    """What was read from the files so far."""

    def __init__(self) -> None:
        self.by_file: dict[str, list[BillLine]] = {}
        self.taken = 0  # rows of known tables, and buckets
        self.days: dict[str, set[str]] = {}  # provider → billed days
        self.left_out = 0  # rows and groups that are not for a model
        self.is_cut = False  # a page says that more pages follow
        self._buckets: dict[str, set[Bucket]] = {}  # file → its buckets
        self._kinds: dict[tuple[str, ...], Kind | None] = {}  # by column names

    def add(self, record: dict[str, Any], name: str) -> None:
        """Add a page of a report, a bucket or a table row from the file `name`."""
        self.is_cut = self.is_cut or record.get("has_more") is True
        self.is_cut = self.is_cut or bool(record.get("NextPageToken"))
        bucket = bucket_of(record)
        if bucket is not None:
            self._take(bucket, name)
            return
        for key in ("data", "ResultsByTime", "results"):
            inner = record.get(key)
            if isinstance(inner, list):
                for each in inner:
                    if isinstance(each, dict):
                        self.add(each, name)
                return
        columns = tuple(record)
        if columns not in self._kinds:
            self._kinds[columns] = kind_of(columns)
        kind = self._kinds[columns]
        line = line_of(kind, record, name) if kind is not None else None
        self.left_out += kind is not None and line is None
        self.taken += kind is not None
        if line is not None:
            self.by_file.setdefault(name, []).append(line)
            self.days.setdefault(line.provider, set()).add(line.day)

    def _take(self, bucket: Bucket, name: str) -> None:
        days = self.days.setdefault(bucket.provider, set())
        days |= set(_days(bucket.first, bucket.end))
        if (bucket.end - bucket.first).days > 1 and bucket.lines:
            raise InputError(
                f"{name}: a total of {(bucket.end - bucket.first).days} days can't be compared by "
                "day.",
                hint="Ask for the report again by day: bucket_width=1d, or Granularity=DAILY.",
            )
        self.taken += 1
        self.left_out += bucket.left_out
        if bucket not in self._buckets.setdefault(name, set()):  # else the file repeats a page
            self._buckets[name].add(bucket)
            self.by_file.setdefault(name, []).extend(bucket.lines)


def _days(first: date, end: date) -> Iterator[str]:
    """Yield the days from `first` to before `end`, at least one."""
    day = first
    while day < max(end, first + timedelta(days=1)):
        yield day.isoformat()
        day += timedelta(days=1)


def _records(item: Input) -> Iterator[dict[str, Any]]:
    """Yield the objects or rows of a file; raises InputError if it is damaged."""
    layout = layout_at(item, IngestOptions())
    if layout.kind is None:
        raise InputError(f"{item.name} {layout.problem}.", hint=KNOWN)
    try:
        columns: tuple[Column, ...] = ()
        if layout.kind == "csv":
            with open_input(item.address) as file:
                columns = table_columns(plain_chunks(file, MAX_RATIO))
        with open_input(item.address) as file:
            found: Iterator[Record | tuple[int, Skip]]
            if layout.kind == "parquet":
                found = parquet_records(file)
            else:
                found = text_records(layout.kind, plain_chunks(file, MAX_RATIO), 0, columns)
            for record in found:
                if isinstance(record, Record):
                    yield from _objects(parse_lenient(bytes(record.data)))
                elif record[1].reason != "not-a-call":
                    raise _broken(item, record[1].detail)
    except BrokenStreamError as broken:
        raise _broken(item, broken.detail) from None
    except UnreadableError:
        raise _broken(item, "A part of it is no JSON.") from None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    elif isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))


def _broken(item: Input, why: str) -> InputError:
    """Return the error for an incomplete invoice."""
    return InputError(
        f"{item.name} can't be read to its end: {why[:1].lower()}{why[1:]}",
        hint="Download it again: an invoice that lacks lines would look like a gap.",
    )
