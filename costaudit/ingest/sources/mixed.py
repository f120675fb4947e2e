"""Files whose records come from several sources: each record is looked at by itself."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from costaudit.ingest.call import Kept, Record
from costaudit.ingest.lenient import parse_lenient
from costaudit.ingest.pair import NOT_A_CALL
from costaudit.ingest.sources.source import Outcome, Source

Choose = Callable[[dict[str, Any]], type[Source] | None]


class Mixed:
    """Pass each record to the source that knows it."""

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
            yield (record.offset, record.index), NOT_A_CALL
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
