"""Gemini and Vertex generateContent: pairs, or bare responses."""

from typing import Any, ClassVar

from costaudit.ingest.pair import REQUEST_NAMES, RESPONSE_NAMES
from costaudit.ingest.sources.openai_chat import OpenAIChat, bodies_in


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
