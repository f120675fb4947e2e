"""Which address leads to which upstream: the table of this stage's upstreams."""

from collections.abc import Callable
from urllib.parse import urlsplit

from costaudit.errors import UsageError
from costaudit.replay.address import Address, parse_address
from costaudit.replay.upstream import CallSettings, Upstream
from costaudit.replay.upstreams.recorded import Recorded

OPTIONS = ("model", "stream", "timeout_s", "retries", "key_env", "base_url")


def _recorded(address: Address) -> Upstream:
    return Recorded()


def _openai(address: Address) -> Upstream:
    from costaudit.replay.upstreams.openai import OpenAIClient, OpenAIUpstream

    client = OpenAIClient(call_settings(address), address.options.get("base_url"))
    return OpenAIUpstream(address.printable, client)


def _anthropic(address: Address) -> Upstream:
    from costaudit.replay.upstreams.anthropic import AnthropicUpstream

    base_url = address.options.get("base_url")
    return AnthropicUpstream(address.printable, call_settings(address), base_url)


def _bedrock(address: Address) -> Upstream:
    from costaudit.replay.upstreams.bedrock import BedrockUpstream

    base_url = address.options.get("base_url")
    return BedrockUpstream(address.printable, call_settings(address), base_url)


def _compatible(address: Address) -> Upstream:
    from costaudit.replay.upstreams.openai import OpenAIClient, OpenAIUpstream

    return OpenAIUpstream(
        address.printable, OpenAIClient(call_settings(address), base_url=address.url)
    )


UPSTREAMS: dict[str, Callable[[Address], Upstream]] = {
    "recorded": _recorded,
    "openai": _openai,
    "anthropic": _anthropic,
    "bedrock": _bedrock,
    "http": _compatible,
    "https": _compatible,
}  # scheme → maker


def upstream_at(text: str) -> Upstream:
    """Make the upstream that an address names, such as openai:gpt-4o-mini?stream=1.

    Raises UsageError for one that is not known.
    """
    scheme, _, _ = text.partition(":")
    maker = UPSTREAMS.get(scheme)
    if maker is None:
        raise UsageError(
            f"The upstream {scheme!r} is not known.",
            hint="Give recorded, openai:MODEL, anthropic:MODEL, bedrock:MODEL or https://HOST/v1.",
        )
    return maker(parse_address(text, OPTIONS))


def call_settings(address: Address) -> CallSettings:
    """Read how to call a model from its address."""
    parts = urlsplit(address.url)
    named = parts.path if parts.scheme not in ("http", "https") else ""
    return CallSettings(
        model=address.options.get("model") or named or None,
        stream=address.option("stream", ("0", "1"), "0") == "1",
        timeout_s=address.number("timeout_s", 60.0),
        retries=int(address.number("retries", 4.0, zero=True)),
        key_env=address.options.get("key_env"),
    )
