"""Map providers' names in logs to those in the price tables."""

import re
from functools import lru_cache

DATED = re.compile(r"[-@:]\d{4}-?\d\d-?\d\d$")  # a model's name ends with its date

PROVIDERS = {  # spelling in logs → name in genai-prices
    "openai": "openai",
    "azure": "azure",
    "azure.ai.openai": "azure",
    "az.ai.openai": "azure",
    "azure_openai": "azure",
    "azureopenai": "azure",
    "azure.ai.inference": "azure",
    "anthropic": "anthropic",
    "aws": "aws",
    "bedrock": "aws",
    "aws.bedrock": "aws",
    "aws_bedrock": "aws",
    "amazon_bedrock": "aws",
    "bedrock_converse": "aws",
    "google": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "vertexai": "google",
    "google_vertex": "google",
    "google_genai": "google",
    "google-ai-studio": "google",
    "google-vertex-ai": "google",
    "gcp.vertex_ai": "google",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "google_vertexai": "google",
    "xai": "x-ai",
    "x_ai": "x-ai",
    "x-ai": "x-ai",
    "grok": "x-ai",
    "mistral": "mistral",
    "mistralai": "mistral",
    "mistral_ai": "mistral",
    "deepseek": "deepseek",
    "groq": "groq",
    "cohere": "cohere",
    "openrouter": "openrouter",
    "fireworks": "fireworks",
    "fireworks_ai": "fireworks",
    "together": "together",
    "together_ai": "together",
    "perplexity": "perplexity",
    "moonshotai": "moonshotai",
    "azure_ai": "azure",
    "azure_foundry": "azure",
    "azure_text": "azure",
    "text-completion-openai": "openai",
    "bedrock_mantle": "aws",
    "bedrock-runtime": "aws",
    "amazon": "aws",
    "vertex_ai_beta": "google",
    "vertex": "google",
    "cohere_chat": "cohere",
    "codestral": "mistral",
    "fireworks-ai": "fireworks",
    "together-ai": "together",
    "togetherai": "together",
    "moonshot": "moonshotai",
    "kimi": "moonshotai",
    "dashscope": "dashscope",
    "alibaba": "dashscope",
    "qwen": "dashscope",
    "aliyun": "dashscope",
    "zai": "zai",
    "z-ai": "zai",
    "z.ai": "zai",
    "minimax": "minimax",
    "cerebras": "cerebras",
    "ai21": "ai21",
    "databricks": "databricks",
    "deepinfra": "deepinfra",
    "novita": "novita",
    "nebius": "nebius",
    "sambanova": "sambanova",
    "voyage": "voyageai",
    "voyageai": "voyageai",
}


@lru_cache(4096)
def provider_named(name: str) -> str:
    """Return a provider's name in the price tables; an unknown one keeps its name."""
    lowered = name.strip().lower()
    if lowered in PROVIDERS:
        return PROVIDERS[lowered]
    head = lowered.partition(".")[0]  # AI SDK: openai.responses, anthropic.messages
    return PROVIDERS.get(head, lowered)
