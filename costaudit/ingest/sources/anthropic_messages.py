"""Anthropic Messages: pairs of request and response, or bare messages."""

from typing import Any, ClassVar

from costaudit.ingest.pair import REQUEST_NAMES, RESPONSE_NAMES
from costaudit.ingest.sources.openai_chat import OpenAIChat, bodies_in


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
