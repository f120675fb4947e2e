"""Make clients of providers' models, by the scheme of an address."""

from collections.abc import Callable
from urllib.parse import urlsplit

from costaudit.errors import UsageError
from costaudit.providers.address import Address, parse_address
from costaudit.providers.call import CallSettings, ModelClient

OPTIONS = ("model", "stream", "timeout_s", "retries", "key_env", "base_url", "effort")


def _openai(settings: CallSettings) -> ModelClient:
    from costaudit.providers.openai import OpenAIClient

    return OpenAIClient(settings)


def _anthropic(settings: CallSettings) -> ModelClient:
    from costaudit.providers.anthropic import AnthropicClient

    return AnthropicClient(settings)


def _bedrock(settings: CallSettings) -> ModelClient:
    from costaudit.providers.bedrock import BedrockClient

    return BedrockClient(settings)


MODELS: dict[str, Callable[[CallSettings], ModelClient]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "http": _openai,
    "https": _openai,
}  # scheme of an address → maker


def model_at(address: Address) -> ModelClient:
    """Return the client of a model's address, such as openai:MODEL or https://HOST/v1."""
    scheme = urlsplit(address.url).scheme
    if address.options.get("effort") and scheme not in ("openai", "http", "https"):
        raise UsageError(
            f"{address.printable}: an effort can be set with OpenAI's API only.",
            hint="Leave out effort.",
        )
    return MODELS[scheme](call_settings(address))


def parse_model(text: str, more: tuple[str, ...] = ()) -> Address:
    """Parse an address such as openai:MODEL?base_url=...&stream=1; raises UsageError.

    `more` are allowed options other than those of a call.
    """
    address = parse_address(text, (*OPTIONS, *more))
    base_url = address.options.get("base_url")
    if base_url is not None and urlsplit(base_url).scheme not in ("http", "https"):
        raise UsageError(
            f"{address.printable}: base_url is no web address.",
            hint="Write one such as https://host/v1.",
        )
    return address


def call_settings(address: Address) -> CallSettings:
    """Return the settings of calls from a model's address."""
    parts = urlsplit(address.url)
    is_url = parts.scheme in ("http", "https")
    return CallSettings(
        model=address.options.get("model") or ("" if is_url else parts.path) or None,
        base_url=address.url if is_url else address.options.get("base_url"),
        stream=address.option("stream", ("0", "1"), "0") == "1",
        timeout_s=address.number("timeout_s", 60.0),
        retries=int(address.number("retries", 4.0, zero=True)),
        key_env=address.options.get("key_env"),
        effort=address.options.get("effort") or None,
    )
