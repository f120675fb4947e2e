"""The log sources, in the order in which they are tried; one row each."""

from costaudit.ingest.sources.anthropic_batch import AnthropicBatch
from costaudit.ingest.sources.anthropic_messages import AnthropicMessages
from costaudit.ingest.sources.azure_apim import AzureAPIM
from costaudit.ingest.sources.bedrock import Bedrock
from costaudit.ingest.sources.claude_code import ClaudeCode
from costaudit.ingest.sources.cloudflare import Cloudflare
from costaudit.ingest.sources.codex import Codex
from costaudit.ingest.sources.gemini import Gemini
from costaudit.ingest.sources.helicone import Helicone
from costaudit.ingest.sources.langfuse import Langfuse
from costaudit.ingest.sources.langsmith import LangSmith
from costaudit.ingest.sources.litellm import LiteLLM
from costaudit.ingest.sources.litellm_spend import LiteLLMSpend
from costaudit.ingest.sources.openai_batch import OpenAIBatch
from costaudit.ingest.sources.openai_chat import OpenAIChat
from costaudit.ingest.sources.openai_responses import OpenAIResponses
from costaudit.ingest.sources.openai_stored import OpenAIStored
from costaudit.ingest.sources.openrouter import OpenRouter
from costaudit.ingest.sources.otel import OTel
from costaudit.ingest.sources.portkey import Portkey
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
