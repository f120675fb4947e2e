"""The plug-in point: what a log source must be able to do."""

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

from costaudit.ingest.call import Kept, Key, Record, Skip

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
        """Give what was held back until the end of the file."""
