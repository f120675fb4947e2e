"""OpenAI's stored completions, and the lists of messages that belong to them."""

import re
from collections.abc import Iterable
from typing import Any, ClassVar

from costaudit.ingest.call import Call, Kept, Key, Prompt, Record, Skip
from costaudit.ingest.fields import Fields
from costaudit.ingest.labels import labels_in
from costaudit.ingest.lenient import parse_lenient
from costaudit.ingest.loose import call_from, encoded
from costaudit.ingest.pair import NOT_A_CALL
from costaudit.ingest.sources.source import Outcome

MESSAGE_ID = re.compile(r"(chatcmpl-.+)-(\d+)")  # the completion, and the place in its prompt


class OpenAIStored:
    """Read completions that the provider kept, and join what they were asked by their id."""

    name: ClassVar[str] = "openai_stored"
    needs_whole_file: ClassVar[bool] = True

    def __init__(self, address: str = "") -> None:
        self._asked: dict[str, list[tuple[int, Key, bytes]]] = {}  # completion → its messages

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        if record.get("object") == "chat.completion" and "input_user" in record:
            return 'object = "chat.completion", input_user'
        return "content_parts, id of a completion" if _message_id(record) else ""

    def parse(self, record: Record) -> Iterable[Outcome]:
        """See Source."""
        key = (record.offset, record.index)
        value = parse_lenient(bytes(record.data))
        if not isinstance(value, dict):
            return [(key, NOT_A_CALL)]
        place = _message_id(value)
        if place is not None:
            content = value.get("content") or value.get("content_parts")
            message = encoded({**value, "content": content})
            self._asked.setdefault(place[1], []).append((int(place[2]), key, message))
            return ()
        found = _completion(Fields(value))
        return [Kept(key, found) if isinstance(found, Call) else (key, found)]

    def finish(self) -> Iterable[Outcome]:
        """See Source."""
        for completion, messages in self._asked.items():
            _, (first, *others), contents = zip(*sorted(messages), strict=True)
            asked = Call(
                half="request", join_key=_join_key(completion), prompt=Prompt(messages=contents)
            )
            yield Kept(first, asked, [(key, "part") for key in others])


def _message_id(record: dict[str, Any]) -> re.Match[str] | None:
    own = record.get("id")
    if "role" not in record or "content_parts" not in record or not isinstance(own, str):
        return None
    return MESSAGE_ID.fullmatch(own)


def _join_key(completion: str) -> str:
    return f"openai stored {completion}"


def _completion(record: Fields) -> Call | Skip:
    call = call_from(None, record.values)
    if call is None:
        return NOT_A_CALL
    labels = labels_in(record.inner("metadata").values)
    call.user = record.text("input_user") or labels.user
    call.tenant, call.conversation = labels.tenant, labels.conversation
    call.endpoint = labels.endpoint or call.endpoint
    call.temperature = record.number("temperature")
    tools = record.items("tools")
    if tools:
        call.prompt = Prompt(tools=encoded(tools))
    if call.native_id:
        call.half, call.join_key = "response", _join_key(call.native_id)
    return call
