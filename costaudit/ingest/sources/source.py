"""The plug-in point: what a log source does, and the usual case of one record for one call."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

from costaudit.ingest.calls.call import Call, Kept, Key, Record, Skip
from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.calls.json_repair import parse_lenient
from costaudit.ingest.calls.units import tool_units

Outcome = Kept | tuple[Key, Skip]


class Source(Protocol):
    """Read the records of one file of one format; a new instance, given its address, for each.

    Each record that `parse` is given ends as a call, as a part of a call (`Kept.merged`) or as a
    Skip, in this call of `parse` or a later one, or in `finish`.
    """

    name: ClassVar[str]
    needs_whole_file: ClassVar[bool]  # a record's meaning depends on the records before it

    def __init__(self, address: str = "") -> None: ...

    def detect(self, record: dict[str, Any]) -> str:
        """Name the fields that show this format; "" where it is another one."""

    def parse(self, record: Record) -> Iterable[Outcome]:
        """Read the next record; may raise UnreadableError or msgspec errors for broken ones."""

    def finish(self) -> Iterable[Outcome]:
        """Return what was held back until the end of the file."""


def no_call(skip: Skip, span: str | None, within: str | None) -> Skip:
    """Return a Skip that leads from the calls within a span to the span that holds it."""
    if span is None or within is None:
        return skip
    return Skip(skip.reason, skip.detail, span, within)


NO_CALL = Skip("not-a-call", "It is a span, an event or a trace; its calls have their own records.")
UNREADABLE_COUNTS = Skip("unreadable-usage", "It is a call, but its token counts can't be read.")
NOT_AN_OBJECT = Skip("not-a-call", "It is no JSON object.")


class PerRecord:
    """Read each record by itself: a call or a Skip."""

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
            found.units = tool_units(found.answer)  # of platforms that keep the provider's answer
        return [Kept(key, found) if isinstance(found, Call) else (key, found)]

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        return ()

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        return ""

    @abstractmethod
    def read(self, record: Fields) -> Call | Skip:
        """Read one record."""
