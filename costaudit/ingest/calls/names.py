"""Names in logs: of models and providers, of who called, and of a gateway's cache."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from costaudit.ingest.calls.call import Buffer
from costaudit.providers.names import PROVIDERS, provider_named

BY_MODEL = (  # start of a model's name → its provider, if the log names none
    (("gpt-", "o1", "o3", "o4", "chatgpt", "text-embedding-", "davinci", "codex-"), "openai"),
    (("claude",), "anthropic"),
    (("gemini", "gemma", "learnlm"), "google"),
    (("grok",), "x-ai"),
    (("mistral", "mixtral", "codestral", "ministral", "magistral", "pixtral"), "mistral"),
    (("deepseek",), "deepseek"),
    (("command-", "embed-"), "cohere"),
    (("voyage-",), "voyageai"),
    (("kimi", "moonshot"), "moonshotai"),
    (
        (
            "anthropic.",
            "us.",
            "us-gov.",
            "eu.",
            "apac.",
            "jp.",
            "au.",
            "ca.",
            "global.",
            "amazon.",
            "meta.",
            "cohere.",
        ),
        "aws",
    ),
)
ARN = re.compile(r"^arn:[^/]*/")


def billed_by(named: str | None, of_model: str | None) -> str | None:
    """Return the provider that bills a call: the named one, unless it is a framework (Strands)."""
    provider = provider_named(named) if named else None
    is_known = provider in PROVIDERS.values()
    return provider if provider is not None and (is_known or of_model is None) else of_model


@lru_cache(4096)
def provider_of_model(model: str) -> str | None:
    """Return the provider that bills a model, by its name; None if the name does not show it."""
    name = model.strip().lower().rpartition("/")[2]
    for starts, provider in BY_MODEL:
        if name.startswith(starts):
            return provider
    return None


@lru_cache(4096)
def bedrock_model(model_id: str) -> str:
    """Remove the resource path from a Bedrock model id; keep the name of an inference profile.

    Profiles such as `us.` and `global.` differ in price.
    """
    return ARN.sub("", model_id)


@lru_cache(4096)
def split_model(model: str) -> tuple[str | None, str]:
    """Split a gateway's `provider/model` into both; a bare model has no provider."""
    head, slash, tail = model.partition("/")
    if slash and head.lower() in PROVIDERS:
        return provider_named(head), tail
    return None, model


TRAFFIC = {  # Vertex AI's traffic types
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_PRIORITY": "priority",
    "PROVISIONED_THROUGHPUT": "provisioned_throughput",
}
TIERED = (b"flex", b"priority", b"reserved")  # of Gemini and Converse; others are the default


def tier_within(value: Buffer) -> str | None:
    """Return the tier in a `serviceTier` field: a text, or an object with its `type`."""
    text = bytes(value).lower()
    return next((tier.decode() for tier in TIERED if tier in text), None)


REGIONAL_HOSTS = (  # hosts whose name contains a region with its own prices
    re.compile(r"\b(eu|us)\.api\.openai\.com"),
    re.compile(r"\b([a-z]+-[a-z]+\d+)-aiplatform\.googleapis\.com"),
    re.compile(r"\bbedrock-runtime(?:-fips)?\.([a-z]{2}(?:-gov)?-[a-z]+-\d)\.amazonaws\.com"),
)


@lru_cache(4096)
def region_of_url(url: str) -> str | None:
    """Return the region that the host of an address names; None for others."""
    found = next((match for host in REGIONAL_HOSTS if (match := host.search(url))), None)
    return found[1] if found else None


HOSTS = {  # a part of a host's name → the provider that bills its calls
    "openai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "ai.azure.com": "azure",
    "aiplatform.googleapis.com": "google",
    "generativelanguage.googleapis.com": "google",
    "bedrock-runtime": "aws",
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.groq.com": "groq",
    "openrouter.ai": "openrouter",
    "api.together.": "together",
    "api.fireworks.ai": "fireworks",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x-ai",
    "api.mistral.ai": "mistral",
    "api.cohere.": "cohere",
    "api.perplexity.ai": "perplexity",
    "api.moonshot.": "moonshotai",
    "dashscope": "dashscope",
    "api.cerebras.ai": "cerebras",
    "api.deepinfra.com": "deepinfra",
}


@lru_cache(4096)
def provider_of_url(url: str) -> str | None:
    """Return the provider at an address, by its host; None for others, such as a proxy."""
    host = url.partition("://")[2] or url
    host = host.partition("/")[0].lower()
    return next((provider for part, provider in HOSTS.items() if part in host), None)


TENANT = ("tenant", "tenant_id", "tenantId", "organization_id", "organization", "org_id", "org",
          "_organisation", "customer", "customer_id", "account_id", "workspace_id",
          "team", "team_id", "openai-organization")  # fmt: skip
USER = ("user", "user_id", "userId", "end_user", "end_user_id", "_user", "username",
        "customer_user_id", "safety_identifier")  # fmt: skip
CONVERSATION = ("conversation", "conversation_id", "conversationId", "session", "session_id",
                "sessionId", "thread_id", "threadId", "chat_id", "Helicone-Session-Id",
                "helicone-session-id")  # fmt: skip
ENDPOINT = ("endpoint", "route", "feature", "use_case", "task", "service", "application", "app",
            "job")  # fmt: skip


class Labels(NamedTuple):
    """What a call's metadata says about its origin."""

    tenant: str | None = None
    user: str | None = None
    conversation: str | None = None
    endpoint: str | None = None


def labels_in(metadata: Mapping[str, Any]) -> Labels:
    """Return the tenant, user, conversation and endpoint in metadata."""
    return Labels(
        first_text(metadata, TENANT),
        first_text(metadata, USER),
        first_text(metadata, CONVERSATION),
        first_text(metadata, ENDPOINT),
    )


def labels_of(metadata: msgspec.Raw | bytes) -> Labels:
    """Return the labels in a JSON object, which may be inside a JSON string."""
    return _labels_of(bytes(metadata))


@lru_cache(65536)
def _labels_of(metadata: bytes) -> Labels:
    try:
        value = msgspec.json.decode(metadata)
        if isinstance(value, str):
            value = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Labels()
    return labels_in(value) if isinstance(value, dict) else Labels()


def first_text(values: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """Return the first of several fields that holds a text or a number."""
    for name in names:
        value = values.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


HIT_HEADERS = (
    "x-litellm-cache-hit",
    "cf-aig-cache-status",
    "x-portkey-cache-status",
    "helicone-cache",
    "x-cache",
)


def is_hit(flag: object) -> bool:
    """Return whether a gateway's cache flag, a boolean or a word, says hit."""
    if isinstance(flag, str):
        word = flag.strip().lower().replace(" ", "_")
        return word in (
            "hit",
            "true",
            "semantic_hit",
            "simple_hit",
            "cache_hit",
            "cache_semantic_hit",
        )
    return flag is True


def hit_in_headers(headers: Raw) -> bool:
    """Return whether a gateway's cache flag in response headers says hit."""
    try:
        values = msgspec.json.decode(headers)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    if not isinstance(values, dict):
        return False
    return any(is_hit(value) for key, value in values.items() if str(key).lower() in HIT_HEADERS)
