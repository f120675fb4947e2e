"""The log sources, in the order in which they are tried; one row each."""

from costaudit.ingest.sources.agents import ClaudeCode, Codex
from costaudit.ingest.sources.batches import AnthropicBatch, OpenAIBatch, OpenAIStored
from costaudit.ingest.sources.bedrock import Bedrock
from costaudit.ingest.sources.gateways import AzureAPIM, Cloudflare, OpenRouter, Portkey
from costaudit.ingest.sources.litellm import LiteLLM, LiteLLMSpend
from costaudit.ingest.sources.observability import Helicone, Langfuse, LangSmith
from costaudit.ingest.sources.otel import OTel
from costaudit.ingest.sources.pairs import AnthropicMessages, Gemini, OpenAIChat, OpenAIResponses
from costaudit.ingest.sources.source import Source
from costaudit.ingest.sources.streams import Streams
from costaudit.ingest.sources.traces import AzureTrace, BurstGPT, Mooncake

# Gateways and platforms come before providers, because their records contain providers' bodies.
SOURCES: tuple[type[Source], ...] = (
    Mooncake,
    BurstGPT,
    AzureTrace,
    OTel,
    Bedrock,
    Codex,
    ClaudeCode,
    LiteLLM,
    LiteLLMSpend,
    LangSmith,
    Langfuse,
    Helicone,
    Portkey,
    Cloudflare,
    OpenRouter,
    AzureAPIM,
    AnthropicBatch,
    OpenAIBatch,
    OpenAIStored,
    Streams,
    OpenAIResponses,
    AnthropicMessages,
    Gemini,
    OpenAIChat,
)
BY_NAME: dict[str, type[Source]] = {source.name: source for source in SOURCES}
