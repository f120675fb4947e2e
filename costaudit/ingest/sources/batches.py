"""Batch files of OpenAI and Anthropic, and OpenAI's stored completions."""

import re
from collections.abc import Iterable
from typing import Any, ClassVar

from costaudit.ingest.calls.bodies import ErrorBody
from costaudit.ingest.calls.call import Call, Kept, Key, Prompt, Record, Skip
from costaudit.ingest.calls.exchange import error_type
from costaudit.ingest.calls.fields import Fields
from costaudit.ingest.calls.json_repair import parse_lenient
from costaudit.ingest.calls.names import labels_in
from costaudit.ingest.calls.pair import NOT_A_CALL
from costaudit.ingest.calls.untyped import call_from, encoded
from costaudit.ingest.sources.source import Outcome, PerRecord

INPUT = ("custom_id", "method", "url", "body")
OUTPUT = ("custom_id", "response", "error")


class OpenAIBatch(PerRecord):
    """Read both halves of a batch; they are joined by their custom id."""

    name: ClassVar[str] = "openai_batch"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for keys in (INPUT, OUTPUT):
            if all(key in record for key in keys):
                return ", ".join(keys)
        return ""

    def read(self, record: Fields) -> Call | Skip:
        """Read a line of an input, output or error file."""
        custom_id = record.text("custom_id")
        if record.has("body"):
            call = call_from(record.value("body"), None) or Call()
            call.endpoint = record.text("url") or call.endpoint
            call.half = "request"
        else:
            response = record.inner("response")
            call = call_from(None, response.value("body")) or Call()
            call.http_status = response.integer("status_code")
            call.half = "response"
            _add_failure(call, record, response)
        call.is_batch = True
        call.provider = call.provider or "openai"
        call.join_key = None if custom_id is None else f"openai batch {custom_id}"
        return call


def _add_failure(call: Call, record: Fields, response: Fields) -> None:
    error = record.inner("error") or response.inner("body").inner("error")
    if error or (call.http_status or 200) >= 400:
        call.status = "error"
        call.error = error_type(ErrorBody(error.text("type"), error.text("code")))


class AnthropicBatch(PerRecord):
    """Read both halves of a batch; they are joined by their custom id."""

    name: ClassVar[str] = "anthropic_batch"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        result = record.get("result")
        if "custom_id" not in record:
            return ""
        if isinstance(result, dict) and "type" in result:
            return "custom_id, result.type"
        return "custom_id, params" if isinstance(record.get("params"), dict) else ""

    def read(self, record: Fields) -> Call | Skip:
        """Read a request or a result."""
        custom_id = record.text("custom_id")
        result = record.inner("result")
        if record.has("params"):
            call = call_from(record.value("params"), None) or Call()
            call.half = "request"
        elif result:
            call = call_from(None, result.value("message")) or Call()
            call.half = "response"
            kind = result.text("type")
            if kind != "succeeded":
                call.status = "error"
                call.error = result.inner("error").inner("error").text("type") or kind or "error"
        else:
            return NOT_A_CALL
        call.is_batch = True
        call.provider = call.provider or "anthropic"
        call.endpoint = "/v1/messages/batches"
        call.join_key = None if custom_id is None else f"anthropic batch {custom_id}"
        return call


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
