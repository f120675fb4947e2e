"""Names of models and providers, as logs spell them and as price lists do."""

import re
from functools import lru_cache

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
}
BY_MODEL = (  # what a model's name starts with → who bills it, where nothing else tells
    (("gpt-", "o1", "o3", "o4", "chatgpt", "text-embedding-", "davinci", "codex-"), "openai"),
    (("claude",), "anthropic"),
    (("gemini", "gemma", "learnlm"), "google"),
    (("grok",), "x-ai"),
    (("mistral", "mixtral", "codestral", "ministral", "magistral", "pixtral"), "mistral"),
    (("deepseek",), "deepseek"),
    (("command-", "embed-"), "cohere"),
    (("kimi", "moonshot"), "moonshotai"),
    (
        (
            "anthropic.",
            "us.",
            "eu.",
            "apac.",
            "jp.",
            "au.",
            "global.",
            "amazon.",
            "meta.",
            "cohere.",
        ),
        "aws",
    ),
)
ARN = re.compile(r"^arn:[^/]*/")
CROSS_REGION = re.compile(r"^(?:us-gov|us|eu|apac|jp|au|global)\.")


@lru_cache(4096)
def provider_named(name: str) -> str:
    """Spell a provider as the price list does; an unknown one keeps its name."""
    lowered = name.strip().lower()
    if lowered in PROVIDERS:
        return PROVIDERS[lowered]
    head = lowered.partition(".")[0]  # AI SDK: openai.responses, anthropic.messages
    return PROVIDERS.get(head, lowered)


@lru_cache(4096)
def provider_of_model(model: str) -> str | None:
    """Tell from a model's name who bills it; None where the name tells nothing."""
    name = model.strip().lower().rpartition("/")[2]
    for starts, provider in BY_MODEL:
        if name.startswith(starts):
            return provider
    return None


@lru_cache(4096)
def bedrock_model(model_id: str) -> str:
    """Take the region and the resource name off a Bedrock model id."""
    return CROSS_REGION.sub("", ARN.sub("", model_id))


@lru_cache(4096)
def split_model(model: str) -> tuple[str | None, str]:
    """Split a gateway's `provider/model` into both; a bare model has no provider."""
    head, slash, tail = model.partition("/")
    if slash and head.lower() in PROVIDERS:
        return provider_named(head), tail
    return None, model
