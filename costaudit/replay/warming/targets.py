"""Which address leads to which cache to fill."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from costaudit.errors import UsageError
from costaudit.providers.address import parse_address
from costaudit.providers.models import call_settings
from costaudit.replay.stream import ReplayStream
from costaudit.replay.warming.names import FIELDS
from costaudit.replay.warming.target import Embed, WarmTarget

REDIS = ("redis", "rediss", "redis+sentinel", "unix")
FLAVOURS = ("redisvl", "langchain")


def needs_prompts(text: str) -> bool:
    """Return whether a cache at an address compares whole prompts; raises as `target_at` does."""
    return _kind(text) != "redisvl"


def reach_target(text: str) -> None:
    """Raise BackendError where nothing answers at an address; a class is not asked."""
    kind = _kind(text)
    if kind in FLAVOURS:
        from costaudit.replay.caches.redis_server import ping
        from costaudit.replay.caches.redisvl import NEEDS
        from costaudit.replay.warming import langchain, redisvl

        ping(parse_address(text, (*redisvl.OPTIONS, *langchain.OPTIONS)), NEEDS)
    elif kind == "litellm":
        from costaudit.replay.caches.proxy import reach_proxy
        from costaudit.replay.warming import litellm

        reach_proxy(parse_address(text, litellm.OPTIONS), litellm.REACH_S)


def target_at(
    text: str,
    stream: ReplayStream,
    embed: Embed,
    min_similarity: float,
    scope: Sequence[str],
    headers: Mapping[str, str],
) -> WarmTarget:
    """Make the cache that an address names; raises UsageError for one that can't be filled."""
    kind = _kind(text)
    if headers and kind != "litellm":
        raise UsageError("Only a proxy takes HTTP headers.", hint="Leave --header out.")
    if kind == "redisvl":
        from costaudit.replay.warming import redisvl

        values = [name for name in scope if name in FIELDS]
        return redisvl.RedisVLTarget(
            parse_address(text, redisvl.OPTIONS), embed, min_similarity, values
        )
    if kind == "langchain":
        from costaudit.replay.warming import langchain

        address = parse_address(text, langchain.OPTIONS)
        return langchain.LangChainTarget(address, stream, embed, min_similarity)
    if kind == "litellm":
        from costaudit.replay.warming import litellm

        address = parse_address(text, litellm.OPTIONS)
        calls = replace(call_settings(address), bounded=False)
        return litellm.LiteLLMTarget(address, calls, stream, headers)
    from costaudit.replay.caches.own_class import OwnClassCache, own_class_at
    from costaudit.replay.warming.own_class import OwnClassTarget

    own = own_class_at(text)
    if not isinstance(own, OwnClassCache):
        raise _unfillable(text)
    return OwnClassTarget(own, stream, embed, min_similarity)


def _kind(text: str) -> str:
    parts = urlsplit(text)
    options = dict(parse_qsl(parts.query))
    if parts.scheme in REDIS:
        flavour = options.get("flavour", FLAVOURS[0])
        if flavour not in FLAVOURS:
            raise UsageError(
                f"Entries of flavour={flavour} can't be written beforehand: it is a layout of "
                "costaudit's, which no application reads.",
                hint=f"Choose from {', '.join(FLAVOURS)}, or fill a class of yours: file.py:Class.",
            )
        return flavour
    if parts.scheme in ("http", "https"):
        if options.get("product") != "litellm":
            raise UsageError(
                "Of the caching proxies only LiteLLM can be filled.",
                hint="Give http://HOST:PORT/v1?product=litellm, or write the answers with --file.",
            )
        return "litellm"
    if parts.scheme == "memory":
        raise _unfillable(text)
    return "own"


def _unfillable(text: str) -> UsageError:
    return UsageError(
        f"{text} can't be filled beforehand: it keeps nothing beyond this run.",
        hint="Warm a redis:// cache, a LiteLLM proxy or a class of yours, or write a file.",
    )
