"""The interface of a log source, and a base class for formats with one record per call."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

from costaudit.ingest.calls.call import Call, Kept, Key, Record, Skip
from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.calls.json_repair import parse_lenient
from costaudit.ingest.calls.units import tool_units

Outcome = Kept | tuple[Key, Skip]


class Source(Protocol):
    """A reader of one log format; each file gets a new instance with the file's address.

    Every record passed to `parse` must be returned as a call, as part of a call (`Kept.merged`)
    or as a Skip: by this `parse`, by a later one, or by `finish`.
    """

    name: ClassVar[str]
    needs_whole_file: ClassVar[bool]  # the meaning of a record depends on earlier records

    def __init__(self, address: str = "") -> None: ...

    def detect(self, record: dict[str, Any]) -> str:
        """Return the fields that identify this format; "" if the record has another one."""

    def parse(self, record: Record) -> Iterable[Outcome]:
        """Read the next record; may raise UnreadableError or msgspec errors for a broken one."""

    def finish(self) -> Iterable[Outcome]:
        """Return the outcomes of records held back until the end of the file."""


def no_call(skip: Skip, span: str | None, within: str | None) -> Skip:
    """Return `skip` with a span's key and its parent's, to link child calls to the parent span."""
    if span is None or within is None:
        return skip
    return Skip(skip.reason, skip.detail, span, within)


NO_CALL = Skip("not-a-call", "It is a span, an event or a trace; its calls have their own records.")
UNREADABLE_COUNTS = Skip("unreadable-usage", "It is a call, but its token counts can't be read.")
NOT_AN_OBJECT = Skip("not-a-call", "It is no JSON object.")


class PerRecord:
    """Base class of sources that read each record by itself, as a call or a Skip."""

    name: ClassVar[str]
    needs_whole_file: ClassVar[bool] = False

    def __init__(self, address: str = "") -> None:
        self.address = address

    def parse(self, record: Record) -> Iterable[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        found = self.read(Fields(value)) if isinstance(value, dict) else NOT_AN_OBJECT
        if isinstance(found, Call) and not found.units:
            found.units = tool_units(found.answer)  # some platforms keep the provider's answer
        return [Kept(key, found) if isinstance(found, Call) else (key, found)]

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        return ()

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        return ""

    @abstractmethod
    def read(self, record: Fields) -> Call | Skip:
        """Return the call in a record, or why it has none."""
