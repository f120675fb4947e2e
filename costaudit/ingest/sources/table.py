"""The log sources, in the order in which they are tried."""

from costaudit.ingest.sources.batches import (
    AnthropicBatch,
    DailyTotals,
    GeminiBatch,
    OpenAIBatch,
    OpenAIStored,
    VertexLog,
)
from costaudit.ingest.sources.bedrock import Bedrock, BedrockBatch
from costaudit.ingest.sources.claude_code import ClaudeCode, ClaudeEvents, ClaudeStream
from costaudit.ingest.sources.codex import Codex, CodexExec
from costaudit.ingest.sources.coding_agents import (
    Aider,
    Cline,
    CopilotCLI,
    Cursor,
    GeminiCLI,
    OpenCode,
)
from costaudit.ingest.sources.gateways import AzureAPIM, Cloudflare, OpenRouter, Portkey
from costaudit.ingest.sources.litellm import LiteLLM, LiteLLMSpend
from costaudit.ingest.sources.observability import Helicone, Langfuse, LangSmith
from costaudit.ingest.sources.otel import OTel
from costaudit.ingest.sources.pairs import (
    AnthropicMessages,
    ChunkArrays,
    Gemini,
    OpenAIChat,
    OpenAIResponses,
    Streams,
)
from costaudit.ingest.sources.platforms import (
    Braintrust,
    Datadog,
    Kong,
    MLflow,
    Opik,
    Phoenix,
    PostHog,
    Weave,
)
from costaudit.ingest.sources.source import Source
from costaudit.ingest.sources.traces import AzureTrace, BurstGPT, KVTrace, Mooncake

# Gateways and platforms come before providers, because their records contain providers' bodies.
SOURCES: tuple[type[Source], ...] = (
    Mooncake,
    KVTrace,
    BurstGPT,
    AzureTrace,
    DailyTotals,
    ClaudeEvents,
    MLflow,
    Datadog,
    Phoenix,
    OTel,
    Bedrock,
    BedrockBatch,
    Codex,
    CodexExec,
    ClaudeCode,
    ClaudeStream,
    GeminiCLI,
    OpenCode,
    CopilotCLI,
    Cline,
    Aider,
    Cursor,
    PostHog,
    Braintrust,
    Opik,
    Weave,
    Kong,
    VertexLog,
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
    GeminiBatch,
    OpenAIStored,
    ChunkArrays,
    Streams,
    OpenAIResponses,
    AnthropicMessages,
    Gemini,
    OpenAIChat,
)
BY_NAME: dict[str, type[Source]] = {source.name: source for source in SOURCES}
