"""OpenAI chat completions: pairs of request and response, or bare responses."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from costaudit.ingest.call import Call, Kept, Record
from costaudit.ingest.pair import REQUEST_NAMES, RESPONSE_NAMES, read_pair
from costaudit.ingest.sources.source import Outcome


def bodies_in(record: dict[str, Any], names: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the objects within a record that may be bodies, the record itself last."""
    for name in names:
        body = record.get(name)
        if isinstance(body, dict):
            yield f"{name}.", body
    yield "", record


class OpenAIChat:
    """Read pairs whose response has choices, or whose request has messages."""

    name: ClassVar[str] = "openai_chat"
    needs_whole_file: ClassVar[bool] = False

    def __init__(self, address: str = "") -> None:
        self.address = address

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for path, body in bodies_in(record, RESPONSE_NAMES):
            if body.get("object") == "chat.completion":
                return f'{path}object = "chat.completion"'
            if isinstance(body.get("choices"), list):
                return f"{path}choices"
        for path, body in bodies_in(record, REQUEST_NAMES):
            if isinstance(body.get("messages"), list):
                return f"{path}messages"
        return ""

    def parse(self, record: Record) -> Iterable[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        found = read_pair(record.data)
        return ((Kept(key, found) if isinstance(found, Call) else (key, found)),)

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        return ()
