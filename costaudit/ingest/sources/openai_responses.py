"""OpenAI's Responses interface: bare responses, or pairs of request and response."""

from typing import Any, ClassVar

from costaudit.ingest.pair import RESPONSE_NAMES
from costaudit.ingest.sources.openai_chat import OpenAIChat, bodies_in


class OpenAIResponses(OpenAIChat):
    """Read responses, which hold what was answered but seldom what was asked."""

    name: ClassVar[str] = "openai_responses"

    def detect(self, record: dict[str, Any]) -> str:
        """See Source."""
        for path, body in bodies_in(record, RESPONSE_NAMES):
            if body.get("object") == "response":
                return f'{path}object = "response"'
        return ""
