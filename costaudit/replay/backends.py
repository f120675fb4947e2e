"""Make the live cache and the upstream that an address names."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from costaudit.errors import UsageError
from costaudit.providers.address import parse_address
from costaudit.providers.call import Answer
from costaudit.providers.models import MODELS, call_settings, model_at, parse_model
from costaudit.replay.cache import LiveCache
from costaudit.replay.stream import ReplayStream
from costaudit.replay.upstream import LiveModel, Upstream

Headers = Mapping[str, str]


def _memory(text: str, headers: Headers) -> LiveCache:
    from costaudit.replay.caches.memory import MemoryCache

    parse_address(text, ())
    _no_headers(text, headers)
    return MemoryCache()


def _redis(text: str, headers: Headers) -> LiveCache:
    from costaudit.replay.caches.redis_server import OPTIONS, check_files, check_searchable

    _no_headers(text, headers)
    address = parse_address(text, OPTIONS)
    check_files(address)
    if address.option("flavour", ("redisvl", "vectorset"), "redisvl") == "redisvl":
        from costaudit.replay.caches.redisvl import RedisVLCache

        check_searchable(address)
        return RedisVLCache(address)
    from costaudit.replay.caches.vector_sets import VectorSetCache

    return VectorSetCache(address)


def _proxy(text: str, headers: Headers) -> LiveCache:
    from costaudit.replay.caches.proxy import OPTIONS, ProxyCache

    address = parse_address(text, OPTIONS)
    calls = replace(call_settings(address), bounded=False)
    return ProxyCache(address, calls, headers)


def _no_headers(text: str, headers: Headers) -> None:
    if headers:
        raise UsageError(
            f"{urlsplit(text).scheme}:// takes no HTTP headers.",
            hint="--header is for a caching proxy.",
        )


CACHES: dict[str, Callable[[str, Headers], LiveCache]] = {
    "memory": _memory,
    "redis": _redis,
    "rediss": _redis,
    "redis+sentinel": _redis,
    "redis+cluster": _redis,
    "rediss+cluster": _redis,
    "unix": _redis,
    "http": _proxy,
    "https": _proxy,
}  # scheme → maker


def cache_at(text: str, headers: Headers | None = None) -> LiveCache:
    """Return the cache that an address names; raises UsageError for an unknown one.

    A caching proxy gets `headers` with each request.
    """
    maker = CACHES.get(urlsplit(text).scheme)
    if maker is None:
        from costaudit.replay.caches.own_class import own_class_at

        own = own_class_at(text)
        if own is not None:
            _no_headers(text, headers or {})
            return own
        raise UsageError(
            "The cache's address has an unknown scheme.",
            hint=f"Use one of {', '.join(f'{scheme}://' for scheme in CACHES)}, or your own "
            "class: module:Class or file.py:Class.",
        )
    return maker(text, headers or {})


def cleaned(text: str) -> tuple[str, ...]:
    """Remove what earlier replays left in a Redis, and return a line for each action."""
    from costaudit.replay.caches.redis_server import OPTIONS, clean

    if CACHES.get(urlsplit(text).scheme) is not _redis:
        raise UsageError(
            "Only a Redis can hold keys of earlier replays.", hint="Use --cache redis://HOST:PORT."
        )
    done = clean(parse_address(text, OPTIONS))
    return done or ("No earlier replay left anything.",)


class Recorded:
    """An upstream that answers every miss with the logged answer."""

    name = "recorded"
    is_live = False

    def answer(self, stream: ReplayStream, index: int) -> Answer:
        """Return the logged answer, tokens and latency immediately."""
        tokens = tuple(stream.tokens[index].tolist())
        return Answer(stream.answers[index], tokens, stream.latencies_ms[index].item())

    def close(self) -> None:
        """Do nothing: nothing is open."""


def upstream_at(text: str) -> Upstream:
    """Return the upstream that an address names, such as openai:gpt-4o-mini?stream=1.

    Raises UsageError for an unknown one.
    """
    scheme = text.partition(":")[0].partition("?")[0]
    if scheme == Recorded.name:
        parse_address(text, ("port",))
        return Recorded()
    if scheme not in MODELS:
        raise UsageError(
            f"The upstream {scheme!r} is unknown.",
            hint="Use recorded, openai:MODEL, anthropic:MODEL, bedrock:MODEL or https://HOST/v1.",
        )
    address = parse_model(text)
    return LiveModel(address.printable, model_at(address))
