"""Pairs of request and response, or bare bodies, of the providers' own interfaces: one row each."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from costaudit.ingest.calls.call import Call, Kept, Record
from costaudit.ingest.calls.pair import REQUEST_NAMES, RESPONSE_NAMES, read_pair
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
            if body.get("object") == "list" and isinstance(body.get("usage"), dict):
                return f'{path}object = "list", usage'  # of vectors
            if isinstance(body.get("done"), bool) and ("message" in body or "response" in body):
                return f"{path}done"  # of Ollama
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


class OpenAIResponses(OpenAIChat):
    """Read responses, which hold what was answered but seldom what was asked."""

    name: ClassVar[str] = "openai_responses"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for path, body in bodies_in(record, RESPONSE_NAMES):
            if body.get("object") in ("response", "response.compaction"):
                return f'{path}object = "{body["object"]}"'
        return ""


class AnthropicMessages(OpenAIChat):
    """Read pairs whose response is a message, or whose request can only be Anthropic's."""

    name: ClassVar[str] = "anthropic_messages"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for path, body in bodies_in(record, RESPONSE_NAMES):
            if body.get("type") == "message" and body.get("role") == "assistant":
                return f'{path}type = "message"'
        for path, body in bodies_in(record, REQUEST_NAMES):
            claude = "system" in body or "claude" in str(body.get("model"))
            if isinstance(body.get("messages"), list) and "max_tokens" in body and claude:
                return f"{path}messages, max_tokens"
        return ""


class Gemini(OpenAIChat):
    """Read pairs whose response has candidates or usageMetadata."""

    name: ClassVar[str] = "gemini"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for path, body in bodies_in(record, RESPONSE_NAMES):
            if isinstance(body.get("usageMetadata"), dict):
                return f"{path}usageMetadata"
            if isinstance(body.get("candidates"), list):
                return f"{path}candidates"
        for path, body in bodies_in(record, REQUEST_NAMES):
            if isinstance(body.get("contents"), list):
                return f"{path}contents"
        return ""
