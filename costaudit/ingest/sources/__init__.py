"""The log sources, in the order in which they are tried; one row each."""

from costaudit.ingest.sources.anthropic_messages import AnthropicMessages
from costaudit.ingest.sources.openai_chat import OpenAIChat
from costaudit.ingest.sources.source import Source

SOURCES: tuple[type[Source], ...] = (
    AnthropicMessages,
    OpenAIChat,
)
BY_NAME: dict[str, type[Source]] = {source.name: source for source in SOURCES}
