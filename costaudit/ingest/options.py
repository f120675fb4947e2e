"""The options of `ingest`, its filter of calls, and the summary that it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from costaudit.contracts.manifest import IngestCounts, InputFile, RedactionMode
from costaudit.contracts.requests import REQUESTS
from costaudit.engine.engine import DEFAULT
from costaudit.errors import UsageError
from costaudit.ingest.calls.call import Call, Skip
from costaudit.ingest.calls.fields import EPOCH, MICROSECOND


@dataclass(frozen=True)
class IngestOptions:
    """How to read logs."""

    source: str = "auto"  # name of a log source, or "auto" to detect it
    maps: tuple[str, ...] = ()  # FILE or PATTERN=FILE, where FILE maps fields to record paths
    strict: bool = False  # fail if a record can't be read
    dedupe: bool = True
    since: datetime | None = None  # UTC, inclusive
    until: datetime | None = None  # UTC, exclusive
    where: tuple[str, ...] = ()  # field=value or field!=value
    redact: RedactionMode = "none"
    engine: str = DEFAULT  # where to read and to embed: local, pool, ray or ray://HOST:PORT
    workers: int = 1
    max_ratio: float = 1_000.0  # decompressed / compressed bytes; above it, a file is a bomb
    task_bytes: int = 64 << 20  # bytes of plain lines in one read task
    piece_rows: int = 50_000  # rows in a staged piece before it is written
    group_rows: int = 8_192  # rows in a row group of REQUESTS


@dataclass(frozen=True, kw_only=True)
class IngestSummary(IngestCounts):
    """The counts of an ingest, in total and by file."""

    files: tuple[InputFile, ...]
    read_bytes: int  # log bytes read by this ingest; bytes read earlier are not read again


FIELDS = frozenset(Call.__struct_fields__) & frozenset(REQUESTS)
NOT_IN_WINDOW = Skip("filtered", "It is outside the chosen window of time.")
NO_TIME = Skip("filtered", "It has no time, and only a window of time was asked for.")


@dataclass(frozen=True)
class Condition:
    """A condition `field=value` or `field!=value`."""

    field: str
    value: str
    equal: bool

    def holds(self, call: Call) -> bool:
        """Return whether a call satisfies the condition.

        Values are compared as text: booleans as `true` and `false`, missing values as "".
        """
        found = getattr(call, self.field)
        text = (
            "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)
        )
        return (text == self.value) == self.equal


def parse_condition(text: str) -> Condition:
    """Read `field=value` or `field!=value`; raises UsageError."""
    field, mark, value = text.partition("=")
    equal = not field.endswith("!")
    field = field.removesuffix("!").strip()
    if not mark or field not in FIELDS:
        raise UsageError(
            f"--where {text!r} is not a condition on a field of a request.",
            hint=f"Write FIELD=VALUE or FIELD!=VALUE with one of: {', '.join(sorted(FIELDS))}.",
        )
    return Condition(field, value.strip(), equal)


def wanted(
    since: datetime | None, until: datetime | None, where: tuple[str, ...]
) -> Callable[[Call], Skip | None] | None:
    """Return a function that returns a Skip for an unwanted call; None if all calls are wanted."""
    if since is None and until is None and not where:
        return None
    first = None if since is None else (since - EPOCH) // MICROSECOND
    last = None if until is None else (until - EPOCH) // MICROSECOND
    conditions = [parse_condition(text) for text in where]

    def check(call: Call) -> Skip | None:
        if first is not None or last is not None:
            if call.ts_us is None:
                return NO_TIME
            if (first is not None and call.ts_us < first) or (
                last is not None and call.ts_us >= last
            ):
                return NOT_IN_WINDOW
        for condition in conditions:
            if not condition.holds(call):
                return Skip("filtered", f"Its {condition.field} is not the one asked for.")
        return None

    return check
