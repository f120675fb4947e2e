"""What sources share whose records each stand for themselves."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

from costaudit.ingest.call import Call, Kept, Record, Skip
from costaudit.ingest.fields import Fields
from costaudit.ingest.lenient import parse_lenient
from costaudit.ingest.sources.source import Outcome

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
